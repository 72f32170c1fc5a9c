import type { Handlers, Peer } from "../adapters/peer.js";

/** An adapter's `connect`, or anything that makes a peer as it does. */
export type Connect = (url: string, options: never) => Promise<Peer>;

/** What a `connect` takes besides what these classes set themselves: headers, proxies, TLS, limits, compression. */
export type OptionsOf<C extends Connect> = Omit<
  Exclude<Parameters<C>[1], undefined>,
  keyof Handlers | "subprotocols" | "signal" | "streaming" | "text"
>;

/** Calls `connect`; what it throws at once is a rejection, too. */
export async function call(connect: Connect, url: string, ...options: readonly object[]): Promise<Peer> {
  return connect(url, Object.assign({}, ...options) as never); // OptionsOf left out what is set here
}
