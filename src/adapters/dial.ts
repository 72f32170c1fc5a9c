import type { ClientRequest } from "../client.js";
import { ClientConnection } from "../client.js";
import { UsageError } from "../errors.js";
import type { RejectedEvent } from "../events.js";
import type { WebSocketUrl } from "../handshake/url.js";
import { parseUrl } from "../handshake/url.js";
import type { Platform } from "../platform.js";
import type { Cause } from "../rules.js";
import { causeOf } from "../rules.js";
import type { Options, Settings } from "../settings.js";
import type { ConnectionOptions } from "./endpoint.js";
import { adapterSettings } from "./endpoint.js";
import { hrefOf, webHost } from "./engine.js";
import type { Handlers } from "./peer.js";
import { isThenable, Peer } from "./peer.js";
import type { Transport } from "./pump.js";

// `connect` of every runtime, but for the transport itself.

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

/** What is needed of an `AbortSignal`. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** How a connection is made and behaves, on every runtime. */
export interface Connecting<Context = unknown>
  extends ConnectionOptions, Handlers<Context>, Omit<ClientRequest, "url" | "method"> {
  /** How long it may take until the connection is open, in milliseconds. Default 10000. */
  readonly timeout?: number | undefined;
  /** Gives up where it is aborted before the connection is open. */
  readonly signal?: AbortSignalLike | undefined;
}

/** What a transport is wanted for. */
export interface Attempt {
  readonly url: WebSocketUrl;
  readonly connection: ClientConnection;
  readonly settings: Settings;
  /** Has `undo` called where the transport is not waited for any more. */
  givenUp(this: void, undo: () => void): void;
}

/**
 * Makes a transport to `url`. One that it gives at once need not be connected yet; one that it promises is destroyed where it
 * comes too late.
 */
export type Open = (attempt: Attempt) => Transport | PromiseLike<Transport>;

/**
 * Connects to a ws: or wss: URL over what `open` makes. Resolves with the peer once the connection is open.
 * @throws {UsageError} for arguments that cannot be sent, or of `open`'s
 * @throws {HandshakeError} where the server rejects, breaks a rule, or cannot be reached; or what `signal` was aborted with
 */
export async function dial<Context>(
  url: string | { readonly href: string },
  options: Connecting<Context>,
  platform: Platform,
  open: Open,
  http?: Options["http"],
): Promise<Peer<Context>> {
  const { headers, subprotocols, origin, signal } = options;
  const settings = adapterSettings(options, platform, options.timeout, http);
  const href = hrefOf(url);
  const connection = new ClientConnection({ url: href, headers, subprotocols, origin }, settings);
  signal?.throwIfAborted();
  let undo: () => void = () => undefined;
  const givenUp = (how: () => void): void => {
    undo = how;
  };
  try {
    const made = open({ url: parseUrl(href), connection, settings, givenUp });
    const transport = isThenable(made)
      ? await inTime(made, settings.timeouts.handshake, signal, () => {
          undo();
        })
      : made; // no turn may pass before it is listened to
    return await opened(connection, transport, options);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof HandshakeError || error instanceof UsageError) throw error;
    throw new HandshakeError(causeOf("transport", "transport-lost", undefined, error), undefined);
  }
}

/** The transport, where it comes within `timeout` milliseconds and before an abort. */
async function inTime(
  made: PromiseLike<Transport>,
  timeout: number,
  signal: AbortSignalLike | undefined,
  undo: () => void,
): Promise<Transport> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const finish = (): void => {
      isOver = true;
      cancel();
      signal?.removeEventListener("abort", abort);
    };
    const giveUp = (error: Error): void => {
      if (isOver) return;
      finish();
      reject(error);
      undo();
    };
    const abort = (): void => {
      giveUp(new Error("aborted")); // the signal's own reason is what is thrown
    };
    const tooLate = (): void => {
      giveUp(new Error("there was no transport in time"));
    };
    const cancel = webHost.after(timeout, tooLate, true); // nothing else may keep the process alive
    signal?.addEventListener("abort", abort);
    if (signal?.aborted === true) abort(); // by `open`
    made.then((transport) => {
      if (isOver) {
        transport.destroy();
      } else {
        finish();
        resolve(transport);
      }
    }, giveUp);
  });
}

/** The peer of a connection over a transport, once it is open. */
async function opened<Context>(
  connection: ClientConnection,
  transport: Transport,
  options: Connecting<Context>,
): Promise<Peer<Context>> {
  const { signal } = options;
  let abort: () => void = () => undefined;
  try {
    return await new Promise<Peer<Context>>((resolve, reject) => {
      // Whatever comes first decides. The connection may linger for a while after a failure; nobody has to wait for that.
      const fail = (cause: Cause, response?: RejectedEvent): void => {
        reject(new HandshakeError(cause, response));
      };
      const peer = new Peer<Context>(connection, transport, webHost, options, {
        onOpen: resolve,
        onRejected: (_, response) => {
          fail(causeOf("peer", "rejected"), response);
        },
        onClosing: (_, { cause }) => {
          fail(cause);
        },
        onClosed: (_, { cause }) => {
          fail(cause);
        },
      });
      abort = () => {
        peer.terminate();
      };
      signal?.addEventListener("abort", abort);
      if (signal?.aborted === true) abort();
      transport.start(peer.pump);
    });
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
