export type { AcceptOptions, RejectOptions } from "./server.js";
export { ServerConnection } from "./server.js";
export type { ClientRequest } from "./client.js";
export { ClientConnection } from "./client.js";
export { Connection } from "./connection.js";
export type {
  ClosedEvent,
  ClosingEvent,
  ConnectionEvent,
  OpenEvent,
  PingEvent,
  PongEvent,
  RejectedEvent,
  RequestEvent,
} from "./events.js";
export { BinaryEvent, TextEvent } from "./message/events.js";
export type { Role } from "./closing.js";
export { isCloseCode } from "./message/close.js";
export type { UsageCode } from "./errors.js";
export { UsageError } from "./errors.js";
export type { Limits, Options, Timeouts } from "./settings.js";
export { Settings } from "./settings.js";
export type { Mask, MaskInto, Platform, Utf8 } from "./platform.js";
export { portableUtf8 } from "./bytes/utf8.js";
export type { Cause, Rule, RuleName } from "./rules.js";
export { RULES } from "./rules.js";
export { MessageWriter } from "./message/writer.js";
export type { FramedMessage, SendOptions } from "./message/prepared.js";
export { PreparedMessage } from "./message/prepared.js";
export type { Opcode } from "./frame/header.js";
export { BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, TEXT } from "./frame/header.js";
export type { FrameReaderOptions } from "./frame/reader.js";
export { FrameReader } from "./frame/reader.js";
export type { FrameWriterOptions } from "./frame/writer.js";
export { FrameWriter } from "./frame/writer.js";
export { mask } from "./frame/masking.js";
export type {
  Accepted,
  Agreement,
  Extension,
  ExtensionOffer,
  ExtensionParameter,
} from "./handshake/extensions.js";
export type { MessageCoding, MessageDecoder, MessageEncoder } from "./coding.js";
export type { DeflateOptions } from "./deflate/extension.js";
export { permessageDeflate } from "./deflate/extension.js";
export type { DeflateNegotiationOptions } from "./deflate/negotiation.js";
export type { DeflateCodec, Deflator, Inflator } from "./deflate/codec.js";
export { portableDeflate } from "./deflate/portable.js";
export type { HeaderInput, HeaderList } from "./handshake/headers.js";
export { headerValue, headerValues } from "./handshake/headers.js";
export type { ResponseData } from "./handshake/negotiation.js";
export type { Origins } from "./handshake/origin.js";
export { refuseOrigin } from "./handshake/origin.js";
export type { RequestData } from "./handshake/request.js";
export { HandshakeRequest } from "./handshake/request.js";
export type { WebSocketUrl } from "./handshake/url.js";
export { parseUrl } from "./handshake/url.js";
