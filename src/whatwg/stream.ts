import type { Handlers, Message, Peer } from "../adapters/peer.js";
import type { ClosedEvent } from "../events.js";
import { formatExtensions } from "../handshake/extensions.js";
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
import type {
  AbortSignal,
  DOMExceptionLike,
  ReadableController,
  ReadableLike,
  WritableController,
  WritableLike,
} from "./engine.js";
import { engine } from "./engine.js";

/** How a connection is closed, or was. */
export interface CloseInfo {
  readonly closeCode?: number | undefined;
  readonly reason?: string | undefined;
}

/** What a `WebSocketStream` is once it is open. */
export interface WebSocketConnection {
  /** The messages: texts as strings, binary ones as ArrayBuffers, as Chromium has them. Reading slowly slows the sender down. */
  readonly readable: ReadableLike<string | ArrayBuffer>;
  /** Messages to send. Writing waits for a peer that is slow. */
  readonly writable: WritableLike<string | ArrayBuffer | ArrayBufferView>;
  readonly protocol: string;
  readonly extensions: string;
}

/** Options beside `connect`'s own. */
export type WebSocketStreamOptions<C extends Connect> = OptionsOf<C> & {
  readonly protocols?: readonly string[] | undefined;
  /** Gives up where it is aborted before the connection is open. */
  readonly signal?: AbortSignal | undefined;
};

/** The constructor that `makeWebSocketStream` makes. */
export interface WebSocketStreamClass<C extends Connect> {
  /** @throws {DOMException} "SyntaxError" for a URL or subprotocols that are none */
  new (url: string | { readonly href: string }, options?: WebSocketStreamOptions<C>): WebSocketStream;
  readonly prototype: WebSocketStream;
}

/** Makes the `WebSocketStream` class over an adapter's `connect`. `defaults` are options for all that are made of it. */
export function makeWebSocketStream<C extends Connect>(
  connect: C,
  defaults: Partial<OptionsOf<C>> = {},
): WebSocketStreamClass<C> {
  const WebSocketStreamOverConnect = class extends WebSocketStream {
    constructor(
      url: string | { readonly href: string },
      options: WebSocketStreamOptions<C> = {} as WebSocketStreamOptions<C>,
    ) {
      const { protocols, signal, ...rest } = options;
      super((to, own) => call(connect, to, defaults, rest, own), url, protocols, signal);
    }
  };
  Object.defineProperty(WebSocketStreamOverConnect, "name", { value: "WebSocketStream" });
  return WebSocketStreamOverConnect;
}

const DOMException: new (message: string, name: string) => DOMExceptionLike = engine.DOMException;

/** Why a `WebSocketStream` failed; or, given to `abort` or `cancel`, how to close it. */
export class WebSocketError extends DOMException {
  /** Null where there is none; 1006 where the connection was lost. */
  readonly closeCode: number | null;
  readonly reason: string;

  /** @throws {DOMException} "InvalidAccessError", "SyntaxError", as `close` does */
  constructor(message = "", { closeCode, reason }: CloseInfo = {}) {
    super(message, "WebSocketError");
    const close = parseClose(closeCode ?? undefined, reason);
    this.closeCode = close.code ?? null;
    this.reason = close.reason;
  }
}

/** An error whose code an application may not give (RFC 6455 7.4.1), and what is behind it. */
function failure(message: string, cause: unknown, closeCode: number | null): WebSocketError {
  return Object.assign(new WebSocketError(message), { closeCode, cause });
}

/** What this class sets of `connect`'s options. */
type OwnOptions = Handlers & { readonly subprotocols: readonly string[]; readonly signal: unknown };

/** A WebSocket as streams (https://websockets.spec.whatwg.org): `makeWebSocketStream` gives it a constructor. */
export class WebSocketStream {
  /** The URL as it was resolved. */
  readonly url: string;
  /** Resolves once the connection is open; rejects with a `WebSocketError`, or with what `signal` was aborted with. */
  readonly opened: Promise<WebSocketConnection>;
  /** Resolves once it is closed in order, and rejects with a `WebSocketError` else. */
  readonly closed: Promise<{ readonly closeCode: number; readonly reason: string }>;
  private readonly attempt: { readonly signal: unknown; abort(): void } = new engine.AbortController();
  private peer: Peer | undefined;
  private messages: AsyncIterator<Message, undefined> | undefined;
  private dropping = false;
  /** Until the readable is at its end. */
  private readableController: ReadableController<string | ArrayBuffer> | undefined;
  private writableController: WritableController | undefined;
  private failed = false;
  /** Why the messages end early. */
  private unreadable: WebSocketError | undefined;
  private over: { readonly error: WebSocketError | undefined } | undefined;
  private settleOpened: {
    resolve(connection: WebSocketConnection): void;
    reject(error: unknown): void;
  } = { resolve: () => undefined, reject: () => undefined };
  private settleClosed: {
    resolve(close: { closeCode: number; reason: string }): void;
    reject(error: unknown): void;
  } = { resolve: () => undefined, reject: () => undefined };

  /** @internal */
  constructor(
    connect: (url: string, own: OwnOptions) => Promise<Peer>,
    url: unknown,
    protocols: readonly string[] | undefined,
    signal: AbortSignal | undefined,
  ) {
    const { href } = parseAddress(url);
    const subprotocols = parseProtocols(protocols);
    this.url = href;
    this.opened = new Promise((resolve, reject) => {
      this.settleOpened = { resolve, reject };
    });
    this.closed = new Promise((resolve, reject) => {
      this.settleClosed = { resolve, reject };
    });
    // Nobody has to look at both.
    this.opened.catch(() => undefined);
    this.closed.catch(() => undefined);
    if (signal?.aborted === true) {
      this.fail(signal.reason, signal.reason);
      return;
    }
    const abort = (): void => {
      this.fail(signal?.reason, signal?.reason);
      this.attempt.abort();
    };
    signal?.addEventListener("abort", abort);
    const own: OwnOptions = {
      subprotocols,
      signal: this.attempt.signal,
      open: (peer) => {
        signal?.removeEventListener("abort", abort);
        this.open(peer, subprotocols);
      },
      close: (_, event) => {
        this.end(event);
      },
    };
    connect(href, own).catch((error: unknown) => {
      signal?.removeEventListener("abort", abort);
      this.failFor("the connection could not be opened", error);
    });
  }

  /**
   * Starts the closing handshake; before the connection is open it is given up. Messages that were not read are dropped.
   * @throws {DOMException} "InvalidAccessError" for a code other than 1000 and 3000 to 4999, "SyntaxError" for a reason over 123
   * bytes of UTF-8, or with CR, LF or NUL in it
   */
  close({ closeCode, reason }: CloseInfo = {}): void {
    const close = parseClose(closeCode, reason);
    if (this.peer === undefined) {
      this.failFor("close() was called before the connection was open");
      this.attempt.abort();
    } else {
      this.startClosing(close.code, close.reason);
    }
  }

  /** It does not come to be open. */
  private fail(opened: unknown, closed: unknown): void {
    this.failed = true;
    this.settleOpened.reject(opened);
    this.settleClosed.reject(closed);
  }

  private failFor(message: string, cause?: unknown): void {
    this.fail(failure(message, cause, null), failure(message, cause, 1006));
  }

  private startClosing(code: number | undefined, reason: string): void {
    this.peer?.startClosing(code, reason);
    // Messages that nobody has read are dropped, as Chromium does: the peer's Close is behind them.
    this.dropping = true;
    void this.messages?.return?.();
  }

  private closeFor(reason: unknown): void {
    const { closeCode, reason: text } =
      reason instanceof WebSocketError ? reason : { closeCode: null, reason: "" };
    this.startClosing(closeCode ?? undefined, text);
  }

  private open(peer: Peer, offered: readonly string[]): void {
    if (lacksSubprotocol(peer, offered)) this.failFor("the server took none of the subprotocols");
    if (this.failed) {
      peer.terminate();
      return;
    }
    this.peer = peer;
    const messages = peer[Symbol.asyncIterator]();
    this.messages = messages;
    const readable = new engine.ReadableStream<string | ArrayBuffer>(
      {
        start: (controller) => {
          this.readableController = controller;
        },
        pull: async () => {
          if (await this.enqueueNext(messages)) return;
          await this.closed.catch(() => undefined);
          this.endReadable();
        },
        cancel: (reason) => {
          this.readableController = undefined;
          this.closeFor(reason);
        },
      },
      { highWaterMark: 0 },
    );
    const writable = new engine.WritableStream<string | ArrayBuffer | ArrayBufferView>({
      start: (controller) => {
        this.writableController = controller;
        // `abort` waits for the write that is under way, and that for a slow peer.
        controller.signal?.addEventListener("abort", () => {
          this.closeFor(controller.signal?.reason);
        });
      },
      write: async (chunk) => {
        if (!peer.send(parseMessage(chunk))) await peer.drained();
      },
      close: async () => {
        this.startClosing(undefined, "");
        await this.closed;
      },
      abort: (reason) => {
        this.closeFor(reason);
      },
    });
    this.settleOpened.resolve({
      readable,
      writable,
      protocol: peer.subprotocol ?? "",
      extensions: formatExtensions(peer.extensions),
    });
  }

  /** False where there are no more messages; it throws where they end early. */
  private async enqueueNext(messages: AsyncIterator<Message, undefined>): Promise<boolean> {
    try {
      const next = await messages.next();
      if (this.unreadable !== undefined) throw this.unreadable; // and no message is told behind one that is missing
      if (next.done === true || this.dropping) return false;
      const { value } = next;
      this.readableController?.enqueue(value.type === "text" ? value.text : value.payload.slice().buffer);
      return true;
    } catch (error) {
      throw (this.unreadable ??= failure("there are messages that cannot be read", error, null));
    }
  }

  /**
   * The readable ends behind what is left, which is bounded, whether somebody reads or not. An error would drop what is queued: `pull` comes
   * to it.
   */
  private async endBehindTheRest(messages: AsyncIterator<Message, undefined>): Promise<void> {
    await Promise.resolve(); // it may have ended amid a call for the message before
    try {
      while (await this.enqueueNext(messages)) {
        if (this.over?.error !== undefined) return;
      }
    } catch {
      return; // `unreadable` keeps it
    }
    this.endReadable();
  }

  private endReadable(): void {
    const controller = this.readableController;
    this.readableController = undefined;
    if (this.over?.error === undefined) controller?.close();
    else controller?.error(this.over.error);
  }

  private end({ code, reason, clean, cause }: ClosedEvent): void {
    const error = clean ? undefined : failure("the connection was not closed in order", cause, code);
    this.over = { error };
    if (this.messages !== undefined) void this.endBehindTheRest(this.messages);
    this.writableController?.error(error ?? exception("InvalidStateError", "the connection is closed"));
    if (error === undefined) this.settleClosed.resolve({ closeCode: code, reason });
    else this.settleClosed.reject(error);
  }
}
