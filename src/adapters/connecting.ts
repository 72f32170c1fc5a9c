import type { ClientRequest } from "../client.js";
import { ClientConnection } from "../client.js";
import { UsageError } from "../errors.js";
import type { WebSocketUrl } from "../handshake/url.js";
import { parseUrl } from "../handshake/url.js";
import { causeOf } from "../rules.js";
import { dial, HandshakeError } from "./dial.js";
import type { ConnectionOptions } from "./endpoint.js";
import { adapterSettings } from "./endpoint.js";
import type { Handlers, Peer } from "./peer.js";
import { isThenable } from "./peer.js";
import type { Pump, Transport } from "./pump.js";
import { MAX_DELAY, systemHost, systemPlatform } from "./system.js";

// `connect` of every runtime, but for the transport itself.

/** How a connection is made and behaves, on every runtime; `tls` is each runtime's own. */
export interface Connecting<Context = unknown>
  extends ConnectionOptions, Handlers<Context>, Omit<ClientRequest, "url" | "method"> {
  /** The unix socket to connect to, in place of the URL's host. */
  readonly socketPath?: string | undefined;
  /** How long it may take until the connection is open, in milliseconds. Default 10000. */
  readonly timeout?: number | undefined;
  /** Gives up where it is aborted before the connection is open. */
  readonly signal?: AbortSignal | undefined;
}

/** A transport that can be had; it need not be connected yet. */
export interface Link {
  readonly transport: Transport;
  /** Tells `pump` from now on what happens to the transport, and runs it. */
  start(pump: Pump): void;
}

/** Makes what leads to `url`. `givenUp` is aborted where nobody waits for it any more. */
export type Open = (url: WebSocketUrl, givenUp: AbortSignal) => Link | PromiseLike<Link>;

/**
 * Connects to a ws: or wss: URL over what `open` makes. Resolves with the peer once the connection is open.
 * @throws {UsageError} for arguments that cannot be sent
 * @throws {HandshakeError} where the server rejects, breaks a rule, or cannot be reached
 */
export async function connectOver<Context>(
  url: string | URL,
  options: Connecting<Context>,
  open: Open,
): Promise<Peer<Context>> {
  const timeout = options.timeout ?? options.timeouts?.handshake ?? 10_000;
  const settings = adapterSettings(options, systemPlatform, timeout);
  const { headers, subprotocols, origin, signal } = options;
  if (!URL.canParse(String(url))) throw new UsageError("bad-url", `${String(url)} is no WebSocket URL`);
  const href = new URL(url).href; // percent-encodes, and writes other alphabets in ASCII
  const connection = new ClientConnection({ url: href, headers, subprotocols, origin }, settings);
  signal?.throwIfAborted();
  const link = await inTime(parseUrl(href), open, timeout, signal);
  const { peer, opened } = dial(connection, link.transport, systemHost, options);
  const abort = (): void => {
    peer.terminate();
  };
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  link.start(peer.pump);
  try {
    return await opened;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** The link, where it can be had in time. */
async function inTime(
  url: WebSocketUrl,
  open: Open,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Link> {
  const givenUp = new AbortController();
  let tooLate: (() => void) | undefined;
  try {
    const link = open(url, givenUp.signal);
    if (!isThenable(link)) return link;
    link.then(
      ({ transport }) => {
        if (givenUp.signal.aborted) transport.destroy();
      },
      () => undefined, // `race` reports it
    );
    const limit = new Promise<never>((_, reject) => {
      const giveUp = (error: Error): void => {
        givenUp.abort();
        reject(error);
      };
      // Somebody awaits it: unlike the host's timers, it keeps the process alive.
      const timer = setTimeout(
        () => {
          giveUp(new Error("there was no transport in time"));
        },
        Math.min(timeout, MAX_DELAY),
      );
      const aborted = (): void => {
        giveUp(new Error("aborted")); // the signal's own reason is what is thrown
      };
      signal?.addEventListener("abort", aborted, { once: true });
      tooLate = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
      };
    });
    return await Promise.race([link, limit]);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof UsageError) throw error;
    throw new HandshakeError(causeOf("transport", "transport-lost", undefined, error), undefined);
  } finally {
    tooLate?.();
  }
}
