import { knownOf, longsOf } from "../bytes/view.js";
import { LITTLE_ENDIAN, mask, maskInto } from "../frame/masking.js";
import type { Mask, MaskInto } from "../platform.js";
import { simdMask, simdMaskInto } from "./simd.js";

// Masking (RFC 6455 5.3) eight bytes at a time, for V8. It XORs 64-bit integers in registers, as long as that is all that is done with them: to
// look for ASCII in them takes longer than it saves. JavaScriptCore makes an object of each.

/** Below this many bytes 32-bit words are as fast. */
/* v8 ignore next -- the few big-endian hosts go without */
const LONGS_FROM = LITTLE_ENDIAN ? 64 : Infinity;
/** From this many bytes on a SIMD kernel is as fast. */
const SIMD_FROM = 1024;

export const longMask: Mask = (bytes, start, end, key, isText) => {
  const size = end - start;
  // `simdMask` would send these there as well; for a few bytes a call costs as much as the mask.
  if (size < LONGS_FROM || end > bytes.length) return mask(bytes, start, end, key);
  if (isText === true || size >= SIMD_FROM) return simdMask(bytes, start, end, key);
  maskLongs(bytes, start, end, key);
  return undefined;
};

export const longMaskInto: MaskInto = (source, target, offset, key) => {
  const { length } = source;
  if (length < LONGS_FROM) {
    maskInto(source, target, offset, key);
  } else if (length >= SIMD_FROM) {
    simdMaskInto(source, target, offset, key);
  } else {
    target.set(source, offset);
    maskLongs(target, offset, offset + length, key);
  }
};

/** A key twice, written as words and read as one integer: to make a `bigint` of it takes longer. */
const keyWords = new Int32Array(2);
const keyLong = new BigUint64Array(keyWords.buffer);

function maskLongs(bytes: Uint8Array, start: number, end: number, key: number): void {
  const known = knownOf(bytes);
  const longs = known.longs ?? longsOf(known);
  const lead = known.offset & 7;
  const last = Math.min((end + lead) >>> 3, longs.length);
  // What no whole word has goes byte by byte: what stands beside the range may be somebody else's, who writes there at the same time.
  let at = start;
  for (; ((at + lead) & 7) !== 0; at++) {
    (bytes[at] as number) ^= key & 0xff;
    key = (key >>> 8) | (key << 24);
  }
  keyWords[0] = keyWords[1] = key;
  const twice = keyLong[0] as bigint;
  let i = (at + lead) >>> 3;
  for (const unrolled = last - 3; i < unrolled; i += 4) {
    (longs[i] as bigint) ^= twice;
    (longs[i + 1] as bigint) ^= twice;
    (longs[i + 2] as bigint) ^= twice;
    (longs[i + 3] as bigint) ^= twice;
  }
  for (; i < last; i++) (longs[i] as bigint) ^= twice;
  for (at = i * 8 - lead; at < end; at++) {
    (bytes[at] as number) ^= key & 0xff;
    key = (key >>> 8) | (key << 24);
  }
}
