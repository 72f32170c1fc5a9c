import type { Agreement } from "./handshake/extensions.js";
import type { HeaderList } from "./handshake/headers.js";
import type { HandshakeRequest } from "./handshake/request.js";
import type { BinaryEvent, TextEvent } from "./message/events.js";
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
