import { checkUtf8 } from "../bytes/utf8.js";
import { requireBytes, UsageError } from "../errors.js";
import type { MessageEncoder } from "../coding.js";
import { BINARY, CONTINUATION, FIN, RSV1, TEXT } from "../frame/header.js";
import type { FrameWriter } from "../frame/writer.js";
import { notUtf8 } from "./text.js";

/** The connection that a message is sent on. */
export interface MessageOwner {
  /** Sees to it that what waits is within limits; else the connection is given up. */
  boundOutput(): void;
  /** A text in UTF-8, lone surrogates as U+FFFD; only for now. */
  utf8Of(text: string): Uint8Array;
  messageEnded(): void;
}

/** Sends one message in fragments (RFC 6455 5.4), from `startMessage`. Control frames may go between them. */
export class MessageWriter {
  private readonly kind: "text" | "binary";
  /** Undefined once the connection began to close: what is written from then on is not sent. */
  private frames: FrameWriter | undefined;
  private readonly owner: MessageOwner;
  /** Where the message is coded. */
  private readonly encoder: MessageEncoder | undefined;
  /** The next fragment's first byte, without FIN. */
  private firstByte: number;
  private ended = false;
  /** A high surrogate that waits for the other half of its pair. */
  private heldSurrogate = "";
  /** Where the check of a text given as bytes stands. */
  private utf8State = 0;

  /** @internal */
  constructor(
    kind: "text" | "binary",
    frames: FrameWriter | undefined,
    owner: MessageOwner,
    encoder?: MessageEncoder,
  ) {
    this.kind = kind;
    this.frames = frames;
    this.owner = owner;
    this.encoder = encoder;
    this.firstByte = (kind === "text" ? TEXT : BINARY) | (encoder === undefined ? 0 : RSV1); // RFC 7692 6
  }

  /**
   * Sends a part as a fragment. An empty one sends nothing. A surrogate pair may be split over two parts. A server's bytes, 1 KiB or
   * more of them, are passed through: do not change them until they are written.
   * @returns false where it is too late: the connection is closing
   * @throws {UsageError} "bad-argument", "bad-text", or "bad-state" after `end()`
   */
  write(part: string | Uint8Array): boolean {
    return this.send(part, false);
  }

  /**
   * Ends the message, with a last part or without.
   * @returns false where it is too late: the connection is closing
   * @throws {UsageError} as `write`
   */
  end(part: string | Uint8Array = this.kind === "text" ? "" : NO_BYTES): boolean {
    return this.send(part, true);
  }

  /** @internal The connection began to close. */
  detach(): void {
    this.frames = undefined;
  }

  private send(part: string | Uint8Array, final: boolean): boolean {
    if (this.ended)
      throw new UsageError("bad-state", "the message was ended: start another with startMessage()");
    if (typeof part === "string" && this.kind === "text") {
      if (this.utf8State !== 0) {
        throw new UsageError(
          "bad-text",
          "the bytes before this string end inside a code point: finish it with bytes",
        );
      }
      this.sendText(part, final);
    } else {
      requireBytes(part, `a part of a ${this.kind} message`);
      this.sendBytes(part, final);
    }
    if (final) {
      this.ended = true;
      if (this.frames !== undefined) this.owner.messageEnded();
    }
    return this.frames !== undefined;
  }

  /** Where to write; undefined where it is too late. */
  private open(): FrameWriter | undefined {
    if (this.frames !== undefined) this.owner.boundOutput(); // which may detach
    return this.frames;
  }

  private sendText(part: string, final: boolean): void {
    let text = this.heldSurrogate + part;
    this.heldSurrogate = "";
    if (!final && (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800) {
      this.heldSurrogate = text.slice(-1);
      text = text.slice(0, -1);
    }
    if (text !== "" || final) this.writeText(text, final);
  }

  private sendBytes(part: Uint8Array, final: boolean): void {
    if (this.kind === "text") {
      const state = checkUtf8(this.utf8State, part, 0, part.length);
      if (state < 0) throw notUtf8(~state);
      if (final && state !== 0) throw notUtf8(part.length);
      this.utf8State = state;
      if ((part.length > 0 || final) && this.heldSurrogate !== "") this.flushSurrogate();
    }
    if (part.length > 0 || final) this.writeBytes(part, final);
  }

  /** Bytes follow: the held surrogate stays alone, and goes as U+FFFD (RFC 6455 8.1). */
  private flushSurrogate(): void {
    const lone = this.heldSurrogate;
    this.heldSurrogate = "";
    this.writeText(lone, false);
  }

  private writeText(text: string, final: boolean): void {
    if (this.encoder !== undefined) this.writeBytes(this.owner.utf8Of(text), final);
    else this.open()?.writeText(this.nextFirstByte(final), text);
  }

  private writeBytes(bytes: Uint8Array, final: boolean): void {
    const frames = this.open();
    if (frames === undefined) return;
    const firstByte = this.nextFirstByte(final);
    if (this.encoder === undefined) frames.writeBytes(firstByte, bytes);
    else frames.writeCopy(firstByte, this.encoder.encode(bytes, final));
  }

  private nextFirstByte(final: boolean): number {
    const firstByte = this.firstByte | (final ? FIN : 0);
    this.firstByte = CONTINUATION;
    return firstByte;
  }
}

const NO_BYTES = new Uint8Array(0);
