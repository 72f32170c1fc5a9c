import type { IncomingMessage } from "node:http";
import type { AddressInfo, ListenOptions } from "node:net";
import * as net from "node:net";
import type { Duplex } from "node:stream";
import { Writable } from "node:stream";
import * as tls from "node:tls";

import type { Connection } from "../connection.js";
import type { HeaderList } from "../handshake/headers.js";
import type { WebSocketUrl } from "../handshake/url.js";
import type { Platform } from "../platform.js";
import type { Settings } from "../settings.js";
import { dial } from "./dial.js";
import type { CloseOptions, EndpointOptions, Server, Serving } from "./endpoint.js";
import { Endpoint, urlOf } from "./endpoint.js";
import { MAX_DELAY, webHost } from "./engine.js";
import type { Handlers } from "./peer.js";
import { isThenable, Peer, reportTo } from "./peer.js";
import type { Pump, Transport } from "./pump.js";
import type { SocketConnecting } from "./system.js";
import { systemPlatform } from "./system.js";

export * from "./public.js";

/** What Node gives a connection: entropy, time, and faster kernels than the portable ones. */
export const nodePlatform: Platform = systemPlatform;

/** The methods that bytes pass on their way to the system. */
interface Writing {
  readonly write: unknown;
  readonly _write: unknown;
  readonly _writev: unknown;
  readonly _writeGeneric: unknown;
}

const socket = net.Socket.prototype as unknown as Writing;
const stream: Pick<Writing, "write"> = Writable.prototype;
/** Node's own: its sockets write as every stream of Node does. What was done to the others before this was loaded is not seen. */
const NATIVE: Writing = {
  write: stream.write,
  _write: socket._write,
  _writev: socket._writev,
  _writeGeneric: socket._writeGeneric,
};

/** What a stream drives. The listeners find it there, so that all connections share them: five for each take more memory than pump and transport. */
const PUMP = Symbol("pump");

interface Driven extends Duplex {
  [PUMP]?: Pump;
}

function onError(this: Driven, error: unknown): void {
  this[PUMP]?.lost(error);
}

function onClose(this: Driven): void {
  this[PUMP]?.lost();
}

function onEnd(this: Driven): void {
  this[PUMP]?.receiveEnd();
}

function onDrain(this: Driven): void {
  this[PUMP]?.writable();
}

function onData(this: Driven, chunk: unknown): void {
  if (chunk instanceof Uint8Array) {
    // A socket's chunks are fresh buffers that nobody else sees; another stream's may be anybody's.
    this[PUMP]?.receive(chunk, this instanceof net.Socket);
    return;
  }
  const what = typeof chunk === "string" ? "strings: leave out setEncoding()" : "something else than bytes";
  this.destroy(new TypeError(`the stream gives ${what}`));
}

class DuplexTransport implements Transport {
  private readonly duplex: Driven;
  private pump: Pump | undefined;
  /** Whether it is one of Node's own sockets, unencrypted. */
  private readonly isSocket: boolean;

  constructor(duplex: Duplex) {
    this.duplex = duplex;
    this.isSocket = Object.getPrototypeOf(duplex) === net.Socket.prototype;
  }

  start(pump: Pump): void {
    const { duplex } = this;
    const before = duplex[PUMP];
    duplex[PUMP] = this.pump = pump;
    // Once each, whatever became of those that another connection added.
    duplex.off("error", onError).on("error", onError);
    duplex.off("close", onClose).on("close", onClose);
    duplex.off("end", onEnd).on("end", onEnd);
    duplex.off("drain", onDrain).on("drain", onDrain);
    duplex.off("data", onData).on("data", onData);
    before?.lost(new Error("another connection was attached to its stream"));
    duplex.allowHalfOpen = true; // else a FIN would end our side before all is written (an https.Server's sockets do)
    if (duplex instanceof net.Socket) {
      duplex.setNoDelay(true);
      duplex.setTimeout(0); // an HTTP server's time-out is not ours
    }
    duplex.resume(); // it may have been paused, which a listener does not undo
    if (duplex.readableEnded) pump.receiveEnd();
    if (duplex.destroyed) pump.lost(duplex.errored ?? undefined);
    else pump.run();
  }

  get pending(): number {
    return this.duplex.destroyed ? 0 : this.duplex.writableLength;
  }

  /** Another stream, or a socket whose methods somebody has replaced, may keep what it was given. */
  get isWritten(): boolean {
    if (!this.isSocket || this.duplex.writableLength > 0) return false;
    const own = this.duplex as unknown as Writing;
    return (
      own.write === NATIVE.write &&
      own._write === NATIVE._write &&
      own._writev === NATIVE._writev &&
      own._writeGeneric === NATIVE._writeGeneric
    );
  }

  get remoteAddress(): string | undefined {
    return this.duplex instanceof net.Socket ? this.duplex.remoteAddress : undefined;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const { duplex } = this;
    const first = chunks[0];
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
    if (this.duplex[PUMP] === this.pump) this.duplex.destroy(); // else it is another connection's by now
  }

  read(on: boolean): void {
    if (on) this.duplex.resume();
    else this.duplex.pause();
  }
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
  const transport = new DuplexTransport(duplex);
  const peer = new Peer(connection, transport, webHost, handlers);
  transport.start(peer.pump);
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
  const endpoint = new Endpoint(options, nodePlatform, webHost);
  return {
    peers: endpoint.peers,
    handleUpgrade(request, socket, head) {
      const { method = "", url = "", rawHeaders, httpVersion } = request;
      const data = { method, target: url, headers: pairs(rawHeaders), httpVersion };
      endpoint.begin(new DuplexTransport(socket), data, head);
    },
    close: async (closeOptions) => endpoint.close(closeOptions),
  };
}

/** Where to listen, and all that an endpoint takes. */
export interface ServeOptions<Context = unknown> extends Serving<Context> {
  /** Given, the server speaks wss: certificate and key, as `tls.createServer` takes them. */
  readonly tls?: tls.TlsOptions | undefined;
}

/**
 * Serves WebSockets, and nothing else, on a port of its own. Resolves once it listens; rejects with the system's error
 * where it cannot.
 * @throws {UsageError} "bad-option"
 */
export async function serve<Context = unknown>(options: ServeOptions<Context>): Promise<Server<Context>> {
  const endpoint = new Endpoint(options, nodePlatform, webHost);
  const listener = (socket: net.Socket): void => {
    endpoint.begin(new DuplexTransport(socket));
  };
  // A peer that has ended its side is still to be answered.
  const server =
    options.tls === undefined
      ? net.createServer({ allowHalfOpen: true }, listener)
      : tls.createServer(
          { ...tlsDefaults(endpoint.settings), ...options.tls, allowHalfOpen: true },
          listener,
        );
  // The connections that are no peers yet, or no more: TLS that was not negotiated, last bytes that are not read.
  const sockets = new Set<net.Socket>();
  function forget(this: net.Socket): void {
    sockets.delete(this);
  }
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("close", forget);
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
        reportTo(options, webHost, error, undefined); // a connection could not be accepted
      });
      resolve();
    });
  });
  const address = server.address() as AddressInfo | string;
  return {
    address,
    url: urlOf(address, options.tls !== undefined),
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
export interface ConnectOptions<Context = unknown> extends SocketConnecting<Context> {
  /** Further options for `tls.connect`, with wss: a certificate authority, for example. */
  readonly tls?: tls.ConnectionOptions | undefined;
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
  const { createConnection } = options;
  return dial(url, options, nodePlatform, ({ url: to }) => {
    const made = createConnection === undefined ? openSocket(to, options) : createConnection(to);
    return isThenable(made) ? made.then((duplex) => new DuplexTransport(duplex)) : new DuplexTransport(made);
  });
}

/** A socket that is to be connected. */
function openSocket<Context>(
  url: WebSocketUrl,
  { socketPath, tls: tlsOptions }: ConnectOptions<Context>,
): net.Socket {
  const to = socketPath === undefined ? { host: url.host, port: url.port } : { path: socketPath };
  if (!url.secure) return net.connect({ ...to, allowHalfOpen: true });
  // Documented, but not in the types.
  const halfOpen: tls.ConnectionOptions & { allowHalfOpen: boolean } = { allowHalfOpen: true };
  const name = net.isIP(url.host) === 0 ? { servername: url.host } : {}; // RFC 6066 3: no addresses
  return tls.connect({ ...to, ...name, ALPNProtocols: ["http/1.1"], ...tlsOptions, ...halfOpen });
}

function pairs(raw: readonly string[]): HeaderList {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i] as string, raw[i + 1] as string]);
  return list;
}

function tlsDefaults({ timeouts }: Settings): tls.TlsOptions {
  // Who never speaks TLS is given up as who never finishes the opening handshake.
  const handshakeTimeout = Math.min(timeouts.handshake, MAX_DELAY);
  return { ALPNProtocols: ["http/1.1"], handshakeTimeout };
}
