import type { ClientConnection } from "../client.js";
import type { RejectedEvent } from "../events.js";
import type { Cause } from "../rules.js";
import { causeOf } from "../rules.js";
import type { Handlers } from "./peer.js";
import { Peer } from "./peer.js";
import type { Host, Transport } from "./pump.js";

// What clients share on every runtime: a connection over a transport becomes a peer, or an error that says why not.

/** The opening handshake failed: the transport could not be had, the server rejected it, or broke a rule. */
export class HandshakeError extends Error {
  override readonly name = "HandshakeError";
  /** Whose doing it was, and which rule. */
  override readonly cause: Cause;
  /** The server's answer, where it was another than to open a WebSocket: a redirect, a challenge, an error. */
  readonly response: RejectedEvent | undefined;

  constructor(cause: Cause, response: RejectedEvent | undefined) {
    const detail = cause.error instanceof Error ? `: ${describe(cause.error)}` : "";
    const status = response === undefined ? "" : ` (${response.status} ${response.reason})`;
    super(`${cause.message}${status}${detail} [${cause.section}]`);
    this.cause = cause;
    this.response = response;
  }
}

/** An AggregateError of the addresses tried has no message of its own on Node. */
function describe(error: Error & { readonly code?: string }): string {
  return error.message === "" ? (error.code ?? error.name) : error.message;
}

/**
 * Drives a client's connection over a transport. `opened` resolves with the peer once it is open, and rejects with a
 * `HandshakeError` where it does not come to that.
 */
export function dial<Context>(
  connection: ClientConnection,
  transport: Transport,
  host: Host,
  handlers: Handlers<Context>,
): { peer: Peer<Context>; opened: Promise<Peer<Context>> } {
  let settle: { resolve: (peer: Peer<Context>) => void; reject: (error: HandshakeError) => void } | undefined;
  const opened = new Promise<Peer<Context>>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Whatever comes first decides. The connection may linger for a while after a failure; nobody has to wait for that.
  const fail = (cause: Cause, response?: RejectedEvent): void => {
    settle?.reject(new HandshakeError(cause, response));
  };
  const peer: Peer<Context> = new Peer(connection, transport, host, handlers, {
    open: () => settle?.resolve(peer),
    rejected: (response) => {
      fail(causeOf("peer", "rejected"), response);
    },
    closing: ({ cause }) => {
      fail(cause);
    },
    closed: ({ cause }) => {
      fail(cause);
    },
  });
  return { peer, opened };
}
