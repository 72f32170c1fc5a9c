import type { WebSocketUrl } from "../handshake/url.js";
import type { Platform } from "../platform.js";
import { ChunkQueue } from "./chunks.js";
import { dial } from "./dial.js";
import type { Server, Serving } from "./endpoint.js";
import { Endpoint, urlOf } from "./endpoint.js";
import { webHost } from "./engine.js";
import { addressOf, listenAnywhere } from "./listening.js";
import type { Peer } from "./peer.js";
import type { Pump, Transport } from "./pump.js";
import type { SocketConnecting } from "./system.js";
import { systemPlatform } from "./system.js";
import { requireSupported, unsupported } from "./unsupported.js";

export * from "./public.js";

/** What is used of Bun, and no more; a module's own, so that it is nobody else's global. */
declare const Bun: {
  listen(options: (TcpPlace | UnixPlace) & SocketOptions): Listener;
  connect(options: (TcpPlace | UnixPlace) & SocketOptions): Promise<Socket>;
};

interface TcpPlace {
  readonly hostname: string;
  readonly port: number;
}

interface UnixPlace {
  readonly unix: string;
}

interface SocketOptions {
  readonly socket: SocketHandler;
  readonly allowHalfOpen: boolean;
  readonly tls?: object | undefined;
}

interface Listener {
  readonly hostname?: string;
  readonly port?: number;
  stop(closeActiveConnections?: boolean): void;
}

interface Socket {
  data: SocketTransport | undefined;
  readonly remoteAddress: string | undefined;
  /** How many bytes were taken; -1: none ever will be. */
  write(bytes: Uint8Array): number;
  /** Sends FIN. */
  shutdown(): void;
  close(): void;
  pause(): void;
  resume(): void;
  setNoDelay(noDelay: boolean): boolean;
}

interface SocketHandler {
  readonly binaryType: "uint8array";
  open(this: void, socket: Socket): void;
  handshake(this: void, socket: Socket, success: boolean, error: Error | null): void;
  data(this: void, socket: Socket, bytes: Uint8Array): void;
  drain(this: void, socket: Socket): void;
  end(this: void, socket: Socket): void;
  close(this: void, socket: Socket, error?: Error): void;
  error(this: void, socket: Socket, error: Error): void;
}

/** What Bun gives a connection: entropy, time, and faster kernels than the portable ones. */
export const bunPlatform: Platform = systemPlatform;

class SocketTransport implements Transport {
  private readonly socket: Socket;
  private readonly queue = new ChunkQueue();
  private pump: Pump | undefined;
  /** False while TLS is negotiated: nothing is said to a server before it has shown who it is. */
  private isReady: boolean;
  private ending = false;
  private inputOver = false;
  private gone = false;
  private error: Error | undefined;

  constructor(socket: Socket, secure: boolean) {
    this.socket = socket;
    this.isReady = !secure;
  }

  get pending(): number {
    return this.queue.size;
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  get isWritten(): boolean {
    return this.queue.size === 0;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const wasEmpty = this.queue.size === 0;
    this.queue.push(chunks);
    return wasEmpty && this.flush();
  }

  end(): void {
    this.ending = true;
    if (this.queue.size === 0) this.socket.shutdown(); // it would drop what is queued
  }

  destroy(): void {
    this.gone = true;
    this.queue.clear();
    this.socket.close();
  }

  read(on: boolean): void {
    if (on) this.socket.resume();
    else this.socket.pause();
  }

  /** Writes what the socket takes; whether that was all. */
  private flush(): boolean {
    if (!this.isReady) return false;
    for (let bytes = this.queue.peek(); bytes !== undefined; bytes = this.queue.peek()) {
      const taken = this.socket.write(bytes);
      if (taken > 0) this.queue.drop(taken);
      if (taken < bytes.length) return false; // the rest at `drain`; where there is none any more, `close` comes
    }
    return true;
  }

  // From the socket

  start(pump: Pump): void {
    this.pump = pump;
    if (this.gone) pump.lost(this.error);
    else pump.run();
  }

  negotiated(): void {
    this.isReady = true;
    this.drained();
  }

  receive(bytes: Uint8Array): void {
    this.pump?.receive(bytes, true); // a buffer of its own each time
  }

  /** It is told oftener than it was waited for. */
  drained(): void {
    if (this.queue.size === 0 || !this.flush()) return;
    if (this.ending) this.socket.shutdown();
    this.pump?.writable();
  }

  inputEnded(): void {
    if (this.inputOver) return;
    this.inputOver = true;
    this.pump?.receiveEnd();
  }

  failed(error: Error | null | undefined): void {
    this.error ??= error ?? undefined;
  }

  closed(): void {
    // The peer's FIN after our own closes the socket, and may be told of only so.
    if (this.ending && !this.gone && this.error === undefined) this.inputEnded();
    this.gone = true;
    this.queue.clear();
    this.pump?.lost(this.error);
  }
}

/** What becomes of a socket once it is open; before, there is no `data`. */
const HANDLER: Omit<SocketHandler, "open"> = {
  binaryType: "uint8array",
  handshake({ data: transport }, success, error) {
    if (success) transport?.negotiated();
    else transport?.failed(error); // `close` comes
  },
  data({ data: transport }, bytes) {
    transport?.receive(bytes);
  },
  drain({ data: transport }) {
    transport?.drained();
  },
  end({ data: transport }) {
    transport?.inputEnded();
  },
  close({ data: transport }, error) {
    transport?.failed(error);
    transport?.closed();
  },
  error({ data: transport }, error) {
    transport?.failed(error);
  },
};

/** The one protocol that is spoken here, as TLS writes a list of them (RFC 7301 3.1). */
const ALPN = "\x08http/1.1";

/** The options of `Bun.listen`'s and `Bun.connect`'s `tls` that are handed on. */
const TLS_OPTIONS = [
  "key", "cert", "ca", "passphrase", "servername", "rejectUnauthorized", "requestCert", "ciphers", "secureOptions",
]; // prettier-ignore

/** PEM, as text or bytes. */
type Pem = string | Uint8Array<ArrayBuffer>;

/** Certificates and what is asked of the other side's: as `node:tls` names it. */
export interface TlsOptions {
  readonly key?: Pem | readonly Pem[] | undefined;
  readonly cert?: Pem | readonly Pem[] | undefined;
  /** The authorities to trust, in place of the well-known ones. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  readonly passphrase?: string | undefined;
  /** The name that the server's certificate must have. Default: the URL's host. */
  readonly servername?: string | undefined;
  readonly rejectUnauthorized?: boolean | undefined;
  readonly requestCert?: boolean | undefined;
  readonly ciphers?: string | undefined;
  readonly secureOptions?: number | undefined;
}

/** Where to listen, and all that an endpoint takes. */
export interface ServeOptions<Context = unknown> extends Serving<Context> {
  /** Given, the server speaks wss: its certificate and key. */
  readonly tls?: TlsOptions | undefined;
}

/**
 * Serves WebSockets, and nothing else, on a port of its own. Resolves once it listens; rejects with the system's error
 * where it cannot.
 * @throws {UsageError} "bad-option", "unsupported"
 */
// eslint-disable-next-line @typescript-eslint/require-await -- what is thrown is a rejection, as on every runtime
export async function serve<Context = unknown>(options: ServeOptions<Context>): Promise<Server<Context>> {
  const { tls, socketPath } = options;
  requireSupported(tls, TLS_OPTIONS, "Bun");
  const endpoint = new Endpoint(options, bunPlatform, webHost);
  const handling: SocketOptions = {
    allowHalfOpen: true, // a peer that has ended its side is still to be answered
    tls: tls && { ALPNProtocols: ALPN, ...tls },
    socket: {
      ...HANDLER,
      open(socket) {
        endpoint.begin(begin(socket, tls !== undefined));
      },
    },
  };
  const listener = listen(options, handling);
  const address = socketPath ?? addressOf(listener);
  return {
    address,
    url: urlOf(address, tls !== undefined),
    peers: endpoint.peers,
    async close(closeOptions) {
      const gone = endpoint.close(closeOptions);
      listener.stop();
      await gone;
      listener.stop(true); // last bytes that are not read
    },
  };
}

function listen<Context>(
  { host, port = 0, socketPath }: ServeOptions<Context>,
  handling: SocketOptions,
): Listener {
  if (socketPath !== undefined) return Bun.listen({ ...handling, unix: socketPath });
  const at = (hostname: string): Listener => Bun.listen({ ...handling, hostname, port });
  return host === undefined ? listenAnywhere(at) : at(host);
}

/** How to connect, and how the connection behaves. */
export interface ConnectOptions<Context = unknown> extends SocketConnecting<Context> {
  /** With wss: a certificate authority, for example. */
  readonly tls?: TlsOptions | undefined;
  /** Not on Bun, whose sockets are wired as they are made. */
  readonly createConnection?: undefined;
}

/**
 * Connects to a ws: or wss: URL. Resolves with the peer once the connection is open.
 * @throws {UsageError} for arguments that cannot be sent, and for what Bun cannot do
 * @throws {HandshakeError} where the server rejects, breaks a rule, or cannot be reached
 */
export async function connect<Context = unknown>(
  url: string | URL,
  options: ConnectOptions<Context> = {},
): Promise<Peer<Context>> {
  requireSupported(options.tls, TLS_OPTIONS, "Bun");
  if (options.createConnection !== undefined) {
    throw unsupported("Bun", "a connection is made here, not by createConnection: sansocket/node has that");
  }
  return dial(url, options, bunPlatform, ({ url: to }) => open(to, options));
}

async function open<Context>(
  { host, port, secure }: WebSocketUrl,
  { socketPath, tls }: ConnectOptions<Context>,
): Promise<Transport> {
  const place = socketPath === undefined ? { hostname: host, port } : { unix: socketPath };
  // Bun checks the certificate against the host name, which a unix socket does not have.
  const name = socketPath === undefined ? {} : { servername: host };
  return new Promise((resolve, reject) => {
    Bun.connect({
      ...place,
      allowHalfOpen: true,
      tls: secure ? { ALPNProtocols: ALPN, ...name, ...tls } : undefined,
      socket: {
        ...HANDLER,
        open(socket) {
          resolve(begin(socket, secure));
        },
      },
    }).catch(reject);
  });
}

/** A socket's transport, from the moment that it is open. */
function begin(socket: Socket, secure: boolean): SocketTransport {
  socket.setNoDelay(true);
  return (socket.data = new SocketTransport(socket, secure));
}
