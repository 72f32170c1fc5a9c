export type {
  CloseEventLike,
  ErrorEventLike,
  MessageEventLike,
  WebSocket,
  WebSocketClass,
  WebSocketEvents,
  WebSocketOptions,
} from "./websocket.js";
export { makeWebSocket } from "./websocket.js";
export type {
  CloseInfo,
  WebSocketConnection,
  WebSocketStream,
  WebSocketStreamClass,
  WebSocketStreamOptions,
} from "./stream.js";
export { makeWebSocketStream, WebSocketError } from "./stream.js";
export type { Connect, OptionsOf } from "./connect.js";
export type {
  AbortSignal,
  BlobLike,
  CloseEventInit,
  DOMExceptionLike,
  EventLike,
  EventTargetFor,
  ReadableLike,
  WritableLike,
} from "./engine.js";
