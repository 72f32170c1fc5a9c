// What every adapter gives an application besides `serve` and `connect`.

export type { AbortSignalLike } from "./dial.js";
export { HandshakeError } from "./dial.js";
export type {
  Accept,
  Address,
  Answer,
  CloseOptions,
  ConnectionOptions,
  EndpointOptions,
  Server,
} from "./endpoint.js";
export type { Handlers, Message } from "./peer.js";
export { Peer, PeerMessageWriter } from "./peer.js";
export type { DeflateOptions } from "../deflate/extension.js";
export { permessageDeflate } from "../deflate/extension.js";
export type { SendOptions } from "../message/prepared.js";
export { PreparedMessage } from "../message/prepared.js";
export { UsageError } from "../errors.js";
