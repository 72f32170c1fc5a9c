// RFC 6455 5.3. A key is a 32-bit integer whose lowest byte is the key's first.

/** Below this many bytes a loop over bytes is cheaper than a view of words. */
const WORDS_FROM = 128;

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The key for what follows after `count` bytes were masked with `key`. */
export function rotateKey(key: number, count: number): number {
  const shift = (count & 3) * 8;
  return shift === 0 ? key : (key >>> shift) | (key << (32 - shift));
}

/** The portable masking kernel: XORs `bytes[start, end)` in place with `key`. */
export function mask(bytes: Uint8Array, start: number, end: number, key: number): void {
  if (end - start < WORDS_FROM) {
    maskBytes(bytes, start, end, key);
    return;
  }
  const aligned = start + (-(bytes.byteOffset + start) & 3);
  maskBytes(bytes, start, aligned, key);
  key = rotateKey(key, aligned - start);
  const count = (end - aligned) >> 2;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + aligned, count);
  /* v8 ignore next -- the tests' hosts are little-endian */
  const word = LITTLE_ENDIAN ? key : swapBytes(key);
  const unrolled = count & ~7;
  let i = 0;
  for (; i < unrolled; i += 8) {
    (words[i] as number) ^= word;
    (words[i + 1] as number) ^= word;
    (words[i + 2] as number) ^= word;
    (words[i + 3] as number) ^= word;
    (words[i + 4] as number) ^= word;
    (words[i + 5] as number) ^= word;
    (words[i + 6] as number) ^= word;
    (words[i + 7] as number) ^= word;
  }
  for (; i < count; i++) (words[i] as number) ^= word;
  maskBytes(bytes, aligned + count * 4, end, key);
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
