import { UsageError } from "../errors.js";
import { quote } from "../handshake/headers.js";
import type { Origins } from "../handshake/origin.js";
import { refuseOrigin, requireOrigins } from "../handshake/origin.js";
import type { ResponseData } from "../handshake/negotiation.js";
import type { HandshakeRequest, RequestData } from "../handshake/request.js";
import { requireClose } from "../message/close.js";
import type { Platform } from "../platform.js";
import type { AcceptOptions, RejectOptions } from "../server.js";
import { ServerConnection } from "../server.js";
import type { Options } from "../settings.js";
import { Settings } from "../settings.js";
import type { Handlers, Opening } from "./peer.js";
import { isThenable, Peer, reportTo } from "./peer.js";
import type { Host, Transport } from "./pump.js";

// What servers share on every runtime: who is let in, who is there, and how all are sent home.

/** What of a connection's options an adapter leaves to the application; it pings after 30 s of silence by default. */
export type ConnectionOptions = Omit<Options, "platform" | "http" | "halfClose">;

/** Accepts, with a value that the peer will have as its `context`. */
export interface Accept<Context> extends AcceptOptions {
  readonly context?: Context;
}

/** What an `upgrade` hook answers: nothing accepts, a `status` rejects. */
export type Answer<Context> = Accept<Context> | RejectOptions | undefined;

/** Who is let in, what becomes of them, and how their connections behave. */
export interface EndpointOptions<Context = unknown> extends ConnectionOptions, Handlers<Context> {
  /** The only path that is served; others get 404. Default: all are. */
  readonly path?: string | undefined;
  /** The origins that may connect besides the server's own host: see `refuseOrigin`. Default none. */
  readonly origins?: Origins | undefined;
  /**
   * Sees each request that the path and the origins let pass. Accepts with nothing or a subprotocol, headers and context;
   * rejects with a status. A promise is waited for. Where it throws, the client gets 500, and `error` the error.
   */
  upgrade?(
    this: void,
    request: HandshakeRequest,
    from: { readonly remoteAddress: string | undefined },
  ): Answer<Context> | Promise<Answer<Context>>;
}

/** Where to listen, and all that an endpoint takes, on every runtime; `tls` is each runtime's own. */
export interface Serving<Context = unknown> extends EndpointOptions<Context> {
  /** The TCP port; 0 for any that is free. */
  readonly port?: number | undefined;
  /** The address to listen on. Default: all of them, of IPv6 and of IPv4. */
  readonly host?: string | undefined;
  /** The unix socket to listen on, in place of a port. */
  readonly socketPath?: string | undefined;
}

/** A TCP address. */
export interface Address {
  readonly address: string;
  readonly family: string;
  readonly port: number;
}

/** A server that listens. */
export interface Server<Context = unknown> {
  /** Where it listens: an address and a port, or the path of a unix socket. */
  readonly address: Address | string;
  /** Where to connect to: ws://host:port, or wss; empty on a unix socket. */
  readonly url: string;
  /** The peers that are open or closing. */
  readonly peers: ReadonlySet<Peer<Context>>;
  /** Stops listening, closes every peer with 1001 and waits for them, a bounded time. */
  close(options?: CloseOptions): Promise<void>;
}

/** How to say goodbye to all. */
export interface CloseOptions {
  /** Default 1001, "going away". */
  readonly code?: number;
  readonly reason?: string;
  /** How long to wait for the peers before their transports are dropped, in milliseconds. Default 5000. */
  readonly timeout?: number;
}

/** Lets clients in, and knows who is there. */
export class Endpoint<Context = unknown> implements Opening<Context> {
  /** The peers that are open or closing. */
  readonly peers: ReadonlySet<Peer<Context>>;
  readonly settings: Settings;
  private readonly open = new Set<Peer<Context>>();
  /** Those, and the ones whose opening handshake goes on. */
  private readonly all = new Map<Peer<Context>, ServerConnection>();
  /** Where the responses go that are no bytes of the transport. */
  private readonly responders = new Map<Peer<Context>, (response: ResponseData) => void>();
  private readonly options: EndpointOptions<Context>;
  /** Those of connections whose request and response are data. */
  private readonly external: Settings;
  private readonly host: Host;
  private closing: Promise<void> | undefined;
  private allGone: (() => void) | undefined;

  /** @throws {UsageError} "bad-option" */
  constructor(options: EndpointOptions<Context>, platform: Platform, host: Host) {
    const { origins = [], path } = options;
    requireOrigins(origins);
    if (path !== undefined && !(typeof path === "string" && path.startsWith("/"))) {
      throw new UsageError("bad-option", `path must begin with "/", which ${quote(path)} does not`);
    }
    this.peers = this.open;
    this.options = options;
    this.host = host;
    this.settings = adapterSettings(options, platform);
    this.external = adapterSettings(options, platform, undefined, "external");
  }

  /**
   * Runs a connection from its first byte, or from the request that an HTTP server has read, over `transport`. With `respond` the
   * response is no bytes of the transport: it is handed there, before any are written.
   */
  begin(
    transport: Transport,
    request?: RequestData,
    head?: Uint8Array,
    respond?: (response: ResponseData) => void,
  ): void {
    const connection = new ServerConnection(respond === undefined ? this.settings : this.external);
    const peer = new Peer(connection, transport, this.host, this.options, this);
    if (request !== undefined) connection.receiveRequest(request, head);
    this.all.set(peer, connection);
    if (respond !== undefined) this.responders.set(peer, respond);
    transport.start(peer.pump);
  }

  // From the peers

  /** @internal */
  onRequest(peer: Peer<Context>, request: HandshakeRequest): void {
    const connection = this.all.get(peer);
    if (connection !== undefined) void this.decide(connection, peer, request);
  }

  /** @internal */
  onOpen(peer: Peer<Context>): void {
    this.answer(peer);
    this.open.add(peer);
  }

  /** @internal */
  onClosing(peer: Peer<Context>): void {
    this.answer(peer);
  }

  /** @internal */
  onClosed(peer: Peer<Context>): void {
    this.open.delete(peer);
    this.all.delete(peer);
    this.responders.delete(peer);
    if (this.all.size === 0) this.allGone?.();
  }

  /** Hands over the response, once. */
  private answer(peer: Peer<Context>): void {
    const response = this.all.get(peer)?.response;
    if (response === undefined) return;
    const respond = this.responders.get(peer);
    this.responders.delete(peer); // first: it may throw
    respond?.(response);
  }

  /**
   * Says goodbye to all, lets nobody in any more, and resolves once all are gone, the last of them by force.
   * @throws {UsageError} "bad-close-code", "bad-reason", "bad-option"
   */
  close({ code = 1001, reason = "", timeout = 5000 }: CloseOptions = {}): Promise<void> {
    requireClose(code, reason);
    if (!(timeout >= 0))
      throw new UsageError("bad-option", `timeout must be 0 or more, not ${String(timeout)}`);
    return (this.closing ??= this.sendHome(code, reason, timeout));
  }

  private async sendHome(code: number, reason: string, timeout: number): Promise<void> {
    for (const [peer, connection] of [...this.all]) {
      if (connection.state !== "connecting") peer.close(code, reason);
      else if (peer.request === undefined) peer.terminate();
      else {
        connection.reject(GOING_AWAY);
        peer.pump.run();
      }
    }
    if (this.all.size === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.host.after(timeout, () => {
        for (const peer of [...this.all.keys()]) peer.terminate();
      });
      this.allGone = () => {
        cancel();
        resolve();
      };
    });
  }

  private async decide(
    connection: ServerConnection,
    peer: Peer<Context>,
    request: HandshakeRequest,
  ): Promise<void> {
    peer.request = request;
    try {
      const { remoteAddress } = peer; // asked for here, Node still knows it in `close`
      const asked = this.refuse(request) ?? this.options.upgrade?.(request, { remoteAddress });
      // Any thenable: what would be a rejection must not pass for an acceptance.
      const answer = isThenable(asked) ? await asked : asked;
      if (answer !== undefined && "status" in answer) {
        connection.reject(answer);
      } else {
        if (answer?.context !== undefined) peer.context = answer.context;
        connection.accept(answer);
      }
    } catch (error) {
      if (connection.state === "connecting") connection.reject({ status: 500, body: "the server failed\n" });
      reportTo(this.options, this.host, error, peer);
    }
    peer.pump.run();
  }

  private refuse(request: HandshakeRequest): RejectOptions | undefined {
    if (this.closing !== undefined) return GOING_AWAY;
    const { path, origins } = this.options;
    if (path !== undefined && request.path !== path) {
      return { status: 404, body: `there is no WebSocket at ${quote(request.path)}\n` }; // RFC 6455 4.2.2
    }
    const refused = refuseOrigin(request, origins);
    return refused === undefined ? undefined : { status: 403, body: `${refused}\n` };
  }
}

const GOING_AWAY: RejectOptions = { status: 503, body: "the server is going away\n" };

/** Where a client on the same machine connects to. */
export function urlOf(where: Address | string, secure: boolean): string {
  if (typeof where === "string") return "";
  const { address, family, port } = where;
  const anywhere = address === "::" || address === "0.0.0.0";
  const host = anywhere ? "localhost" : family === "IPv6" ? `[${address}]` : address;
  return `${secure ? "wss" : "ws"}://${host}:${port}`;
}

/** The settings of an adapter's connections: its transport can be half closed, and silence is noticed. */
export function adapterSettings(
  options: ConnectionOptions,
  platform: Platform,
  handshake?: number,
  http?: Options["http"],
): Settings {
  const { streaming, text, highWaterMark, extensions, limits, timeouts } = options;
  return new Settings({
    platform,
    http,
    halfClose: true,
    streaming,
    text,
    highWaterMark,
    extensions,
    limits,
    timeouts: {
      ...timeouts,
      handshake: handshake ?? timeouts?.handshake,
      ping: timeouts?.ping ?? 30_000,
      pong: timeouts?.pong ?? 30_000,
    },
  });
}
