import { checkUtf8 } from "../bytes/utf8.js";
import { requireBytes, UsageError } from "../errors.js";
import type { MessageEncoder } from "../coding.js";
import { BINARY, CONTINUATION, FIN, RSV1, TEXT } from "../frame/header.js";
import type { FrameWriter } from "../frame/writer.js";
import { writeCoded } from "./coded.js";
import { notUtf8 } from "./text.js";

/** The connection that a message is sent on. */
export interface MessageOwner {
  /** The message in fragments that is being sent. What is written to any other is not sent: it was ended, or is too late. */
  messageWriter: MessageWriter | undefined;
  readonly writer: FrameWriter;
  /** Sees to it that what waits is within limits; else the connection is given up. */
  boundOutput(): void;
  /** A text in UTF-8, lone surrogates as U+FFFD; only for now. */
  utf8Of(text: string): Uint8Array;
}

/** Sends one message in fragments (RFC 6455 5.4), from `startMessage`. Control frames may go between them. */
export class MessageWriter {
  private readonly kind: "text" | "binary";
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
  constructor(kind: "text" | "binary", owner: MessageOwner, encoder?: MessageEncoder) {
    this.kind = kind;
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

  private send(given: string | Uint8Array, final: boolean): boolean {
    if (this.ended) throw new UsageError("bad-state", "the message was ended: start another");
    let part = given;
    let held = "";
    let state = 0;
    if (typeof part === "string" && this.kind === "text") {
      if (this.utf8State !== 0) {
        throw new UsageError("bad-text", "the bytes before this string end inside a code point");
      }
      part = this.heldSurrogate + part;
      if (!final && (part.charCodeAt(part.length - 1) & 0xfc00) === 0xd800) {
        held = part.slice(-1);
        part = part.slice(0, -1);
      }
    } else {
      requireBytes(part, `a part of a ${this.kind} message`);
      if (this.kind === "text") {
        state = this.checkBytes(part, final);
        if (part.length > 0 || final) this.sendHeldSurrogate();
        held = this.heldSurrogate;
      }
    }
    if (part.length > 0 || final) this.sendFragment(part, final);
    this.heldSurrogate = held; // not before: the platform's `random` may throw
    this.utf8State = state;
    const sent = this.inTime;
    if (final) {
      this.ended = true;
      if (sent) this.owner.messageWriter = undefined;
    }
    return sent;
  }

  private get inTime(): boolean {
    return this.owner.messageWriter === this;
  }

  /** Where the check of a text given as bytes stands after `part`. */
  private checkBytes(part: Uint8Array, final: boolean): number {
    const state = checkUtf8(this.utf8State, part, 0, part.length);
    if (state < 0) throw notUtf8(~state);
    if (final && state !== 0) throw notUtf8(part.length);
    return state;
  }

  /** It stays alone, and goes as U+FFFD (RFC 6455 8.1). */
  private sendHeldSurrogate(): void {
    if (this.heldSurrogate === "") return;
    this.sendFragment(this.heldSurrogate, false);
    this.heldSurrogate = "";
  }

  private sendFragment(part: string | Uint8Array, final: boolean): void {
    const { encoder, owner } = this;
    if (this.inTime) owner.boundOutput(); // which may be its end
    if (!this.inTime) return;
    const { writer } = owner;
    const firstByte = this.firstByte | (final ? FIN : 0);
    if (encoder !== undefined) {
      writeCoded(writer, firstByte, encoder, typeof part === "string" ? owner.utf8Of(part) : part, final);
    } else if (typeof part === "string") {
      writer.writeText(firstByte, part);
    } else {
      writer.writeBytes(firstByte, part);
    }
    this.firstByte = CONTINUATION; // not before: the platform's `random` may throw
  }
}

const NO_BYTES = new Uint8Array(0);
