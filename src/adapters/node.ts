import { randomFillSync } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, ListenOptions } from "node:net";
import * as net from "node:net";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";

import type { ClientRequest } from "../client.js";
import { ClientConnection } from "../client.js";
import type { Connection } from "../connection.js";
import { UsageError } from "../errors.js";
import type { HeaderList } from "../handshake/headers.js";
import type { WebSocketUrl } from "../handshake/url.js";
import { parseUrl } from "../handshake/url.js";
import type { Platform } from "../platform.js";
import { causeOf } from "../rules.js";
import { dial, HandshakeError } from "./dial.js";
import type { CloseOptions, ConnectionOptions, EndpointOptions } from "./endpoint.js";
import { adapterSettings, Endpoint } from "./endpoint.js";
import type { Handlers } from "./peer.js";
import { nodeUtf8 } from "./node-utf8.js";
import { Peer, reportTo } from "./peer.js";
import type { Host, Pump, Transport } from "./pump.js";
import { simdMask, simdMaskInto } from "./simd.js";
import { zlibCodec } from "./zlib.js";

export { HandshakeError } from "./dial.js";
export type { Accept, Answer, CloseOptions, ConnectionOptions, EndpointOptions } from "./endpoint.js";
export type { Handlers, Message } from "./peer.js";
export { Peer, PeerMessageWriter } from "./peer.js";
export type { DeflateOptions } from "../deflate/extension.js";
export { permessageDeflate } from "../deflate/extension.js";
export type { SendOptions } from "../message/prepared.js";
export { PreparedMessage } from "../message/prepared.js";
export { UsageError } from "../errors.js";

/** Random words are drawn from the system in bulk. */
const POOL_SIZE = 2048;
const pool = new Int32Array(POOL_SIZE);
let drawn = POOL_SIZE;

/** What Node gives a connection: entropy, time, UTF-8 coding, and WebAssembly to mask with. Bun and Deno have all of it, too. */
export const nodePlatform: Platform = {
  random() {
    if (drawn === POOL_SIZE) {
      randomFillSync(pool);
      drawn = 0;
    }
    const word = pool[drawn] as number;
    pool[drawn++] = 0; // a key that was used is not left lying around
    return word;
  },
  clock: () => performance.now(),
  utf8: nodeUtf8,
  mask: simdMask,
  maskInto: simdMaskInto,
  get deflate() {
    return zlibCodec(); // found out when it is first needed
  },
};

/** The longest delay that Node's timers know; a longer one would fire at once. */
const MAX_DELAY = 2 ** 31 - 1;

const host: Host = {
  now: () => performance.now(),
  after(milliseconds, run) {
    if (milliseconds === Infinity) return () => undefined;
    // After the poll phase: what arrived while the process was busy is life, and is read first.
    const timer = setTimeout(() => setImmediate(run), Math.min(milliseconds, MAX_DELAY)).unref();
    return () => {
      clearTimeout(timer);
    };
  },
  report: (error) => {
    console.error("sansocket: a handler failed:", error);
  },
};

class DuplexTransport implements Transport {
  private readonly duplex: Duplex;

  constructor(duplex: Duplex) {
    this.duplex = duplex;
  }

  get pending(): number {
    return this.duplex.destroyed ? 0 : this.duplex.writableLength;
  }

  get remoteAddress(): string | undefined {
    return this.duplex instanceof net.Socket ? this.duplex.remoteAddress : undefined;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const { duplex } = this;
    const [first] = chunks;
    if (chunks.length === 1 && first !== undefined) return duplex.write(first);
    let writable = true;
    duplex.cork();
    for (const chunk of chunks) writable = duplex.write(chunk);
    duplex.uncork();
    return writable;
  }

  end(): void {
    this.duplex.end();
  }

  destroy(): void {
    this.duplex.destroy();
  }

  read(on: boolean): void {
    if (on) this.duplex.resume();
    else this.duplex.pause();
  }
}

/** Wires a stream's events to a pump, and begins. */
function wire(duplex: Duplex, pump: Pump): void {
  // A socket's chunks are fresh buffers that nobody else sees; another stream's may be anybody's.
  const owned = duplex instanceof net.Socket;
  duplex.on("error", (error) => {
    pump.lost(error);
  });
  duplex.on("close", () => {
    pump.lost();
  });
  duplex.on("end", () => {
    pump.receiveEnd();
  });
  duplex.on("drain", () => {
    pump.writable();
  });
  duplex.on("data", (chunk: Uint8Array | string) => {
    if (typeof chunk === "string") {
      duplex.destroy(new TypeError("the stream gives strings: leave out setEncoding()"));
      return;
    }
    pump.receive(chunk, owned);
  });
  duplex.allowHalfOpen = true; // else a FIN would end our side before all is written (an https.Server's sockets do)
  if (duplex instanceof net.Socket) {
    duplex.setNoDelay(true);
    duplex.setTimeout(0); // an HTTP server's time-out is not ours
  }
  duplex.resume(); // it may have been paused, which a listener does not undo
  if (duplex.readableEnded) pump.receiveEnd();
  if (duplex.destroyed) pump.lost();
  else pump.run();
}

/**
 * Drives a connection over any duplex stream of bytes. The connection may be a server's, a client's, or one that is open
 * already; give it the `nodePlatform`, and `halfClose` where the stream's sides end one by one.
 */
export function attach<Context = unknown>(
  duplex: Duplex,
  connection: Connection,
  handlers: Handlers<Context> = {},
): Peer<Context> {
  const peer = new Peer(connection, new DuplexTransport(duplex), host, handlers);
  wire(duplex, peer.pump);
  return peer;
}

/** A server's part on `http.Server`s that are somebody else's: hand it their `upgrade` events. */
export interface UpgradeEndpoint<Context = unknown> {
  /** The peers that are open or closing. */
  readonly peers: ReadonlySet<Peer<Context>>;
  /**
   * The listener for the event `upgrade` of any `http.Server` or `https.Server`; it needs no `this`. It answers every request:
   * where several endpoints share a server, call the right one from a listener of your own.
   */
  readonly handleUpgrade: (this: void, request: IncomingMessage, socket: Duplex, head: Uint8Array) => void;
  /** Closes every peer with 1001 and waits for them, a bounded time. New requests are answered 503. */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Makes the listener for an HTTP server's `upgrade` event, so that WebSockets share its port.
 * @throws {UsageError} "bad-option"
 */
export function upgradeEndpoint<Context = unknown>(
  options: EndpointOptions<Context>,
): UpgradeEndpoint<Context> {
  const endpoint = new Endpoint(options, nodePlatform, host);
  return {
    peers: endpoint.peers,
    handleUpgrade(request, socket, head) {
      const { method = "", url = "", rawHeaders, httpVersion } = request;
      const data = { method, target: url, headers: pairs(rawHeaders), httpVersion };
      wire(socket, endpoint.begin(new DuplexTransport(socket), data, head).pump);
    },
    close: async (closeOptions) => endpoint.close(closeOptions),
  };
}

/** Where to listen, and all that an endpoint takes. */
export interface ServeOptions<Context = unknown> extends EndpointOptions<Context> {
  /** The TCP port; 0 for any that is free. */
  readonly port?: number | undefined;
  /** The address to listen on. Default: as `net.Server.listen` has it, all of them. */
  readonly host?: string | undefined;
  /** The unix socket to listen on, in place of a port. */
  readonly socketPath?: string | undefined;
  /** Given, the server speaks wss: certificate and key, as `tls.createServer` takes them. */
  readonly tls?: tls.TlsOptions | undefined;
}

/** A server that listens. */
export interface Server<Context = unknown> {
  /** Where it listens: an address and a port, or the path of a unix socket. */
  readonly address: AddressInfo | string;
  /** Where to connect to: ws://host:port, or wss; empty on a unix socket. */
  readonly url: string;
  /** The peers that are open or closing. */
  readonly peers: ReadonlySet<Peer<Context>>;
  /** Stops listening, closes every peer with 1001 and waits for them, a bounded time. */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Serves WebSockets, and nothing else, on a port of its own. Resolves once it listens; rejects with the system's error
 * where it cannot.
 * @throws {UsageError} "bad-option"
 */
export async function serve<Context = unknown>(options: ServeOptions<Context>): Promise<Server<Context>> {
  const endpoint = new Endpoint(options, nodePlatform, host);
  const listener = (socket: net.Socket): void => {
    wire(socket, endpoint.begin(new DuplexTransport(socket)).pump);
  };
  // A peer that has ended its side is still to be answered.
  const server =
    options.tls === undefined
      ? net.createServer({ allowHalfOpen: true }, listener)
      : tls.createServer({ ...tlsDefaults(options), ...options.tls, allowHalfOpen: true }, listener);
  // The connections that are no peers yet, or no more: TLS that was not negotiated, last bytes that are not read.
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  // Node tells of TLS that was not negotiated, in time or at all, and leaves the socket open.
  server.on("tlsClientError", (_, socket: net.Socket) => socket.destroy());
  const where: ListenOptions = { port: options.port ?? 0 };
  if (options.host !== undefined) where.host = options.host;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.socketPath === undefined ? where : { path: options.socketPath }, () => {
      server.off("error", reject);
      server.on("error", (error) => {
        reportTo(options, host, error, undefined); // a connection could not be accepted
      });
      resolve();
    });
  });
  const address = server.address() as AddressInfo | string;
  return {
    address,
    url: typeof address === "string" ? "" : urlOf(address, options.tls !== undefined),
    peers: endpoint.peers,
    async close(closeOptions) {
      const gone = endpoint.close(closeOptions);
      const stopped = new Promise((resolve) => server.close(resolve));
      await gone;
      for (const socket of sockets) socket.destroy();
      await stopped;
    },
  };
}

/** How to connect, and how the connection behaves. */
export interface ConnectOptions<Context = unknown>
  extends ConnectionOptions, Handlers<Context>, Omit<ClientRequest, "url" | "method"> {
  /** Further options for `tls.connect`, with wss: a certificate authority, for example. */
  readonly tls?: tls.ConnectionOptions | undefined;
  /** The unix socket to connect to, in place of the URL's host. */
  readonly socketPath?: string | undefined;
  /** How long it may take until the connection is open, in milliseconds. Default 10000. */
  readonly timeout?: number | undefined;
  /** Gives up where it is aborted before the connection is open. */
  readonly signal?: AbortSignal | undefined;
  /** Makes the stream to speak over: where proxies and tunnels plug in. With wss it must speak TLS already. */
  createConnection?(this: void, url: WebSocketUrl): Duplex | Promise<Duplex>;
}

/**
 * Connects to a ws: or wss: URL. Resolves with the peer once the connection is open.
 * @throws {UsageError} for arguments that cannot be sent
 * @throws {HandshakeError} where the server rejects, breaks a rule, or cannot be reached
 */
export async function connect<Context = unknown>(
  url: string | URL,
  options: ConnectOptions<Context> = {},
): Promise<Peer<Context>> {
  const timeout = options.timeout ?? options.timeouts?.handshake ?? 10_000;
  const settings = adapterSettings(options, nodePlatform, timeout);
  const { headers, subprotocols, origin, signal } = options;
  if (!URL.canParse(String(url))) throw new UsageError("bad-url", `${String(url)} is no WebSocket URL`);
  const href = new URL(url).href; // percent-encodes, and writes other alphabets in ASCII
  const connection = new ClientConnection({ url: href, headers, subprotocols, origin }, settings);
  signal?.throwIfAborted();
  const duplex = await openTransport(parseUrl(href), options, timeout);
  const { peer, opened } = dial(connection, new DuplexTransport(duplex), host, options);
  const abort = (): void => {
    peer.terminate();
  };
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  wire(duplex, peer.pump);
  try {
    return await opened;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** The stream to speak over. It need not be connected yet, unless an application made it. */
async function openTransport<Context>(
  url: WebSocketUrl,
  { createConnection, socketPath, tls: tlsOptions, signal }: ConnectOptions<Context>,
  timeout: number,
): Promise<Duplex> {
  if (createConnection === undefined) {
    const to = socketPath === undefined ? { host: url.host, port: url.port } : { path: socketPath };
    if (!url.secure) return net.connect({ ...to, allowHalfOpen: true });
    // Documented, but not in the types.
    const halfOpen: tls.ConnectionOptions & { allowHalfOpen: boolean } = { allowHalfOpen: true };
    const name = net.isIP(url.host) === 0 ? { servername: url.host } : {}; // RFC 6066 3: no addresses
    return tls.connect({ ...to, ...name, ALPNProtocols: ["http/1.1"], ...tlsOptions, ...halfOpen });
  }
  const made = (async () => createConnection(url))();
  let tooLate: (() => void) | undefined;
  let givenUp = false;
  const limit = new Promise<never>((_, reject) => {
    const giveUp = (error: Error): void => {
      givenUp = true;
      reject(error);
    };
    // Somebody awaits it: unlike the host's timers, it keeps the process alive.
    const timer = setTimeout(
      () => {
        giveUp(new Error("createConnection took too long"));
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
  made.then(
    (duplex) => {
      if (givenUp) duplex.destroy();
    },
    () => undefined, // `race` reports it
  );
  try {
    return await Promise.race([made, limit]);
  } catch (error) {
    signal?.throwIfAborted();
    throw new HandshakeError(causeOf("transport", "transport-lost", undefined, error), undefined);
  } finally {
    tooLate?.();
  }
}

function pairs(raw: readonly string[]): HeaderList {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i] as string, raw[i + 1] as string]);
  return list;
}

function tlsDefaults({ timeouts }: ConnectionOptions): tls.TlsOptions {
  // Who never speaks TLS is given up as who never finishes the opening handshake.
  const handshakeTimeout = Math.min(timeouts?.handshake ?? 10_000, MAX_DELAY);
  return { ALPNProtocols: ["http/1.1"], handshakeTimeout };
}

function urlOf({ address, family, port }: AddressInfo, secure: boolean): string {
  const anywhere = address === "::" || address === "0.0.0.0";
  const host = anywhere ? "localhost" : family === "IPv6" ? `[${address}]` : address;
  return `${secure ? "wss" : "ws"}://${host}:${port}`;
}
