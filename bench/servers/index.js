// The servers that echo and broadcast, in the order of the tables' columns, and the runtimes that they need.

const NODE_LIKE = ["node", "node-latest", "bun", "deno"];

export const SERVERS = {
  sansocket: NODE_LIKE,
  ws: NODE_LIKE,
  "ws-no-bufferutil": NODE_LIKE,
  "websocket-driver": NODE_LIKE,
  websocket: NODE_LIKE,
  "bun-serve": ["bun"],
  "deno-serve": ["deno"],
  net: NODE_LIKE,
};

export const serversFor = (runtime) => Object.keys(SERVERS).filter((name) => SERVERS[name].includes(runtime));
