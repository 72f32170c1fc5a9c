import { once } from "node:events";
import * as http2 from "node:http2";
import type { Duplex } from "node:stream";
import { addAbortSignal } from "node:stream";

import type { ClientConnection } from "../client.js";
import type { HeaderList } from "../handshake/headers.js";
import { headerValue, headerValues } from "../handshake/headers.js";
import type { ResponseData } from "../handshake/negotiation.js";
import type { RequestData } from "../handshake/request.js";
import { causeOf } from "../rules.js";
import type { Attempt, Connecting } from "./dial.js";
import { dial, HandshakeError } from "./dial.js";
import type { CloseOptions, EndpointOptions } from "./endpoint.js";
import { Endpoint } from "./endpoint.js";
import { webHost } from "./engine.js";
import { nodePlatform } from "./node.js";
import type { Peer } from "./peer.js";
import type { Pump, Transport } from "./pump.js";

export * from "./public.js";

// WebSockets on streams of HTTP/2 (RFC 8441), over node:http2.

/** One stream of a session. */
class StreamTransport implements Transport {
  protected readonly stream: http2.Http2Stream;
  private pump: Pump | undefined;

  constructor(stream: http2.Http2Stream) {
    this.stream = stream;
    stream.on("error", (error) => this.pump?.lost(error)); // destroyed before `start`, it must not throw
  }

  get pending(): number {
    return this.stream.destroyed ? 0 : this.stream.writableLength;
  }

  get remoteAddress(): string | undefined {
    const { session } = this.stream;
    return session === undefined || session.destroyed ? undefined : session.socket.remoteAddress;
  }

  start(pump: Pump): void {
    const { stream } = this;
    this.pump = pump;
    stream.on("close", () => {
      pump.lost(reset(stream));
    });
    stream.on("drain", () => {
      pump.writable();
    });
    this.readInto(pump);
    if (stream.destroyed)
      pump.lost(reset(stream)); // its `close` may have been before
    else pump.run();
  }

  write(chunks: readonly Uint8Array[]): boolean {
    let writable = true;
    this.stream.cork();
    for (const chunk of chunks) writable = this.stream.write(chunk);
    this.stream.uncork();
    return writable;
  }

  end(): void {
    this.stream.end(); // RFC 8441 5: END_STREAM
  }

  destroy(): void {
    // RFC 8441 5: RST_STREAM with CANCEL. `close(CANCEL)` would send END_STREAM before it.
    addAbortSignal(AbortSignal.abort(), this.stream as Duplex);
  }

  read(on: boolean): void {
    if (on) this.stream.resume();
    else this.stream.pause();
  }

  protected readInto(pump: Pump): void {
    const { stream } = this;
    stream.on("data", (chunk: Uint8Array) => {
      // A part of what the whole session read.
      pump.receive(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length), false);
    });
    stream.on("end", () => {
      if (stream.aborted)
        pump.lost(reset(stream)); // RST_STREAM: Node ends what it reads, too
      else pump.receiveEnd();
    });
  }
}

function reset({ aborted, rstCode }: http2.Http2Stream): Error | undefined {
  return aborted ? new Error(`the stream was reset with the code ${rstCode ?? 0} (RFC 9113 7)`) : undefined;
}

/** A server's part on HTTP/2 servers that are somebody else's: hand it their `stream` events. */
export interface Http2Endpoint<Context = unknown> {
  /** The peers that are open or closing. */
  readonly peers: ReadonlySet<Peer<Context>>;
  /**
   * The listener for the event `stream` of any HTTP/2 server; it needs no `this`. It answers every extended CONNECT (RFC 8441
   * 4), with 501 where its `:protocol` is not websocket, and returns true; it leaves every other request alone, and returns
   * false. A server that has a listener for `request` answers CONNECT by itself unless it has one for `connect`, too: hand
   * it in from there, as `handleStream(request.stream, request.headers, 0, request.rawHeaders)`.
   */
  readonly handleStream: (
    this: void,
    stream: http2.ServerHttp2Stream,
    headers: http2.IncomingHttpHeaders,
    flags?: number,
    rawHeaders?: readonly string[],
  ) => boolean;
  /** Closes every peer with 1001 and waits for them, a bounded time. New requests are answered 503. The sessions stay. */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Makes the listener for an HTTP/2 server's `stream` event. The server must be made with
 * `settings: { enableConnectProtocol: true }`: else no client may ask for a WebSocket.
 * @throws {UsageError} "bad-option"
 */
export function http2Endpoint<Context = unknown>(options: EndpointOptions<Context>): Http2Endpoint<Context> {
  const endpoint = new Endpoint(options, nodePlatform, webHost);
  return {
    peers: endpoint.peers,
    handleStream(stream, headers, _flags, rawHeaders) {
      const { ":method": method, ":protocol": protocol, ":path": target = "" } = headers;
      if (method !== "CONNECT" || typeof protocol !== "string") return false;
      const request: RequestData = {
        method,
        protocol,
        scheme: headers[":scheme"],
        authority: headers[":authority"],
        target,
        httpVersion: "2",
        headers: received(headers, rawHeaders),
      };
      const respond = ({ status, headers: list, body }: ResponseData): void => {
        if (stream.destroyed || stream.closed) return; // told by its `close`, or in `start`
        stream.respond({ ":status": status, ...toSend(list) });
        if (body !== undefined && !stream.writableEnded) stream.write(body); // 304 has none
      };
      endpoint.begin(new StreamTransport(stream), request, undefined, respond);
      return true;
    },
    close: async (closeOptions) => endpoint.close(closeOptions),
  };
}

/** How to connect, and how the connection behaves. */
export interface ConnectOptions<Context = unknown> extends Connecting<Context> {
  /**
   * The session to open a stream on, which stays open: several connections and requests share it. It must be one to the URL's
   * host, or to a proxy that knows the way. Default: a session of its own, closed with the connection.
   */
  readonly session?: http2.ClientHttp2Session | undefined;
  /** Further options for `http2.connect`, with wss: a certificate authority, for example. */
  readonly tls?: http2.SecureClientSessionOptions | undefined;
}

/**
 * Connects to a ws: or wss: URL over HTTP/2: to ws without TLS, where the server is known to speak HTTP/2 at once. Resolves
 * with the peer once the connection is open. Headers that HTTP/2 does not have (RFC 9113 8.2.2) are left out.
 * @throws {UsageError} for arguments that cannot be sent
 * @throws {HandshakeError} where the server rejects, breaks a rule, cannot be reached, or knows no extended CONNECT
 */
export async function connect<Context = unknown>(
  url: string | URL,
  options: ConnectOptions<Context> = {},
): Promise<Peer<Context>> {
  return dial(url, options, nodePlatform, (attempt) => openStream(attempt, options), "external");
}

/** A stream for an extended CONNECT, which is sent. */
async function openStream<Context>(
  { connection, settings, givenUp }: Attempt,
  options: ConnectOptions<Context>,
): Promise<Transport> {
  const { scheme, authority = "" } = connection.request;
  const session = options.session ?? http2.connect(`${scheme ?? ""}://${authority}`, options.tls);
  const own = options.session === undefined;
  if (own) {
    session.on("error", () => undefined); // told by what waits for it, and by the stream
    givenUp(() => {
      session.destroy();
    });
  }
  try {
    await requireExtendedConnect(session);
    const stream = session.request(requestHeaders(connection.request), { endStream: false });
    if (own) {
      stream.on("close", () => {
        leave(session);
      });
    }
    return new ClientStreamTransport(stream, connection, settings.limits.body, settings.timeouts.linger);
  } catch (error) {
    if (own) session.destroy();
    throw error;
  }
}

/** Sessions whose first SETTINGS arrived, or are waited for. */
const greeted = new WeakMap<http2.ClientHttp2Session, Promise<void>>();

/** Waits for the server's SETTINGS. RFC 8441 3: no extended CONNECT is sent before they allow it. */
async function requireExtendedConnect(session: http2.ClientHttp2Session): Promise<void> {
  const isAllowed = (): boolean => session.remoteSettings.enableConnectProtocol === true;
  if (isAllowed()) return;
  let known = greeted.get(session);
  if (known === undefined) {
    known = greeting(session);
    greeted.set(session, known);
    known.catch(() => greeted.delete(session)); // more PINGs than may be out, say: the session may be well
  }
  await known;
  if (isAllowed()) return;
  throw new HandshakeError(causeOf("peer", "extended-connect"), undefined);
}

async function greeting(session: http2.ClientHttp2Session): Promise<void> {
  if (session.connecting) {
    const closed = new AbortController();
    session.once("close", () => {
      closed.abort();
    });
    await once(session, "connect", { signal: closed.signal });
  }
  // RFC 9113 3.4: SETTINGS is the first frame that a server sends, so that the answer to a PING comes after it.
  await new Promise<void>((resolve, reject) => {
    session.ping((error: Error | null) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** Closes a session after its only stream; what does not leave is dropped. */
function leave(session: http2.ClientHttp2Session): void {
  session.close();
  const cancel = webHost.after(2000, () => {
    session.destroy();
  });
  session.on("close", cancel);
}

/** A client's stream: the response comes first. */
class ClientStreamTransport extends StreamTransport {
  private readonly connection: ClientConnection;
  private readonly bodyLimit: number;
  private readonly bodyTimeout: number;

  constructor(
    stream: http2.ClientHttp2Stream,
    connection: ClientConnection,
    bodyLimit: number,
    bodyTimeout: number,
  ) {
    super(stream);
    this.connection = connection;
    this.bodyLimit = bodyLimit;
    this.bodyTimeout = bodyTimeout;
  }

  protected override readInto(pump: Pump): void {
    // Nothing is read before: DATA that came with the response would overtake its event.
    this.stream.on("response", (headers: http2.IncomingHttpHeaders, _flags: number, raw?: string[]) => {
      const response = { status: Number(headers[":status"]), headers: received(headers, raw) };
      if (response.status === 200) {
        this.connection.receiveResponse(response);
        super.readInto(pump);
        pump.run();
      } else {
        this.readBody(response, pump);
      }
    });
  }

  /** Reads the body of a rejection, as far as the limit and the time go. */
  private readBody(response: ResponseData, pump: Pump): void {
    const { stream } = this;
    const kept: Uint8Array[] = [];
    let size = 0;
    let over = false;
    const finish = (complete: boolean): void => {
      if (over) return;
      over = true;
      cancel();
      this.connection.receiveResponse({ ...response, body: new Uint8Array(Buffer.concat(kept)) }, complete);
      pump.run();
    };
    const cancel = webHost.after(this.bodyTimeout, () => {
      finish(false);
    });
    stream.on("data", (chunk: Uint8Array) => {
      if (over) {
        pump.receive(chunk, false);
        return;
      }
      kept.push(chunk.subarray(0, this.bodyLimit - size));
      size += chunk.length;
      if (size > this.bodyLimit) finish(false);
    });
    stream.on("end", () => {
      finish(!stream.aborted);
      if (!stream.aborted) pump.receiveEnd();
    });
    stream.prependListener("close", () => {
      finish(false);
    });
  }
}

function requestHeaders(request: RequestData): http2.OutgoingHttpHeaders {
  return {
    ":method": request.method,
    ":protocol": request.protocol,
    ":scheme": request.scheme,
    ":authority": request.authority,
    ":path": request.target,
    ...toSend(request.headers),
  };
}

/** The fields that came, in the order of the wire, a name as often as it stood there. */
function received(headers: http2.IncomingHttpHeaders, raw: readonly string[] | undefined): HeaderList {
  const list: [string, string][] = [];
  if (raw === undefined) {
    for (const [name, value] of Object.entries(headers)) {
      for (const each of Array.isArray(value) ? value : [String(value)]) list.push([name, each]);
    }
  } else {
    for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i] as string, raw[i + 1] as string]);
  }
  return list.filter(([name]) => !name.startsWith(":"));
}

/** RFC 9113 8.2.2: these speak of a connection of HTTP/1.1. */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** Fields as node:http2 takes them: in lower case, doubled ones joined (RFC 9110 5.3) but for Set-Cookie. */
function toSend(list: HeaderList): http2.OutgoingHttpHeaders {
  const fields = new Map<string, string | string[] | undefined>(); // `constructor` is a name, too
  for (const [name] of list) {
    const lower = name.toLowerCase();
    if (CONNECTION_SPECIFIC.has(lower) || fields.has(lower)) continue;
    fields.set(lower, lower === "set-cookie" ? headerValues(list, lower) : headerValue(list, lower));
  }
  return Object.fromEntries(fields);
}
