import { Output, PASS_FROM } from "../bytes/output.js";
import { portableUtf8 } from "../bytes/utf8.js";
import { requireBytes, requireString } from "../errors.js";
import type { Mask, MaskInto, Utf8 } from "../platform.js";
import { headerSize, MAX_HEADER_SIZE, writeHeader } from "./header.js";
import { mask, maskAsciiInto, maskFewInto, maskIntoOf } from "./masking.js";

/** Whose frames to write, and where to. */
export interface FrameWriterOptions {
  /** 32 unpredictable bits for each masking key. Given, the frames are a client's: masked; left out, a server's. */
  readonly random?: (() => number) | undefined;
  /** Default: the portable coding. */
  readonly utf8?: Utf8 | undefined;
  /** Default: the portable kernel. */
  readonly mask?: Mask | undefined;
  /** Default: the portable kernel; where `mask` is given, a copy and `mask`. */
  readonly maskInto?: MaskInto | undefined;
  /** Where the frames go. Default: an output of its own, which `take` empties. */
  readonly output?: Output;
}

/** Below this many bytes a loop is faster than `set`, which needs no view of them. */
const COPY_BY_HAND = 16;
/** Below this many bytes a loop that masks, too, is faster than `set` or a platform's kernel. */
const MASK_BY_HAND = 32;

/** Up to this many UTF-16 code units there is room for any text: three bytes for each. */
const ANY_UP_TO = 2048;

/** A header, and a distance from the end of the room that shows that a text fitted, and could be moved for a longer header. */
const SPARE = MAX_HEADER_SIZE * 2;

/** Up to this many code units a loop is faster than the platform's encoder, and masks at once. */
const ASCII_UP_TO = 24;

/** Writes frames in their shortest form (RFC 6455 5.2), masked with a fresh key each where it is a client's (5.3). */
export class FrameWriter {
  readonly output: Output;
  private readonly random: (() => number) | undefined;
  private readonly utf8: Utf8;
  private readonly applyMask: Mask;
  private readonly applyMaskInto: MaskInto;

  constructor(options: FrameWriterOptions = {}) {
    this.output = options.output ?? new Output();
    this.random = options.random;
    this.utf8 = options.utf8 ?? portableUtf8;
    this.applyMask = options.mask ?? mask;
    this.applyMaskInto = maskIntoOf(options);
  }

  /**
   * Writes a frame whose first byte is `firstByte` (FIN, reserved bits and opcode, RFC 6455 5.2). The payload is never
   * changed; an unmasked one of 1 KiB or more is passed through, and must not change until it is written.
   */
  writeBytes(firstByte: number, payload: Uint8Array): void {
    requireBytes(payload, "a payload");
    this.writeChecked(firstByte, payload);
  }

  /** @internal */
  writeChecked(firstByte: number, payload: Uint8Array): void {
    if (this.random !== undefined) this.writeMasked(firstByte, payload, this.random);
    else if (payload.length < PASS_FROM) this.writeUnmasked(firstByte, payload);
    else this.passBytes(firstByte, payload);
  }

  /** Writes a frame with a copy of `payload`, which may change from then on. */
  writeCopy(firstByte: number, payload: Uint8Array): void {
    if (this.random !== undefined) this.writeMasked(firstByte, payload, this.random);
    else this.writeUnmasked(firstByte, payload);
  }

  // Apart, as each is short enough then to be compiled into what calls it.

  private writeMasked(firstByte: number, payload: Uint8Array, random: () => number): void {
    const { output } = this;
    const { length } = payload;
    const key = random() | 0; // first: should it throw, no room was taken for nothing
    const offset = output.reserve(length + MAX_HEADER_SIZE);
    const data = output.data();
    const start = writeHeader(data, offset, firstByte, length, key);
    if (length < MASK_BY_HAND) maskFewInto(payload, data, start, key);
    else this.applyMaskInto(payload, output.target, start, key);
    output.commit(start + length - offset);
  }

  private writeUnmasked(firstByte: number, payload: Uint8Array): void {
    const { output } = this;
    const { length } = payload;
    const offset = output.reserve(length + MAX_HEADER_SIZE);
    const data = output.data();
    const start = writeHeader(data, offset, firstByte, length, undefined);
    if (length < COPY_BY_HAND) maskFewInto(payload, data, start, 0);
    else output.target.set(payload, start);
    output.commit(start + length - offset);
  }

  private passBytes(firstByte: number, payload: Uint8Array): void {
    const { output } = this;
    const offset = output.reserve(MAX_HEADER_SIZE);
    output.commit(writeHeader(output.data(), offset, firstByte, payload.length, undefined) - offset);
    output.pass(payload);
  }

  /** Writes a frame whose payload is `text` in UTF-8, lone surrogates as U+FFFD (RFC 6455 8.1). */
  writeText(firstByte: number, text: string): void {
    requireString(text, "a text");
    this.writeString(firstByte, text);
  }

  /** @internal */
  writeString(firstByte: number, text: string): void {
    const { random } = this;
    const key = random === undefined ? undefined : random() | 0;
    if (text.length > ASCII_UP_TO || !this.writeAscii(firstByte, text, key))
      this.encode(firstByte, text, key);
  }

  // A text is encoded behind the header that it is likely to need, and moved if it needs another: most are mostly ASCII.

  private encode(firstByte: number, text: string, key: number | undefined): void {
    const { length } = text;
    if (length > ANY_UP_TO) {
      this.encodeLong(firstByte, text, key);
      return;
    }
    const { output } = this;
    const offset = output.reserve(length * 3 + MAX_HEADER_SIZE);
    const guessed = offset + headerSize(length, key !== undefined);
    const end = this.utf8.encodeInto(text, output.target, guessed);
    this.endText(firstByte, key, offset, guessed, end);
  }

  /** To count a text's bytes takes as long as to encode it. So it is counted, and encoded anew, only where there was too little room. */
  private encodeLong(firstByte: number, text: string, key: number | undefined): void {
    const { output, utf8 } = this;
    const masked = key !== undefined;
    let expected = likelyBytes(text);
    let offset = output.reserve(expected + (expected >>> 3) + SPARE);
    let guessed = offset + headerSize(expected, masked);
    let end = utf8.encodeInto(text, output.target, guessed);
    if (end > output.target.length - MAX_HEADER_SIZE) {
      expected = utf8.byteLength(text);
      offset = output.reserve(expected + SPARE);
      guessed = offset + headerSize(expected, masked);
      end = utf8.encodeInto(text, output.target, guessed);
    }
    this.endText(firstByte, key, offset, guessed, end);
  }

  /** The text stands in `output.target[guessed, end)`: a frame that begins at `offset` is made of it. */
  private endText(
    firstByte: number,
    key: number | undefined,
    offset: number,
    guessed: number,
    end: number,
  ): void {
    const { output } = this;
    const { target } = output;
    const length = end - guessed;
    const start = offset + headerSize(length, key !== undefined);
    if (start !== guessed) target.copyWithin(start, guessed, end);
    writeHeader(output.data(), offset, firstByte, length, key);
    if (key !== undefined) this.applyMask(target, start, start + length, key);
    output.commit(start + length - offset);
  }

  /** Writes a short text with its header if all of it is ASCII, in one go: a call of the platform's encoder, and the mask's, would take longer. */
  private writeAscii(firstByte: number, text: string, key: number | undefined): boolean {
    const { output } = this;
    const { length } = text;
    if (length > 0 && (text.charCodeAt(0) & 0xff80) !== 0) return false; // the rest is likely to be alike
    const offset = output.reserve(ASCII_UP_TO + MAX_HEADER_SIZE);
    const data = output.data();
    const start = writeHeader(data, offset, firstByte, length, key);
    if (!maskAsciiInto(text, data, start, key ?? 0)) return false;
    output.commit(start + length - offset);
    return true;
  }

  /** Writes a frame that was made before. From 1 KiB on, or where it is the first, it is passed through. */
  writeFramed(frame: Uint8Array): void {
    this.output.passOrCopy(frame);
  }

  /** Hands over the bytes written since, in order; undefined where there are none. */
  take(): readonly Uint8Array[] | undefined {
    return this.output.take();
  }
}

/** How many bytes a long text is likely to take, by a few of its code units. */
function likelyBytes(text: string): number {
  const step = text.length >>> 3;
  let bytes = 0;
  for (let i = 0; i < 8; i++) {
    const unit = text.charCodeAt(i * step);
    bytes += unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
  }
  return Math.ceil((text.length * bytes) / 8);
}
