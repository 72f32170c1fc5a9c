import { bufferOf, knownOf } from "../bytes/view.js";
import type { Mask, MaskInto } from "../platform.js";

// RFC 6455 5.3. A key is a 32-bit integer whose lowest byte is the key's first.

export const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Below this many bytes a loop over bytes is the fastest. */
/* v8 ignore next -- the few big-endian hosts go without words */
const WORDS_FROM = LITTLE_ENDIAN ? 12 : Infinity;
/** Below this many bytes a loop is faster than `set`. */
const SET_FROM = 24;
/** From this many bytes on, a view of words is made even for an array that is not known yet: it is cheaper than the loop over bytes. */
const VIEW_FROM = 64;

/** The key for what follows after `count` bytes were masked with `key`. */
export function rotateKey(key: number, count: number): number {
  const shift = (count & 3) * 8;
  return shift === 0 ? key : (key >>> shift) | (key << (32 - shift));
}

/** The portable masking kernel: XORs `bytes[start, end)` in place with `key`. Returns whether all of them are ASCII now. */
export function mask(bytes: Uint8Array, start: number, end: number, key: number): boolean {
  if (end - start < WORDS_FROM) return maskBytes(bytes, start, end, key) < 0x80;
  const { words, lead } = knownOf(bytes);
  if (end + lead > words.length * 4) return maskAnew(bytes, start, end, key);
  return (maskWords(words, lead, bytes, start, end, key) & ANY_HIGH_BIT) === 0;
}

/** `mask` where there is no view of words yet, or none that reaches so far: a buffer may be resized, and its last word be cut. */
function maskAnew(bytes: Uint8Array, start: number, end: number, key: number): boolean {
  const known = knownOf(bytes);
  const lead = known.offset & 3;
  if (known.lead === lead || end - start >= VIEW_FROM) {
    const buffer = bufferOf(known);
    const from = known.offset - lead;
    const most = (buffer.byteLength - from) >>> 2;
    known.words = new Int32Array(buffer, from, Math.min((lead + bytes.length + 3) >>> 2, most));
  }
  known.lead = lead;
  const { words } = known;
  const wordsEnd = words.length * 4 - lead;
  const seam = wordsEnd - start < WORDS_FROM ? start : Math.min(wordsEnd, end);
  const head = seam > start ? maskWords(words, lead, bytes, start, seam, key) : 0;
  const tail = maskBytes(bytes, seam, end, rotateKey(key, seam - start));
  return ((head | tail) & ANY_HIGH_BIT) === 0;
}

/** In a word, what of any of its bytes is no ASCII. */
const ANY_HIGH_BIT = 0x80808080 | 0;

/** The portable kernel from one array into another: writes `source`, masked with `key`, into `target` from `offset`. */
export function maskInto(source: Uint8Array, target: Uint8Array, offset: number, key: number): void {
  const { length } = source;
  if (length < SET_FROM) {
    maskFewInto(source, target, offset, key);
  } else {
    target.set(source, offset);
    mask(target, offset, offset + length, key);
  }
}

/** The same for a few bytes; with a key of 0 it copies. */
export function maskFewInto(source: Uint8Array, target: Uint8Array, offset: number, key: number): void {
  const { length } = source;
  let i = 0;
  for (const whole = length - 3; i < whole; i += 4, offset += 4) {
    target[offset] = (source[i] as number) ^ key;
    target[offset + 1] = (source[i + 1] as number) ^ (key >> 8);
    target[offset + 2] = (source[i + 2] as number) ^ (key >> 16);
    target[offset + 3] = (source[i + 3] as number) ^ (key >> 24);
  }
  for (; i < length; i++, offset++, key >>= 8) target[offset] = (source[i] as number) ^ key;
}

/**
 * Writes `text` masked with `key`, which is 0 for none, into `target` from `offset`. Returns whether it is ASCII; where it is not, what was
 * written means nothing.
 */
export function maskAsciiInto(text: string, target: Uint8Array, offset: number, key: number): boolean {
  const { length } = text;
  let or = 0;
  let i = 0;
  for (const whole = length - 3; i < whole; i += 4, offset += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    or |= a | b | c | d;
    target[offset] = a ^ key;
    target[offset + 1] = b ^ (key >> 8);
    target[offset + 2] = c ^ (key >> 16);
    target[offset + 3] = d ^ (key >> 24);
  }
  for (; i < length; i++, offset++, key >>= 8) {
    const unit = text.charCodeAt(i);
    or |= unit;
    target[offset] = unit ^ key;
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

// Each of these returns an OR of what it wrote.

/**
 * Masks what is twelve bytes or more, over `words`, which begin `lead` bytes before `bytes`. What no whole word has goes byte by byte: what
 * stands beside the range may be somebody else's, who writes there at the same time.
 */
function maskWords(
  words: Int32Array,
  lead: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  key: number,
): number {
  const last = (end + lead) >>> 2;
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
  for (at = i * 4 - lead; at < end; at++, key >>>= 8) or |= (bytes[at] as number) ^= key & 0xff;
  return or;
}

function maskBytes(bytes: Uint8Array, start: number, end: number, key: number): number {
  let or = 0;
  for (let i = start; i < end; i++) {
    const byte = (bytes[i] as number) ^ (key & 0xff);
    bytes[i] = byte;
    or |= byte;
    key = (key >>> 8) | (key << 24);
  }
  return or;
}
