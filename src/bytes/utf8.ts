import type { Utf8 } from "../platform.js";

// UTF-8 as RFC 3629 has it, in plain TypeScript, for engines without a text decoder and for the places where the
// platform's decoder cannot say which byte was at fault.

/**
 * Checks `bytes[start, end)` as the continuation of what led to `state` (0: at a code point's start). Returns the state
 * after them, or, where a byte cannot stand, the bitwise complement of its index: a negative number.
 *
 * A state inside a code point holds how many bytes are to come, and the range of the next one:
 * `missing | lowest << 8 | highest << 16`.
 */
export function checkUtf8(state: number, bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end) {
    const byte = bytes[i] as number;
    if (state === 0) {
      if (byte >= 0x80) {
        state = STATE_AFTER[byte - 0x80] as number;
        if (state === 0) return ~i;
      }
    } else {
      if (byte < ((state >> 8) & 0xff) || byte > state >> 16) return ~i;
      state = (state & 3) === 1 ? 0 : ((state & 3) - 1) | ANY_CONTINUATION;
    }
    i++;
  }
  return state;
}

const ANY_CONTINUATION = (0x80 << 8) | (0xbf << 16);

/** The state after each byte from 0x80 that begins a code point; 0: none begins with it. RFC 3629 4. */
const STATE_AFTER: Int32Array = /* @__PURE__ */ Int32Array.from({ length: 0x80 }, (_, index) => {
  const byte = index + 0x80;
  if (byte < 0xc2 || byte > 0xf4) return 0;
  if (byte < 0xe0) return 1 | ANY_CONTINUATION;
  if (byte < 0xf0) {
    const lowest = byte === 0xe0 ? 0xa0 : 0x80;
    const highest = byte === 0xed ? 0x9f : 0xbf;
    return 2 | (lowest << 8) | (highest << 16);
  }
  const lowest = byte === 0xf0 ? 0x90 : 0x80;
  const highest = byte === 0xf4 ? 0x8f : 0xbf;
  return 3 | (lowest << 8) | (highest << 16);
});

/** Where in `bytes[start, end)` the code point begins that `end` cuts; `end` where it cuts none. */
export function codePointSeam(bytes: Uint8Array, start: number, end: number): number {
  // Only the last three bytes can begin a code point that is not over.
  for (let back = 1; back <= 3 && end - back >= start; back++) {
    const byte = bytes[end - back] as number;
    if (byte >= 0xc0) return back < (byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4) ? end - back : end;
    if (byte < 0x80) return end;
  }
  return end;
}

/** The portable coding. */
export const portableUtf8: Utf8 = {
  decode(bytes, start, end) {
    let text = "";
    let at = start;
    if (end - start <= BY_HAND) {
      for (; at < end && (bytes[at] as number) < 0x80; at++) text += String.fromCharCode(bytes[at] as number);
    }
    while (at < end) {
      // A code unit takes at least one byte, so this many bytes always fit.
      let stop = end;
      if (end - at > UNITS_AT_ONCE) stop = codePointSeam(bytes, at, at + UNITS_AT_ONCE);
      const count = decodeInto(units, bytes, at, stop);
      if (count < 0) return undefined;
      text += String.fromCharCode.apply(null, units.subarray(0, count) as unknown as number[]);
      at = stop;
    }
    return text;
  },

  encodeInto(text, target, offset) {
    const length = text.length;
    for (let i = 0; i < length; i++) {
      let point = text.charCodeAt(i);
      if (point < 0x80) {
        target[offset++] = point;
        continue;
      }
      if (point < 0x800) {
        target[offset++] = 0xc0 | (point >> 6);
        target[offset++] = 0x80 | (point & 0x3f);
        continue;
      }
      if ((point & 0xf800) === 0xd800) {
        const next = i + 1 < length ? text.charCodeAt(i + 1) : 0;
        if (point < 0xdc00 && (next & 0xfc00) === 0xdc00) {
          point = 0x10000 + ((point & 0x3ff) << 10) + (next & 0x3ff);
          i++;
          target[offset++] = 0xf0 | (point >> 18);
          target[offset++] = 0x80 | ((point >> 12) & 0x3f);
          target[offset++] = 0x80 | ((point >> 6) & 0x3f);
          target[offset++] = 0x80 | (point & 0x3f);
          continue;
        }
        point = 0xfffd; // RFC 6455 8.1: what is sent is UTF-8, and a lone surrogate has none
      }
      target[offset++] = 0xe0 | (point >> 12);
      target[offset++] = 0x80 | ((point >> 6) & 0x3f);
      target[offset++] = 0x80 | (point & 0x3f);
    }
    return offset;
  },

  byteLength(text) {
    let bytes = text.length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 0x80) continue;
      if (unit < 0x800) {
        bytes++;
        continue;
      }
      bytes += 2;
      // A pair is two units and four bytes.
      if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++;
    }
    return bytes;
  },
};

/** Up to this many bytes ASCII is decoded letter by letter. */
const BY_HAND = 24;

/** Few enough for `String.fromCharCode.apply` on every engine's stack. */
const UNITS_AT_ONCE = 4096;
const units = /* @__PURE__ */ new Uint16Array(UNITS_AT_ONCE);

/** Decodes `bytes[start, end)` into UTF-16 code units; returns how many, or -1 where the bytes are not UTF-8. */
function decodeInto(units: Uint16Array, bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  let i = start;
  while (i < end) {
    const byte = bytes[i++] as number;
    if (byte < 0x80) {
      units[count++] = byte;
      continue;
    }
    const state = STATE_AFTER[byte - 0x80] as number;
    const missing = state & 3;
    if (state === 0 || i + missing > end) return -1;
    const second = bytes[i++] as number;
    if (second < ((state >> 8) & 0xff) || second > state >> 16) return -1;
    if (missing === 1) {
      units[count++] = ((byte & 0x1f) << 6) | (second & 0x3f);
      continue;
    }
    const third = bytes[i++] as number;
    if ((third & 0xc0) !== 0x80) return -1;
    if (missing === 2) {
      units[count++] = ((byte & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f);
      continue;
    }
    const fourth = bytes[i++] as number;
    if ((fourth & 0xc0) !== 0x80) return -1;
    const point =
      (((byte & 0x07) << 18) | ((second & 0x3f) << 12) | ((third & 0x3f) << 6) | (fourth & 0x3f)) - 0x10000;
    units[count++] = 0xd800 | (point >> 10);
    units[count++] = 0xdc00 | (point & 0x3ff);
  }
  return count;
}
