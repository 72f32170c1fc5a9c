import { portableUtf8 } from "./bytes/utf8.js";
import type { Agreement } from "./handshake/extensions.js";
import type { HeaderList } from "./handshake/headers.js";
import type { HandshakeRequest } from "./handshake/request.js";
import type { Cause } from "./rules.js";

/** What a connection has to tell, one at a time, from `nextEvent()`; told apart by `type`. */
export type ConnectionEvent =
  | RequestEvent
  | OpenEvent
  | RejectedEvent
  | TextEvent
  | BinaryEvent
  | PingEvent
  | PongEvent
  | ClosingEvent
  | ClosedEvent;

/** A client asks a server for a WebSocket: answer with `accept()` or `reject()`, now or later. */
export interface RequestEvent {
  readonly type: "request";
  readonly request: HandshakeRequest;
}

/** The opening handshake is over: messages may come and go. */
export interface OpenEvent {
  readonly type: "open";
  /** The subprotocol in use; undefined for none. */
  readonly subprotocol: string | undefined;
  /** The extensions in use, in the order in which the server listed them. */
  readonly extensions: readonly Agreement[];
  /** The headers of the response that opened the connection; undefined where it began open. */
  readonly headers: HeaderList | undefined;
}

/** The server answered a client's opening handshake with another status: a redirect, a challenge, an error. `closed` follows. */
export interface RejectedEvent {
  readonly type: "rejected";
  readonly status: number;
  /** The reason phrase; it may be empty. */
  readonly reason: string;
  readonly headers: HeaderList;
  /** What of the body arrived. */
  readonly body: Uint8Array;
  /** False where the body is cut: at the limit, at the deadline, by the end of the stream. */
  readonly complete: boolean;
}

/** A text message, or with `streaming` a piece of one. */
export class TextEvent {
  readonly type = "text";
  /** False where more of the message follows, which only `streaming` does. */
  readonly final: boolean;
  private decoded: string | undefined;
  private encoded: Uint8Array | undefined;

  /** One of `text` and `payload` is given. */
  constructor(text: string | undefined, payload: Uint8Array | undefined, final: boolean) {
    this.decoded = text;
    this.encoded = payload;
    this.final = final;
  }

  /** The text. With `text: "bytes"` it is decoded when it is asked for. */
  get text(): string {
    if (this.decoded === undefined) {
      const bytes = this.encoded as Uint8Array;
      this.decoded = portableUtf8.decode(bytes, 0, bytes.length) as string; // it was checked
    }
    return this.decoded;
  }

  /** The text in UTF-8. Without `text: "bytes"` it is encoded when it is asked for. */
  get payload(): Uint8Array {
    if (this.encoded === undefined) {
      const text = this.decoded as string;
      this.encoded = new Uint8Array(portableUtf8.byteLength(text));
      portableUtf8.encodeInto(text, this.encoded, 0);
    }
    return this.encoded;
  }

  /** What a peer's `send` takes to send the same: the text. */
  get data(): string {
    return this.text;
  }
}

/** A binary message, or with `streaming` a piece of one. */
export class BinaryEvent {
  readonly type = "binary";
  /** False where more of the message follows, which only `streaming` does. */
  readonly final: boolean;
  private bytes: Uint8Array;
  private start: number;
  private end: number;

  /** The payload is `bytes[start, end)`. */
  constructor(bytes: Uint8Array, start: number, end: number, final: boolean) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.final = final;
  }

  /** The bytes; the reader's for ever. The view is made when it is asked for. */
  get payload(): Uint8Array {
    if (this.end - this.start !== this.bytes.length) {
      this.bytes = this.bytes.subarray(this.start, this.end);
      this.start = 0;
      this.end = this.bytes.length;
    }
    return this.bytes;
  }

  /** How many bytes the payload has. */
  get size(): number {
    return this.end - this.start;
  }

  /** What a peer's `send` takes to send the same: the bytes. */
  get data(): Uint8Array {
    return this.payload;
  }
}

/** The peer sent a ping; the pong is queued already (RFC 6455 5.5.2). */
export interface PingEvent {
  readonly type: "ping";
  readonly payload: Uint8Array;
}

/** The peer sent a pong (RFC 6455 5.5.3). */
export interface PongEvent {
  readonly type: "pong";
  readonly payload: Uint8Array;
  /** Milliseconds since the ping that it answers was taken; undefined where it answers none, or without a clock. */
  readonly roundTripTime: number | undefined;
}

/** The connection began to close: the peer's Close arrived, or we failed the connection, or rejected it. At most once. */
export interface ClosingEvent {
  readonly type: "closing";
  /** The peer's close code (1005 for none), or the one that the connection is failed with. */
  readonly code: number;
  readonly reason: string;
  readonly cause: Cause;
}

/** The last event, exactly once: the connection can be forgotten. */
export interface ClosedEvent {
  readonly type: "closed";
  /** The close code received; 1005 where the Close had none, 1006 where none was received (RFC 6455 7.1.5). */
  readonly code: number;
  readonly reason: string;
  /** Whether the closing handshake was completed (RFC 6455 7.1.4). */
  readonly clean: boolean;
  /** The Close that we sent; its code is 1005 where it had none. */
  readonly sent: { readonly code: number; readonly reason: string } | undefined;
  readonly cause: Cause;
}
