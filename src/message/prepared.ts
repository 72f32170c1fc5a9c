import { portableUtf8 } from "../bytes/utf8.js";
import { requireBytes } from "../errors.js";
import { BINARY, FIN, headerSize, TEXT, writeHeader } from "../frame/header.js";

/** A message framed once, to be sent to many peers with `sendPrepared`. */
export class PreparedMessage {
  readonly type: "text" | "binary";
  /** The whole message as one unmasked frame, as a server sends it (RFC 6455 5.2). */
  readonly frame: Uint8Array;
  /** The payload, a text's in UTF-8: a view of the frame. */
  readonly payload: Uint8Array;

  /**
   * A string is a text message, bytes are a binary one. Bytes are copied.
   * @throws {UsageError} "bad-argument"
   */
  constructor(message: string | Uint8Array) {
    const text = typeof message === "string";
    if (!text) requireBytes(message, "a message");
    const length = text ? portableUtf8.byteLength(message) : message.length;
    this.type = text ? "text" : "binary";
    this.frame = new Uint8Array(headerSize(length, false) + length);
    const start = writeHeader(this.frame, 0, FIN | (text ? TEXT : BINARY), length, undefined);
    this.payload = this.frame.subarray(start);
    if (text) portableUtf8.encodeInto(message, this.payload, 0);
    else this.payload.set(message);
  }
}
