import type { Handlers, Message, Peer } from "../adapters/peer.js";
import { portableUtf8 } from "../bytes/utf8.js";
import type { ClosedEvent } from "../events.js";
import { formatExtensions } from "../handshake/extensions.js";
import type { RuleName } from "../rules.js";
import type { CloseArguments } from "./arguments.js";
import {
  exception,
  lacksSubprotocol,
  parseAddress,
  parseClose,
  parseMessage,
  parseProtocols,
} from "./arguments.js";
import type { Connect, OptionsOf } from "./connect.js";
import { call } from "./connect.js";
import type { BlobLike, CloseEventInit, EventLike, EventTargetFor } from "./engine.js";
import { engine } from "./engine.js";

/** A `MessageEvent`. */
export interface MessageEventLike extends EventLike {
  /** A text as a string, a binary message as `binaryType` says. */
  readonly data: string | ArrayBuffer | BlobLike;
  readonly origin: string;
}

/** A `CloseEvent`. */
export interface CloseEventLike extends EventLike, CloseEventInit {}

/** An `error` event that tells why, which browsers' do not. */
export interface ErrorEventLike extends EventLike {
  /** What `connect` rejected with, or the connection's `ClosedEvent`. */
  readonly error: unknown;
}

/** The events of a `WebSocket` by their types. */
export interface WebSocketEvents {
  readonly open: EventLike;
  readonly message: MessageEventLike;
  readonly error: ErrorEventLike;
  readonly close: CloseEventLike;
}

/** Options in place of the subprotocols. */
export type WebSocketOptions<C extends Connect> = OptionsOf<C> & {
  readonly protocols?: string | readonly string[] | undefined;
};

/** The constructor that `makeWebSocket` makes. */
export interface WebSocketClass<C extends Connect> {
  /**
   * Connects; the second argument is the standard's, or an object that holds it as `protocols` beside `connect`'s options.
   * @throws {DOMException} "SyntaxError" for a URL or subprotocols that are none
   */
  new (
    url: string | { readonly href: string },
    protocols?: string | readonly string[] | WebSocketOptions<C>,
  ): WebSocket;
  readonly prototype: WebSocket;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
}

/**
 * Makes the WHATWG `WebSocket` class over an adapter's `connect`. `defaults` are options for all that are made of it.
 */
export function makeWebSocket<C extends Connect>(
  connect: C,
  defaults: Partial<OptionsOf<C>> = {},
): WebSocketClass<C> {
  const WebSocketOverConnect = class extends WebSocket {
    constructor(url: string | { readonly href: string }, second: unknown = []) {
      const { protocols, ...options } = optionsOf(second);
      super((to, own) => call(connect, to, defaults, options, own), url, protocols);
    }
  };
  Object.defineProperty(WebSocketOverConnect, "name", { value: "WebSocket" });
  return WebSocketOverConnect;
}

/** The second argument as options. What is no object is a string, by WebIDL: null is "null". */
function optionsOf(second: unknown): Pick<WebSocketOptions<Connect>, "protocols"> {
  if (typeof second !== "object" || second === null) return { protocols: String(second) };
  return Symbol.iterator in second ? { protocols: second as readonly string[] } : second;
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** Where a connection that ends so was not failed: it ended, or was lost. */
const NO_FAILURE: readonly RuleName[] = ["closed", "no-close", "transport-lost", "close-timeout"];

class ErrorEvent extends engine.Event {
  readonly error: unknown;

  constructor(error: unknown) {
    super("error");
    this.error = error;
  }
}

/** For engines that have none. */
class CloseEvent extends engine.Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;

  constructor(type: string, { code, reason, wasClean }: CloseEventInit) {
    super(type);
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

const Target: new () => EventTargetFor<WebSocketEvents> =
  engine.EventTarget as new () => EventTargetFor<WebSocketEvents>;

/** What this class sets of `connect`'s options. */
type OwnOptions = Handlers & { readonly subprotocols: readonly string[]; readonly signal: unknown };

type Handler<T extends keyof WebSocketEvents> = ((event: WebSocketEvents[T]) => unknown) | null;

/** The WHATWG `WebSocket` (https://websockets.spec.whatwg.org): `makeWebSocket` gives it a constructor. */
export class WebSocket extends Target {
  static readonly CONNECTING: 0 = CONNECTING;
  static readonly OPEN: 1 = OPEN;
  static readonly CLOSING: 2 = CLOSING;
  static readonly CLOSED: 3 = CLOSED;

  /** The URL as it was resolved. */
  readonly url: string;
  private readonly origin: string;
  private readonly attempt: { readonly signal: unknown; abort(): void } = new engine.AbortController();
  private peer: Peer | undefined;
  private state: 0 | 1 | 2 | 3 = CONNECTING;
  private binary: "blob" | "arraybuffer" = engine.Blob === undefined ? "arraybuffer" : "blob";
  private readonly handlers = new Map<string, { handler: (event: never) => unknown }>();
  /** Bytes of messages that have not left, as far as is known. */
  private buffered = 0;
  /** Bytes of messages that were too late: they stay counted. */
  private dropped = 0;
  /** Within a task the standard lets `bufferedAmount` only grow. */
  private growing = false;
  /** Messages behind a Blob that is being read. */
  private queue: (string | Uint8Array | BlobLike)[] | undefined;
  private closeWhenSent: CloseArguments | undefined;

  /** @internal */
  constructor(
    connect: (url: string, own: OwnOptions) => Promise<Peer>,
    url: unknown,
    protocols: string | readonly string[] | undefined,
  ) {
    super();
    const { href, origin } = parseAddress(url);
    const subprotocols = parseProtocols(protocols);
    this.url = href;
    this.origin = origin;
    const own: OwnOptions = {
      subprotocols,
      signal: this.attempt.signal,
      open: (peer) => {
        this.opened(peer, subprotocols);
      },
      message: (_, message) => {
        this.received(message);
      },
      close: (_, event) => {
        const failed = this.peer === undefined || !NO_FAILURE.includes(event.cause.rule);
        this.closed(event, failed ? event : undefined);
      },
    };
    connect(href, own).catch((error: unknown) => {
      this.closed({ code: 1006, reason: "", clean: false }, error);
    });
  }

  /** @internal */
  readonly [Symbol.toStringTag]: string = "WebSocket";
  get CONNECTING(): 0 {
    return CONNECTING;
  }
  get OPEN(): 1 {
    return OPEN;
  }
  get CLOSING(): 2 {
    return CLOSING;
  }
  get CLOSED(): 3 {
    return CLOSED;
  }

  get readyState(): 0 | 1 | 2 | 3 {
    return this.state === OPEN && this.peer?.state !== "open" ? CLOSING : this.state;
  }

  /** The extensions in use, as Sec-WebSocket-Extensions has them. */
  get extensions(): string {
    return formatExtensions(this.peer?.extensions ?? []);
  }

  /** The subprotocol in use; empty for none. */
  get protocol(): string {
    return this.peer?.subprotocol ?? "";
  }

  /** What binary messages come as. Default "blob", where the engine has Blobs. Other values are ignored. */
  get binaryType(): "blob" | "arraybuffer" {
    return this.binary;
  }
  set binaryType(type: "blob" | "arraybuffer") {
    if (type === "arraybuffer" || (type === "blob" && engine.Blob !== undefined)) this.binary = type;
  }

  /**
   * Bytes of messages that were sent and have not left; up to the frames' headers, while several wait. It stays as it was once
   * the connection is closed, and grows with what is sent then.
   */
  get bufferedAmount(): number {
    if (!this.growing && this.queue === undefined && this.state !== CLOSED) {
      this.buffered = Math.min(this.buffered, this.peer?.bufferedAmount ?? 0);
    }
    return this.buffered + this.dropped;
  }

  /**
   * Sends a text (a string, or what becomes one), or a binary message (a buffer, a view, a Blob). Too late, it is dropped.
   * @throws {DOMException} "InvalidStateError" before the connection is open
   */
  send(data: string | ArrayBuffer | ArrayBufferView | BlobLike): void {
    if (this.state === CONNECTING) {
      throw exception("InvalidStateError", "the connection is not open yet: wait for the `open` event");
    }
    const isBlob = engine.Blob !== undefined && data instanceof engine.Blob;
    const message = isBlob ? data : parseMessage(data, this.queue !== undefined);
    const size =
      typeof message === "string"
        ? portableUtf8.byteLength(message)
        : message instanceof Uint8Array
          ? message.length
          : message.size;
    if (this.peer === undefined || this.readyState !== OPEN) {
      this.dropped += size;
      return;
    }
    this.buffered = this.bufferedAmount + size;
    if (!this.growing) {
      this.growing = true;
      engine.setTimeout(() => {
        this.growing = false;
      });
    }
    if (this.queue !== undefined) this.queue.push(message);
    else if (isBlob) void this.sendBehind(this.peer, message as BlobLike);
    else this.peer.send(message as string | Uint8Array);
  }

  /**
   * Starts the closing handshake: with 1000 or a code from 3000 to 4999, or without a code. Before the connection is open it is
   * given up.
   * @throws {DOMException} "InvalidAccessError" for another code, "SyntaxError" for a reason over 123 bytes of UTF-8, or
   * (which browsers would send) with CR, LF or NUL in it
   */
  close(code?: number, reason?: string): void {
    const close = parseClose(code, reason);
    if (this.readyState >= CLOSING) return;
    if (this.state === CONNECTING) this.attempt.abort();
    else if (this.queue !== undefined) this.closeWhenSent = close;
    else this.peer?.startClosing(close.code, close.reason);
    this.state = CLOSING;
  }

  get onopen(): Handler<"open"> {
    return this.handler("open");
  }
  set onopen(handler: Handler<"open">) {
    this.setHandler("open", handler);
  }
  get onmessage(): Handler<"message"> {
    return this.handler("message");
  }
  set onmessage(handler: Handler<"message">) {
    this.setHandler("message", handler);
  }
  get onerror(): Handler<"error"> {
    return this.handler("error");
  }
  set onerror(handler: Handler<"error">) {
    this.setHandler("error", handler);
  }
  get onclose(): Handler<"close"> {
    return this.handler("close");
  }
  set onclose(handler: Handler<"close">) {
    this.setHandler("close", handler);
  }

  private handler<T extends keyof WebSocketEvents>(type: T): Handler<T> {
    return (this.handlers.get(type)?.handler as Handler<T> | undefined) ?? null;
  }

  /** A handler that takes another's place is called in its turn, as HTML's event handlers are. */
  private setHandler<T extends keyof WebSocketEvents>(type: T, handler: Handler<T>): void {
    const entry = this.handlers.get(type);
    if (typeof handler !== "function") {
      if (entry !== undefined) entry.handler = () => undefined;
      this.handlers.delete(type);
    } else if (entry !== undefined) {
      entry.handler = handler;
    } else {
      const fresh: { handler: (event: never) => unknown } = { handler };
      this.handlers.set(type, fresh);
      this.addEventListener(type, (event) => fresh.handler.call(this, event as never));
    }
  }

  // From the connection

  private opened(peer: Peer, offered: readonly string[]): void {
    if (this.state !== CONNECTING || lacksSubprotocol(peer, offered)) {
      peer.terminate(); // close() came in between; or the standard asks for more than RFC 6455 does
      return;
    }
    this.peer = peer;
    this.state = OPEN;
    this.dispatchEvent(new engine.Event("open"));
  }

  private received(message: Message): void {
    if (this.state !== OPEN) return; // nothing comes after close()
    const { Blob, MessageEvent } = engine;
    const data =
      message.type === "text"
        ? message.text
        : this.binary === "blob" && Blob !== undefined
          ? new Blob([message.payload])
          : message.payload.slice().buffer;
    this.dispatchEvent(new MessageEvent("message", { data, origin: this.origin }));
  }

  /** `error`: what failed it, if something did. */
  private closed(
    { code, reason, clean }: Pick<ClosedEvent, "code" | "reason" | "clean">,
    error: unknown,
  ): void {
    if (this.state === CLOSED) return;
    this.buffered = this.bufferedAmount - this.dropped; // as it is now, it stays
    this.state = CLOSED;
    this.queue = undefined;
    if (error !== undefined) this.dispatchEvent(new ErrorEvent(error));
    const Close = engine.CloseEvent ?? CloseEvent;
    this.dispatchEvent(new Close("close", { code, reason, wasClean: clean }));
  }

  /** Sends a Blob once it is read, and in order what is sent meanwhile. */
  private async sendBehind(peer: Peer, first: BlobLike): Promise<void> {
    const queue: (string | Uint8Array | BlobLike)[] = (this.queue = [first]);
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        peer.send(
          typeof next === "string" || next instanceof Uint8Array
            ? next
            : new Uint8Array(await next.arrayBuffer()),
        );
      }
    } catch {
      peer.terminate(); // a Blob that cannot be read leaves a hole
    }
    this.queue = undefined;
    if (this.closeWhenSent !== undefined) {
      peer.startClosing(this.closeWhenSent.code, this.closeWhenSent.reason);
    }
  }
}
