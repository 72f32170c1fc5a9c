import { askForData, knownOf, wordsOf } from "../bytes/view.js";
import type { Mask, MaskInto } from "../platform.js";
import { readKey } from "./header.js";

// RFC 6455 5.3. A key is a 32-bit integer whose lowest byte is the key's first.

export const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** From this many bytes on whole words are worth looking for. */
/* v8 ignore next -- the few big-endian hosts go without */
const WORDS_FROM = LITTLE_ENDIAN ? 64 : Infinity;

/** The key for what follows after `count` bytes were masked with `key`. */
export function rotateKey(key: number, count: number): number {
  const shift = (count & 3) * 8;
  return shift === 0 ? key : (key >>> shift) | (key << (32 - shift));
}

/** The portable masking kernel: XORs `bytes[start, end)` in place with `key`. Returns whether all of them are ASCII now. */
export function mask(bytes: Uint8Array, start: number, end: number, key: number): boolean {
  if (end > bytes.length) return maskBytes(bytes, start, end, key, 0); // somebody transferred its buffer
  if (end - start >= WORDS_FROM) return maskWords(bytes, start, end, key);
  const known = knownOf(bytes);
  const data = known.data ?? askForData(known);
  if (data === undefined) return maskBytes(bytes, start, end, key, 0);
  let or = 0;
  let at = start;
  for (const four = end - 15; at < four; at += 16) {
    const a = data.getInt32(at, true) ^ key;
    const b = data.getInt32(at + 4, true) ^ key;
    const c = data.getInt32(at + 8, true) ^ key;
    const d = data.getInt32(at + 12, true) ^ key;
    or |= a | b | c | d;
    data.setInt32(at, a, true);
    data.setInt32(at + 4, b, true);
    data.setInt32(at + 8, c, true);
    data.setInt32(at + 12, d, true);
  }
  for (const one = end - 3; at < one; at += 4) {
    const word = data.getInt32(at, true) ^ key;
    or |= word;
    data.setInt32(at, word, true);
  }
  return maskBytes(bytes, at, end, key, or);
}

/** In a word, what of any of its bytes is no ASCII. */
const ANY_HIGH_BIT = 0x80808080 | 0;

/** The portable kernel from one array into another: writes `source`, masked with `key`, into `target` from `offset`. */
export function maskInto(source: Uint8Array, target: Uint8Array, offset: number, key: number): void {
  target.set(source, offset);
  mask(target, offset, offset + source.length, key);
}

/** The same for a few bytes, by way of a view of the array; with a key of 0 it copies. */
export function maskFewInto(source: Uint8Array, target: DataView, offset: number, key: number): void {
  const { length } = source;
  let i = 0;
  for (const whole = length - 3; i < whole; i += 4, offset += 4)
    target.setInt32(offset, readKey(source, i) ^ key, true);
  for (; i < length; i++, offset++, key >>= 8) target.setUint8(offset, (source[i] as number) ^ key);
}

/**
 * Writes `text` masked with `key`, which is 0 for none, into `target` from `offset`. Returns whether it is ASCII; where it is not, what was
 * written means nothing.
 */
export function maskAsciiInto(text: string, target: DataView, offset: number, key: number): boolean {
  const { length } = text;
  let or = 0;
  let i = 0;
  for (const whole = length - 3; i < whole; i += 4, offset += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    or |= a | b | c | d;
    target.setInt32(offset, (a | (b << 8) | (c << 16) | (d << 24)) ^ key, true);
  }
  for (; i < length; i++, offset++, key >>= 8) {
    const unit = text.charCodeAt(i);
    or |= unit;
    target.setUint8(offset, unit ^ key);
  }
  return or < 0x80;
}

/** The kernel that masks into another array, of a platform or the portable one. */
export function maskIntoOf(kernels: {
  readonly mask?: Mask | undefined;
  readonly maskInto?: MaskInto | undefined;
}): MaskInto {
  const { mask: inPlace, maskInto: direct } = kernels;
  if (direct !== undefined) return direct;
  if (inPlace === undefined) return maskInto;
  return (source, target, offset, key) => {
    target.set(source, offset);
    inPlace(target, offset, offset + source.length, key);
  };
}

/** Masks `bytes[start, end)` one by one; `or` is an OR of what was masked before. */
function maskBytes(bytes: Uint8Array, start: number, end: number, key: number, or: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = (bytes[i] as number) ^ (key & 0xff);
    bytes[i] = byte;
    or |= byte;
    key = (key >>> 8) | (key << 24);
  }
  return (or & ANY_HIGH_BIT) === 0;
}

/**
 * Masks many bytes, in words of the buffer. What no whole word has goes byte by byte: what stands beside the range may be somebody else's,
 * who writes there at the same time.
 */
function maskWords(bytes: Uint8Array, start: number, end: number, key: number): boolean {
  const known = knownOf(bytes);
  const words = known.words ?? wordsOf(known);
  const lead = known.offset & 3;
  const last = Math.min((end + lead) >>> 2, words.length);
  let or = 0;
  let at = start;
  for (; ((at + lead) & 3) !== 0; at++) {
    or |= (bytes[at] as number) ^= key & 0xff;
    key = (key >>> 8) | (key << 24);
  }
  let i = (at + lead) >>> 2;
  for (const unrolled = last - 7; i < unrolled; i += 8) {
    or |=
      ((words[i] as number) ^= key) |
      ((words[i + 1] as number) ^= key) |
      ((words[i + 2] as number) ^= key) |
      ((words[i + 3] as number) ^= key) |
      ((words[i + 4] as number) ^= key) |
      ((words[i + 5] as number) ^= key) |
      ((words[i + 6] as number) ^= key) |
      ((words[i + 7] as number) ^= key);
  }
  for (; i < last; i++) or |= (words[i] as number) ^= key;
  return maskBytes(bytes, i * 4 - lead, end, key, or);
}
