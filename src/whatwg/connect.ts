import type { Handlers, Peer } from "../adapters/peer.js";

/** An adapter's `connect`, or anything that makes a peer as it does. */
export type Connect<Options extends object> = (url: string, options: Options) => Promise<Peer>;

/** What `connect` takes besides what these classes set themselves: headers, proxies, TLS, limits, compression. */
export type Extra<Options extends object> = Omit<
  Options,
  keyof Handlers | "subprotocols" | "signal" | "streaming" | "text"
>;

/** Calls `connect`; what it throws at once is a rejection, too. */
export async function call<Options extends object>(
  connect: Connect<Options>,
  url: string,
  ...options: readonly object[]
): Promise<Peer> {
  const merged: object = Object.assign({}, ...options) as object;
  return connect(url, merged as Options); // Extra left out what is set here
}
