import type { ClientConnection } from "../client.js";
import { UsageError } from "../errors.js";
import type { RejectedEvent } from "../events.js";
import type { Cause } from "../rules.js";
import { causeOf } from "../rules.js";
import type { Handlers } from "./peer.js";
import { Peer } from "./peer.js";
import type { Host, Pump, Transport } from "./pump.js";

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

/** What is needed of an `AbortSignal`. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** A transport that calls back into a pump from `start` on. */
export interface Carrier extends Transport {
  start(pump: Pump): void;
}

/**
 * Dials over a transport that is still to be opened, which may take `timeout` milliseconds. Resolves with the peer once the
 * connection is open. A transport that comes too late is destroyed; `open` may say what else is to be done then.
 * @throws {HandshakeError} where it does not come to that; or what `signal` was aborted with, or a `UsageError` of `open`'s
 */
export async function dialOver<Context>(
  connection: ClientConnection,
  open: (givenUp: (undo: () => void) => void) => Promise<Carrier>,
  host: Host,
  options: Handlers<Context> & { readonly signal?: AbortSignalLike | undefined },
  timeout: number,
): Promise<Peer<Context>> {
  const { signal } = options;
  signal?.throwIfAborted();
  let giveUp: (error: Error) => void = () => undefined;
  const abort = (): void => {
    giveUp(new Error("aborted")); // the signal's own reason is what is thrown
  };
  signal?.addEventListener("abort", abort);
  try {
    const transport = await new Promise<Carrier>((resolve, reject) => {
      let over = false;
      let undo: () => void = () => undefined;
      const cancel = host.after(timeout, () => {
        giveUp(new Error("the transport took too long"));
      });
      giveUp = (error) => {
        if (over) return;
        over = true;
        cancel();
        reject(error);
        undo();
      };
      open((how) => {
        undo = how;
      }).then((opened) => {
        cancel();
        if (over) opened.destroy();
        else resolve(opened);
      }, giveUp);
    });
    const { peer, opened } = dial(connection, transport, host, options);
    giveUp = () => {
      peer.terminate();
    };
    if (signal?.aborted === true) abort();
    transport.start(peer.pump);
    return await opened;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof HandshakeError || error instanceof UsageError) throw error;
    throw new HandshakeError(causeOf("transport", "transport-lost", undefined, error), undefined);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
