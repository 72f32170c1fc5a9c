import type { WebSocketUrl } from "../handshake/url.js";
import type { Platform } from "../platform.js";
import { ChunkQueue } from "./chunks.js";
import type { Attempt } from "./dial.js";
import { dial } from "./dial.js";
import type { Server, Serving } from "./endpoint.js";
import { Endpoint, urlOf } from "./endpoint.js";
import { webHost } from "./engine.js";
import { addressOf, listenAnywhere } from "./listening.js";
import type { Peer } from "./peer.js";
import { reportTo } from "./peer.js";
import type { Pump, Transport } from "./pump.js";
import type { SocketConnecting } from "./system.js";
import { systemPlatform } from "./system.js";
import { requireSupported, unsupported } from "./unsupported.js";

export * from "./public.js";

/** What is used of Deno, and no more; a module's own, so that it is nobody else's global. */
declare const Deno: {
  listen(options: TcpPlace | UnixPlace): Listener;
  listenTls(options: TcpPlace & TlsKeys & { readonly alpnProtocols: string[] }): Listener;
  connect(options: (TcpPlace & { readonly signal: AbortSignal }) | UnixPlace): Promise<Conn>;
  connectTls(
    options: TcpPlace & (TlsKeys | object) & { readonly caCerts: string[]; readonly alpnProtocols: string[] },
  ): Promise<Conn>;
};

interface TcpPlace {
  readonly hostname: string;
  readonly port: number;
}

interface UnixPlace {
  readonly transport: "unix";
  readonly path: string;
}

interface TlsKeys {
  readonly key: string;
  readonly cert: string;
}

interface Listener {
  readonly addr: { readonly hostname?: string; readonly port?: number };
  accept(): Promise<Conn>;
  close(): void;
}

/** What is used of a `Deno.Conn`. */
export interface Conn {
  readonly remoteAddr: { readonly hostname?: string };
  /** How many bytes were read; null: the peer ended its side. */
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  /** Sends FIN. */
  closeWrite(): Promise<void>;
  close(): void;
  setNoDelay?(noDelay: boolean): void;
}

/** What Deno gives a connection: entropy, time, and faster kernels than the portable ones. */
export const denoPlatform: Platform = systemPlatform;

/** The transport takes more output while fewer than so many bytes are queued. */
const HIGH_WATER_MARK = 65536;

// A read that waits holds its buffer, so that an idle connection has a small one. It is read into again and again, and
// what came is copied: a fresh buffer for each read cost twice as much with small messages, and more with large ones, too.
const SMALLEST_READ = 2048;
const LARGEST_READ = 65536;

/** After so many reads in a row that a quarter of the buffer would have held, it is exchanged for a smaller one. */
const SMALL_READS = 64;

class ConnTransport implements Transport {
  private readonly conn: Conn;
  private readonly queue = new ChunkQueue();
  private pump: Pump | undefined;
  private reading = true;
  private isReading = false;
  private isWriting = false;
  private isFull = false;
  private ending = false;
  private outputEnded = false;
  private inputEnded = false;
  private gone = false;
  private buffer = new Uint8Array(SMALLEST_READ);
  private smallReads = 0;
  private readonly onGone: () => void;

  constructor(conn: Conn, onGone: () => void = () => undefined) {
    this.conn = conn;
    this.onGone = onGone;
  }

  get pending(): number {
    return this.queue.size;
  }

  get remoteAddress(): string | undefined {
    return this.conn.remoteAddr.hostname;
  }

  start(pump: Pump): void {
    this.pump = pump;
    pump.run();
    void this.readAll(pump);
  }

  write(chunks: readonly Uint8Array[]): boolean {
    this.queue.push(chunks);
    if (!this.isWriting) void this.writeAll();
    this.isFull = this.queue.size >= HIGH_WATER_MARK;
    return !this.isFull;
  }

  end(): void {
    this.ending = true;
    if (!this.isWriting) void this.writeAll();
  }

  destroy(): void {
    if (this.gone) return;
    this.gone = true;
    this.queue.clear();
    this.conn.close();
    this.onGone();
  }

  read(on: boolean): void {
    this.reading = on;
    if (on && this.pump !== undefined) void this.readAll(this.pump);
  }

  private async readAll(pump: Pump): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    try {
      while (this.reading && !this.inputEnded && !this.gone) {
        const { buffer } = this;
        const count = await this.conn.read(buffer);
        if (this.gone) return;
        if (count === null) {
          this.inputEnded = true;
          pump.receiveEnd();
          this.closeIfOver();
        } else {
          pump.receive(buffer.subarray(0, count), false);
          this.fit(count);
        }
      }
    } catch (error) {
      this.lost(error);
    } finally {
      this.isReading = false;
    }
  }

  /** Makes the buffer larger where it was filled, and smaller again. */
  private fit(count: number): void {
    const { length } = this.buffer;
    this.smallReads = count * 4 < length ? this.smallReads + 1 : 0;
    if (count === length && length < LARGEST_READ) this.buffer = new Uint8Array(length * 2);
    else if (this.smallReads > SMALL_READS && length > SMALLEST_READ) {
      this.buffer = new Uint8Array(length / 2);
      this.smallReads = 0;
    }
  }

  private async writeAll(): Promise<void> {
    this.isWriting = true;
    try {
      for (let bytes = this.queue.peek(); bytes !== undefined; bytes = this.queue.peek()) {
        const taken = await this.conn.write(bytes);
        if (this.gone) return;
        this.queue.drop(taken);
        if (this.isFull && this.queue.size < HIGH_WATER_MARK) {
          this.isFull = false;
          this.pump?.writable();
        }
      }
      if (this.ending && !this.outputEnded) {
        this.outputEnded = true;
        await this.conn.closeWrite();
        this.closeIfOver();
      }
    } catch (error) {
      this.lost(error);
    } finally {
      this.isWriting = false;
    }
  }

  private closeIfOver(): void {
    if (this.inputEnded && this.outputEnded) this.lost(undefined);
  }

  private lost(error: unknown): void {
    if (this.gone) return;
    this.destroy();
    this.pump?.lost(error);
  }
}

const ALPN = ["http/1.1"];

/** PEM, as text or bytes. */
type Pem = string | Uint8Array;

/** A server's certificate and key. */
export interface ServeTlsOptions {
  readonly key: Pem;
  readonly cert: Pem;
}

/** Whom a client trusts, and who it is. */
export interface ConnectTlsOptions {
  /** Authorities to trust besides the well-known ones. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  readonly key?: Pem | undefined;
  readonly cert?: Pem | undefined;
}

/** Where to listen, and all that an endpoint takes. */
export interface ServeOptions<Context = unknown> extends Serving<Context> {
  /**
   * Given, the server speaks wss: its certificate and key. Deno finishes TLS before it closes a connection: who never speaks
   * it is forgotten in time, but keeps a socket open. Put what ends TLS in front of a public server.
   */
  readonly tls?: ServeTlsOptions | undefined;
}

/**
 * Serves WebSockets, and nothing else, on a port of its own. Resolves once it listens; rejects with the system's error
 * where it cannot.
 * @throws {UsageError} "bad-option", "unsupported"
 */
// eslint-disable-next-line @typescript-eslint/require-await -- what is thrown is a rejection, as on every runtime
export async function serve<Context = unknown>(options: ServeOptions<Context>): Promise<Server<Context>> {
  const { tls, socketPath } = options;
  requireSupported(tls, ["key", "cert"], "Deno");
  const endpoint = new Endpoint(options, denoPlatform, webHost);
  const listener = listen(options);
  const transports = new Set<ConnTransport>();
  let isOpen = true;
  const accept = async (): Promise<void> => {
    while (isOpen) {
      try {
        const conn = await listener.accept();
        conn.setNoDelay?.(true);
        const transport = new ConnTransport(conn, () => transports.delete(transport));
        transports.add(transport);
        endpoint.begin(transport);
      } catch (error) {
        if (!isOpen) return;
        reportTo(options, webHost, error, undefined); // a connection could not be accepted
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_AGAIN_AFTER));
      }
    }
  };
  const accepting = accept();
  const address = socketPath ?? addressOf(listener.addr);
  return {
    address,
    url: urlOf(address, tls !== undefined),
    peers: endpoint.peers,
    async close(closeOptions) {
      const gone = endpoint.close(closeOptions);
      if (isOpen) listener.close();
      isOpen = false;
      await gone;
      await accepting;
      for (const transport of transports) transport.destroy(); // last bytes that are not read
    },
  };
}

/** A system that is out of sockets is not asked again at once; in milliseconds. */
const ACCEPT_AGAIN_AFTER = 100;

function listen<Context>({ host, port = 0, socketPath, tls }: ServeOptions<Context>): Listener {
  if (socketPath !== undefined) {
    if (tls !== undefined) throw unsupported("Deno", "there is no TLS over a unix socket");
    return Deno.listen({ transport: "unix", path: socketPath });
  }
  const at = (hostname: string): Listener =>
    tls === undefined
      ? Deno.listen({ hostname, port })
      : Deno.listenTls({ hostname, port, key: text(tls.key), cert: text(tls.cert), alpnProtocols: ALPN });
  return host === undefined ? listenAnywhere(at) : at(host);
}

/** How to connect, and how the connection behaves. */
export interface ConnectOptions<Context = unknown> extends SocketConnecting<Context> {
  /** With wss: a certificate authority, for example. */
  readonly tls?: ConnectTlsOptions | undefined;
  /** Makes the connection to speak over: where proxies and tunnels plug in. With wss it must speak TLS already. */
  createConnection?(this: void, url: WebSocketUrl): Conn | Promise<Conn>;
}

/**
 * Connects to a ws: or wss: URL. Resolves with the peer once the connection is open.
 * @throws {UsageError} for arguments that cannot be sent, and for what Deno cannot do
 * @throws {HandshakeError} where the server rejects, breaks a rule, or cannot be reached
 */
export async function connect<Context = unknown>(
  url: string | URL,
  options: ConnectOptions<Context> = {},
): Promise<Peer<Context>> {
  requireSupported(options.tls, ["ca", "key", "cert"], "Deno");
  const { createConnection } = options;
  return dial(url, options, denoPlatform, async (attempt) => {
    const conn = await (createConnection === undefined
      ? open(attempt, options)
      : createConnection(attempt.url));
    conn.setNoDelay?.(true);
    return new ConnTransport(conn);
  });
}

// Where connecting is aborted just as it succeeds, Deno rejects and leaves the socket open: so that is the last resort, for what
// would keep the process alive for minutes. What connects after all is closed.
const HOPELESS_AFTER = 2000;

function open<Context>(
  { url: { host: hostname, port, secure }, givenUp }: Attempt,
  { socketPath, tls }: ConnectOptions<Context>,
): Promise<Conn> {
  if (socketPath !== undefined) {
    if (secure) throw unsupported("Deno", "there is no TLS over a unix socket");
    return Deno.connect({ transport: "unix", path: socketPath });
  }
  if (!secure) {
    const controller = new AbortController();
    const conn = Deno.connect({ hostname, port, signal: controller.signal });
    givenUp(() => {
      const cancel = webHost.after(HOPELESS_AFTER, () => {
        controller.abort();
      });
      conn.then(cancel, cancel);
    });
    return conn;
  }
  const { ca = [], key, cert } = tls ?? {};
  const caCerts = (typeof ca === "string" || ca instanceof Uint8Array ? [ca] : ca).map(text);
  const keys = key === undefined || cert === undefined ? {} : { key: text(key), cert: text(cert) };
  return Deno.connectTls({ hostname, port, caCerts, alpnProtocols: ALPN, ...keys });
}

const decoder = new TextDecoder();

function text(pem: Pem): string {
  return typeof pem === "string" ? pem : decoder.decode(pem);
}
