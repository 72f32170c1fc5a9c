import type { DeflateCodec } from "./deflate/codec.js";

/**
 * Everything that a connection takes from the outside, in one object. The core reads no clock and no random device
 * of its own: the same bytes, calls, clock and entropy give the same events and the same output. The functions are called
 * without a `this`.
 */
export interface Platform {
  /**
   * Returns 32 unpredictable bits, as any 32-bit integer. Masking keys and the opening handshake's key are made of
   * it (RFC 6455 10.3), so it has to come from a cryptographic source. A client cannot be built without it.
   */
  readonly random?: () => number;
  /** Returns milliseconds on a clock that never runs backwards. Without it there are no time-outs and no round-trip times. */
  readonly clock?: () => number;
  /** UTF-8 coding that is faster here than the portable one. */
  readonly utf8?: Utf8;
  /** A masking kernel that is faster here than the portable one. */
  readonly mask?: Mask;
  /** A DEFLATE codec that is faster here than the portable one. */
  readonly deflate?: DeflateCodec | undefined;
  /** As `mask`, into another array: faster than to copy first, and mask then. */
  readonly maskInto?: MaskInto;
}

/**
 * UTF-8 coding (RFC 3629), strict: no overlong forms, no surrogates, nothing above U+10FFFF. What is handed in is for the call only: the
 * arrays are overwritten afterwards, and connections share them, so that none may be called in it.
 */
export interface Utf8 {
  /** Decodes `bytes[start, end)`; undefined when they are not UTF-8. U+FEFF is kept. */
  decode(bytes: Uint8Array, start: number, end: number): string | undefined;
  /** As `decode`, for bytes that are known to be ASCII, where that is faster here. */
  decodeAscii?(bytes: Uint8Array, start: number, end: number): string;
  /**
   * Encodes `text` into `target` from `offset`, lone surrogates as U+FFFD; returns the offset after it. Where it does not fit, what is
   * written does not matter, but the offset is then less than four bytes, a character's, before the end of `target`, or beyond it.
   */
  encodeInto(text: string, target: Uint8Array, offset: number): number;
  /** How many bytes `encodeInto` writes for `text`. */
  byteLength(text: string): number;
  /** Whether `bytes[start, end)` is UTF-8, where that is faster to tell here than by the portable check. */
  isValid?(bytes: Uint8Array, start: number, end: number): boolean;
}

/**
 * XORs `bytes[start, end)` in place with the masking key (RFC 6455 5.3). The key's first byte is its lowest: byte i of
 * the range is XORed with `key >>> 8 * (i % 4)`. Returns true where all of them are ASCII now; anything else says that it is not known.
 * `isText`: the range is a text's, so that the answer will be used.
 */
export type Mask = (
  bytes: Uint8Array,
  start: number,
  end: number,
  key: number,
  isText?: boolean,
) => boolean | undefined;

/** Writes `source`, masked, into `target` from `offset`; the arrays do not overlap. The key is as in `Mask`. */
export type MaskInto = (source: Uint8Array, target: Uint8Array, offset: number, key: number) => void;
