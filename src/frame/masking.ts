import type { Mask, MaskInto } from "../platform.js";

// RFC 6455 5.3. A key is a 32-bit integer whose lowest byte is the key's first.

/** Below this many bytes a loop over bytes is the fastest. */
const WORDS_FROM = 32;
/** Below this many bytes a loop is faster than `set`. */
const SET_FROM = 32;
/** From this many bytes on, a view of words is made where there is none yet: it is cheaper than the loop over bytes. */
const VIEW_FROM = 128;
/** From this many bytes on, a view of exactly the words to mask pays: engines leave out more checks. */
const OWN_VIEW_FROM = 1024;
/** Of larger arrays no view is kept. */
const KEEP_UP_TO = 131072;

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

// A view costs more than masking a small frame, and a chunk has many of them. So the last array that was masked in is kept,
// with a view of its words once it was met twice: one for all connections.
const NO_WORDS = /* @__PURE__ */ new Int32Array(0);
let recent: Uint8Array | undefined;
let recentWords: Int32Array = NO_WORDS;
/** Where in `recent` its words begin. */
let recentBase = 0;

/** The key for what follows after `count` bytes were masked with `key`. */
export function rotateKey(key: number, count: number): number {
  const shift = (count & 3) * 8;
  return shift === 0 ? key : (key >>> shift) | (key << (32 - shift));
}

/** The portable masking kernel: XORs `bytes[start, end)` in place with `key`. */
export function mask(bytes: Uint8Array, start: number, end: number, key: number): void {
  const length = end - start;
  if (length < WORDS_FROM) {
    maskBytes(bytes, start, end, key);
  } else if (length >= OWN_VIEW_FROM || (length >= VIEW_FROM && bytes.length > KEEP_UP_TO)) {
    const base = start + (-(bytes.byteOffset + start) & 3);
    const count = (end - base) >> 2;
    maskAround(new Int32Array(bytes.buffer, bytes.byteOffset + base, count), base, bytes, start, end, key);
  } else if (bytes === recent || length >= VIEW_FROM) {
    // A buffer may be resized, which a view of words does not follow.
    if (bytes !== recent || end - recentBase > recentWords.length * 4 + 3) {
      recent = bytes;
      recentBase = -bytes.byteOffset & 3;
      const count = (bytes.length - recentBase) >> 2;
      recentWords = new Int32Array(bytes.buffer, bytes.byteOffset + recentBase, count);
    }
    maskAround(recentWords, recentBase, bytes, start, end, key);
  } else {
    if (bytes.length <= KEEP_UP_TO) {
      recent = bytes;
      recentWords = NO_WORDS;
    }
    maskBytes(bytes, start, end, key);
  }
}

/** The portable kernel from one array into another: writes `source`, masked with `key`, into `target` from `offset`. */
export function maskInto(source: Uint8Array, target: Uint8Array, offset: number, key: number): void {
  const { length } = source;
  if (length >= SET_FROM) {
    target.set(source, offset);
    mask(target, offset, offset + length, key);
    return;
  }
  for (let i = 0; i < length; i++) {
    target[offset + i] = (source[i] as number) ^ key;
    key = (key >>> 8) | (key << 24);
  }
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

/** Masks over `words`, which begin at `bytes[base]`, and what they do not cover byte by byte. */
function maskAround(
  words: Int32Array,
  base: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  key: number,
): void {
  const aligned = start + ((base - start) & 3);
  const last = (end - base) >> 2;
  maskEdge(bytes, start, aligned, key);
  key = rotateKey(key, aligned - start);
  maskWords(words, (aligned - base) >> 2, last, key);
  maskEdge(bytes, base + last * 4, end, key);
}

/** Up to three bytes before or behind the words. */
function maskEdge(bytes: Uint8Array, start: number, end: number, key: number): void {
  for (let i = start; i < end; i++) {
    (bytes[i] as number) ^= key;
    key >>>= 8;
  }
}

function maskWords(words: Int32Array, start: number, end: number, key: number): void {
  /* v8 ignore next -- the tests' hosts are little-endian */
  const word = LITTLE_ENDIAN ? key : swapBytes(key);
  let i = start;
  for (const unrolled = end - ((end - start) & 7); i < unrolled; i += 8) {
    (words[i] as number) ^= word;
    (words[i + 1] as number) ^= word;
    (words[i + 2] as number) ^= word;
    (words[i + 3] as number) ^= word;
    (words[i + 4] as number) ^= word;
    (words[i + 5] as number) ^= word;
    (words[i + 6] as number) ^= word;
    (words[i + 7] as number) ^= word;
  }
  for (; i < end; i++) (words[i] as number) ^= word;
}

function maskBytes(bytes: Uint8Array, start: number, end: number, key: number): void {
  const k0 = key & 0xff;
  const k1 = (key >>> 8) & 0xff;
  const k2 = (key >>> 16) & 0xff;
  const k3 = key >>> 24;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    (bytes[i] as number) ^= k0;
    (bytes[i + 1] as number) ^= k1;
    (bytes[i + 2] as number) ^= k2;
    (bytes[i + 3] as number) ^= k3;
  }
  if (i < end) (bytes[i++] as number) ^= k0;
  if (i < end) (bytes[i++] as number) ^= k1;
  if (i < end) (bytes[i] as number) ^= k2;
}

/* v8 ignore next -- for the few big-endian hosts */
function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
