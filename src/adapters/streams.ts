import type { Connection } from "../connection.js";
import type { ResponseData } from "../handshake/negotiation.js";
import type { RequestData } from "../handshake/request.js";
import type { WebSocketUrl } from "../handshake/url.js";
import type { Connecting } from "./dial.js";
import { dial } from "./dial.js";
import type { CloseOptions, EndpointOptions } from "./endpoint.js";
import { Endpoint } from "./endpoint.js";
import { webHost, webPlatform } from "./engine.js";
import type { Handlers } from "./peer.js";
import { Peer } from "./peer.js";
import type { Pump, Transport } from "./pump.js";

export * from "./public.js";
export { webPlatform } from "./engine.js";

// Any pair of WHATWG streams of bytes. What is needed of them is declared here, so that every engine's own fit.

/** A pair of byte streams: a Cloudflare socket, a `Deno.Conn`, a WebTransport stream, the ends of two pipes. */
export interface ByteStreams {
  readonly readable: ByteReadable;
  readonly writable: ByteWritable;
}

/** A `ReadableStream` whose chunks are `Uint8Array`s. */
export interface ByteReadable {
  getReader(): ByteReader;
}

/** What is needed of a `ReadableStreamDefaultReader`. */
export interface ByteReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<unknown>;
  releaseLock(): void;
}

/** A `WritableStream` that takes `Uint8Array`s. What is written to it is its own: it may be transferred. */
export interface ByteWritable {
  getWriter(): ByteWriter;
}

/** What is needed of a `WritableStreamDefaultWriter`. */
export interface ByteWriter {
  readonly desiredSize: number | null;
  readonly closed: Promise<unknown>;
  write(chunk: Uint8Array): Promise<unknown>;
  close(): Promise<unknown>;
  abort(reason?: unknown): Promise<unknown>;
  releaseLock(): void;
}

/** A stream without a queue, whose `desiredSize` is never above 0, is handed this many bytes before it is waited for, so that small messages do not go one by one. */
const WRITE_AHEAD = 65536;

class StreamsTransport implements Transport {
  pending = 0;
  readonly remoteAddress: string | undefined;
  private readonly reader: ByteReader;
  private readonly writer: ByteWriter;
  private pump: Pump | undefined;
  private reading = true;
  private resume: (() => void) | undefined;
  private full = false;
  private gone = false;

  constructor({ readable, writable }: ByteStreams, remoteAddress?: string) {
    this.remoteAddress = remoteAddress;
    this.writer = writable.getWriter();
    try {
      this.reader = readable.getReader();
    } catch (error) {
      this.writer.releaseLock();
      throw error;
    }
  }

  /** Before `start`: the streams are the caller's again. */
  release(): void {
    this.reader.releaseLock();
    this.writer.releaseLock();
  }

  start(pump: Pump): void {
    this.pump = pump;
    this.writer.closed.then(undefined, this.lost);
    void this.pull(pump);
    pump.run();
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const bytes = joined(chunks);
    const { length } = bytes; // whoever transfers it leaves none behind
    this.pending += length;
    this.writer.write(bytes).then(() => {
      this.written(length);
    }, this.lost);
    this.full = !this.takesMore;
    return !this.full;
  }

  end(): void {
    this.writer.close().then(undefined, this.lost);
  }

  destroy(): void {
    this.drop(new Error("the connection was dropped"));
  }

  read(on: boolean): void {
    this.reading = on;
    if (on) this.resume?.();
  }

  private get takesMore(): boolean {
    return this.pending < WRITE_AHEAD || (this.writer.desiredSize ?? 1) > 0;
  }

  // The writer's `ready` would never come where there is no queue.
  private written(length: number): void {
    if (this.gone) return;
    this.pending -= length;
    if (!this.full || !this.takesMore) return;
    this.full = false;
    this.pump?.writable();
  }

  private readonly lost = (error: unknown): void => {
    if (this.gone) return;
    this.drop(error);
    this.pump?.lost(error);
  };

  /** Ends both streams: where one is lost, the other would hold what is behind it for ever. */
  private drop(reason: unknown): void {
    if (this.gone) return;
    this.gone = true;
    this.pending = 0;
    this.reader.cancel(reason).then(undefined, this.lost);
    this.writer.abort(reason).then(undefined, this.lost);
  }

  private async pull(pump: Pump): Promise<void> {
    for (;;) {
      if (!this.reading) {
        await new Promise<void>((resolve) => {
          this.resume = resolve;
        });
        this.resume = undefined;
      }
      let next: Awaited<ReturnType<ByteReader["read"]>>;
      try {
        next = await this.reader.read();
      } catch (error) {
        this.lost(error);
        return;
      }
      if (this.gone) return;
      if (next.done) {
        pump.receiveEnd();
        return;
      }
      if (!(next.value instanceof Uint8Array)) {
        this.lost(new TypeError("the stream gives something else than Uint8Arrays"));
        return;
      }
      pump.receive(next.value, false); // it may be anybody's
    }
  }
}

/** One buffer of its own: the chunks are views of slabs that connections share, which nobody must transfer. */
function joined(chunks: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * Drives a connection over a pair of streams, which it locks. The connection may be a server's, a client's, or one that is
 * open already; give it the `webPlatform`, and `halfClose` where closing `writable` leaves `readable` open.
 * @throws {TypeError} where a stream is locked
 */
export function attach<Context = unknown>(
  streams: ByteStreams,
  connection: Connection,
  handlers: Handlers<Context> = {},
): Peer<Context> {
  const transport = new StreamsTransport(streams);
  const peer = new Peer(connection, transport, webHost, handlers);
  transport.start(peer.pump);
  return peer;
}

/** What is known of a pair of streams besides its bytes. */
export interface Arrival {
  /** Who is at the other end, for the `upgrade` hook and `peer.remoteAddress`. */
  readonly remoteAddress?: string | undefined;
  /** The request, where an HTTP server has read it already. Default: it is read from the stream. */
  readonly request?: RequestData | undefined;
  /** The bytes that were read past that request. */
  readonly head?: Uint8Array | undefined;
  /**
   * Sends the response, for a request whose response is no bytes of the stream: extended CONNECT (RFC 8441, RFC 9220). It
   * is called once, before anything is written. The body that a rejection may have is to be written behind it.
   */
  respond?(this: void, response: ResponseData): void;
}

/** A server's part on streams that somebody else accepts. */
export interface StreamsEndpoint<Context = unknown> {
  /** The peers that are open or closing. */
  readonly peers: ReadonlySet<Peer<Context>>;
  /**
   * Begins the opening handshake on a pair of streams, which it locks; it needs no `this`.
   * @throws {TypeError} where a stream is locked
   */
  readonly accept: (this: void, streams: ByteStreams, arrival?: Arrival) => void;
  /** Closes every peer with 1001 and waits for them, a bounded time. New requests are answered 503. */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Makes what lets clients in that come as pairs of streams.
 * @throws {UsageError} "bad-option"
 */
export function streamsEndpoint<Context = unknown>(
  options: EndpointOptions<Context>,
): StreamsEndpoint<Context> {
  const endpoint = new Endpoint(options, webPlatform, webHost);
  return {
    peers: endpoint.peers,
    accept(streams, { remoteAddress, request, head, respond } = {}) {
      const transport = new StreamsTransport(streams, remoteAddress);
      try {
        endpoint.begin(transport, request, head, respond);
      } catch (error) {
        transport.release();
        throw error;
      }
    },
    close: async (closeOptions) => endpoint.close(closeOptions),
  };
}

/** How to connect, and how the connection behaves. */
export interface ConnectOptions<Context = unknown> extends Connecting<Context> {
  /** Makes the streams to speak over. With wss they must speak TLS already. */
  createConnection(this: void, url: WebSocketUrl): ByteStreams | Promise<ByteStreams>;
}

/**
 * Connects to a ws: or wss: URL. Resolves with the peer once the connection is open.
 * @throws {UsageError} for arguments that cannot be sent
 * @throws {HandshakeError} where the server rejects, breaks a rule, or cannot be reached
 */
export async function connect<Context = unknown>(
  url: string | { readonly href: string },
  options: ConnectOptions<Context>,
): Promise<Peer<Context>> {
  return dial(url, options, webPlatform, async ({ url: to }) => {
    return new StreamsTransport(await options.createConnection(to));
  });
}
