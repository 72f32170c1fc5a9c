import { portableUtf8 } from "../bytes/utf8.js";
import { dataOf } from "../bytes/view.js";
import type { MessageCoding, MessageEncoder } from "../coding.js";
import { requireBytes } from "../errors.js";
import { BINARY, FIN, headerSize, RSV1, TEXT, writeHeader } from "../frame/header.js";

/** How a message is sent. */
export interface SendOptions {
  /**
   * Whether to compress it, where permessage-deflate was agreed on. False: do not; so send secrets beside text that somebody else
   * chose, as a compressed message's length tells of its content. True: do, whatever its size. Default: as its size suggests; a
   * message in fragments is not.
   */
  readonly compress?: boolean | undefined;
}

/** A message as one unmasked frame, as a server sends it (RFC 6455 5.2), and the payload in it: a view. */
export interface FramedMessage {
  readonly frame: Uint8Array;
  readonly payload: Uint8Array;
}

/** A message framed once, to be sent to many peers with `sendPrepared`. Where peers agreed on compression it is compressed once. */
export class PreparedMessage implements FramedMessage {
  readonly type: "text" | "binary";
  readonly frame: Uint8Array;
  /** The payload, a text's in UTF-8: a view of the frame. */
  readonly payload: Uint8Array;
  private readonly compress: boolean | undefined;
  /** By the coding's form. */
  private coded: WeakMap<object, FramedMessage> | undefined;

  /**
   * A string is a text message, bytes are a binary one. Bytes are copied.
   * @throws {UsageError} "bad-argument"
   */
  constructor(message: string | Uint8Array, options?: SendOptions) {
    const text = typeof message === "string";
    if (!text) requireBytes(message, "a message");
    this.type = text ? "text" : "binary";
    this.compress = options?.compress;
    const length = text ? portableUtf8.byteLength(message) : message.length;
    const firstByte = FIN | (text ? TEXT : BINARY);
    const { frame, payload } = frameFor(firstByte, length);
    if (text) portableUtf8.encodeInto(message, payload, 0);
    else payload.set(message);
    this.frame = frame;
    this.payload = payload;
  }

  /** @internal The message coded, which takes an encoder only the first time; undefined where it is to be sent as it is. */
  codedWith(
    coding: MessageCoding,
    connection: { requireEncoder(coding: MessageCoding): MessageEncoder },
  ): FramedMessage | undefined {
    if (!(this.compress ?? coding.codes(this.payload.length))) return undefined;
    let framed = this.coded?.get(coding.form);
    if (framed === undefined) {
      const coder = connection.requireEncoder(coding);
      coder.forget(); // whoever gets it has received something else before
      const coded = coder.encode(this.payload, true);
      framed = frameFor(FIN | RSV1 | (this.type === "text" ? TEXT : BINARY), coded.length);
      framed.payload.set(coded);
      (this.coded ??= new WeakMap<object, FramedMessage>()).set(coding.form, framed);
    }
    return framed;
  }
}

function frameFor(firstByte: number, length: number): FramedMessage {
  const frame = new Uint8Array(headerSize(length, false) + length);
  const start = writeHeader(dataOf(frame), 0, firstByte, length, undefined);
  return { frame, payload: frame.subarray(start) };
}
