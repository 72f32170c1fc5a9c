// The implementations that are measured without a socket, in the order of the tables' columns.

export const PEERS = [
  "sansocket",
  "ws",
  "ws-no-bufferutil",
  "websocket-driver",
  "websocket",
  "undici",
  "least",
  "limit",
];

/** The one that ratios are told against. */
export const REFERENCE = "ws";

export const loadPeer = (name) => import(new URL(`${name}.js`, import.meta.url).href);
