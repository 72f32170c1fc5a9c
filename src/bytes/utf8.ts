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
    if (state !== 0) {
      if (byte < ((state >> 8) & 0xff) || byte > state >> 16) return ~i;
      state = (state & 3) === 1 ? 0 : ((state & 3) - 1) | ANY_CONTINUATION;
      i++;
    } else if (byte < 0x80) {
      i++;
      while (i + 4 <= end && isAsciiFour(bytes, i)) i += 4;
    } else if (
      byte > 0xe0 &&
      byte < 0xed &&
      i + 3 <= end &&
      (((bytes[i + 1] as number) ^ 0x80) | ((bytes[i + 2] as number) ^ 0x80)) < 0x40
    ) {
      i += 3; // no overlong form and no surrogate begins with these
    } else {
      state = STATE_AFTER[byte - 0x80] as number;
      if (state === 0) return ~i;
      i++;
    }
  }
  return state;
}

function isAsciiFour(bytes: Uint8Array, at: number): boolean {
  return (
    ((bytes[at] as number) |
      (bytes[at + 1] as number) |
      (bytes[at + 2] as number) |
      (bytes[at + 3] as number)) <
    0x80
  );
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

/** Whether `bytes[start, end)` is UTF-8, by the platform's check where that pays. */
export function isUtf8(utf8: Utf8, bytes: Uint8Array, start: number, end: number): boolean {
  if (utf8.isValid !== undefined && end - start >= CHECK_NATIVELY_FROM)
    return utf8.isValid(bytes, start, end);
  return checkUtf8(0, bytes, start, end) === 0;
}

/** `utf8.decode`, for bytes that may be known to be ASCII. */
export function decodeAs(
  utf8: Utf8,
  bytes: Uint8Array,
  start: number,
  end: number,
  isAscii: boolean,
): string | undefined {
  return isAscii && utf8.decodeAscii !== undefined
    ? utf8.decodeAscii(bytes, start, end)
    : utf8.decode(bytes, start, end);
}

/** From this many bytes on, a call of the platform's check pays. */
export const CHECK_NATIVELY_FROM = 64;

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
    if (end - start <= SHORT && isShortAscii(bytes, start, end)) return stringOf(bytes, start, end - start);
    let text = "";
    let at = start;
    while (at < end) {
      // A code unit takes at least one byte, so this many bytes always fit.
      let stop = end;
      if (end - at > UNITS_AT_ONCE) stop = codePointSeam(bytes, at, at + UNITS_AT_ONCE);
      const count = decodeUnits(units, bytes, at, stop);
      if (count < 0) return undefined;
      text +=
        count <= SHORT
          ? stringOf(units, 0, count)
          : String.fromCharCode.apply(null, units.subarray(0, count) as unknown as number[]);
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

/** Few enough for `String.fromCharCode.apply` on every engine's stack. */
const UNITS_AT_ONCE = 4096;
const units = /* @__PURE__ */ new Uint16Array(UNITS_AT_ONCE);

/**
 * Decodes `bytes[start, end)` into UTF-16 code units, of which there are at most as many as bytes. Returns how many, or -1
 * where the bytes are not UTF-8.
 */
export function decodeUnits(units: Uint16Array, bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  let i = start;
  while (i < end) {
    const first = bytes[i] as number;
    if (first < 0x80) {
      units[count++] = first;
      i++;
      for (; i + 4 <= end && isAsciiFour(bytes, i); i += 4) {
        units[count] = bytes[i] as number;
        units[count + 1] = bytes[i + 1] as number;
        units[count + 2] = bytes[i + 2] as number;
        units[count + 3] = bytes[i + 3] as number;
        count += 4;
      }
      continue;
    }
    // The six bits of each byte behind the first; more than 0x3f where it does not continue a code point.
    const second = i + 1 < end ? (bytes[i + 1] as number) ^ 0x80 : NO_CONTINUATION;
    if (first < 0xe0) {
      if (first < 0xc2 || second > 0x3f) return -1;
      units[count++] = ((first & 0x1f) << 6) | second;
      i += 2;
      // Most alphabets have one of these after the other, a word long.
      for (const last = end - 1; i < last; i += 2) {
        const lead = bytes[i] as number;
        const low = (bytes[i + 1] as number) ^ 0x80;
        if (lead < 0xc2 || lead > 0xdf) break;
        if (low > 0x3f) return -1;
        units[count++] = ((lead & 0x1f) << 6) | low;
      }
      continue;
    }
    const third = i + 2 < end ? (bytes[i + 2] as number) ^ 0x80 : NO_CONTINUATION;
    if (first < 0xf0) {
      const unit = ((first & 0x0f) << 12) | (second << 6) | third;
      if ((second | third) > 0x3f || isNoUnit(unit)) return -1;
      units[count++] = unit;
      i += 3;
      // Much of Asia's text is one of these after the other: two at a time need fewer checks.
      for (const last = end - 5; i < last; i += 6) {
        const highA = (bytes[i] as number) ^ 0xe0;
        const highB = (bytes[i + 3] as number) ^ 0xe0;
        if ((highA | highB) > 0x0f) break;
        const middleA = (bytes[i + 1] as number) ^ 0x80;
        const lowA = (bytes[i + 2] as number) ^ 0x80;
        const middleB = (bytes[i + 4] as number) ^ 0x80;
        const lowB = (bytes[i + 5] as number) ^ 0x80;
        const unitA = (highA << 12) | (middleA << 6) | lowA;
        const unitB = (highB << 12) | (middleB << 6) | lowB;
        if ((middleA | lowA | middleB | lowB) > 0x3f || isNoUnit(unitA) || isNoUnit(unitB)) return -1;
        units[count] = unitA;
        units[count + 1] = unitB;
        count += 2;
      }
      continue;
    }
    const fourth = i + 3 < end ? (bytes[i + 3] as number) ^ 0x80 : NO_CONTINUATION;
    const point = ((first & 0x0f) << 18) | (second << 12) | (third << 6) | fourth;
    if ((second | third | fourth) > 0x3f || point < 0x10000 || point > 0x10ffff) return -1;
    units[count] = 0xd7c0 + (point >> 10);
    units[count + 1] = 0xdc00 | (point & 0x3ff);
    count += 2;
    i += 4;
  }
  return count;
}

/** Whether three bytes may not stand for this: two would do, or it is a half of a pair. RFC 3629 3 */
function isNoUnit(unit: number): boolean {
  return unit < 0x800 || (unit & 0xf800) === 0xd800;
}

/** Stands for the byte that a cut code point lacks. */
const NO_CONTINUATION = 0x40;

/** The longest string that `stringOf` makes. */
export const SHORT = 16;

/**
 * The string of the code units `codes[start, start + count)`, at most sixteen. One call with all of them is several times faster than
 * joining two strings, and than a call into the engine.
 */
export function stringOf(codes: Uint8Array | Uint16Array, start: number, count: number): string {
  const { fromCharCode: string } = String;
  if (count === 0) return "";
  const a = codes[start] as number;
  if (count === 1) return string(a);
  const b = codes[start + 1] as number;
  if (count === 2) return string(a, b);
  const c = codes[start + 2] as number;
  if (count === 3) return string(a, b, c);
  const d = codes[start + 3] as number;
  if (count === 4) return string(a, b, c, d);
  const e = codes[start + 4] as number;
  if (count === 5) return string(a, b, c, d, e);
  const f = codes[start + 5] as number;
  if (count === 6) return string(a, b, c, d, e, f);
  const g = codes[start + 6] as number;
  if (count === 7) return string(a, b, c, d, e, f, g);
  const h = codes[start + 7] as number;
  if (count === 8) return string(a, b, c, d, e, f, g, h);
  const i = codes[start + 8] as number;
  if (count === 9) return string(a, b, c, d, e, f, g, h, i);
  const j = codes[start + 9] as number;
  if (count === 10) return string(a, b, c, d, e, f, g, h, i, j);
  const k = codes[start + 10] as number;
  if (count === 11) return string(a, b, c, d, e, f, g, h, i, j, k);
  const l = codes[start + 11] as number;
  if (count === 12) return string(a, b, c, d, e, f, g, h, i, j, k, l);
  const m = codes[start + 12] as number;
  if (count === 13) return string(a, b, c, d, e, f, g, h, i, j, k, l, m);
  const n = codes[start + 13] as number;
  if (count === 14) return string(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
  const o = codes[start + 14] as number;
  if (count === 15) return string(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
  const p = codes[start + 15] as number;
  return string(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
}

/** Whether `bytes[start, end)` are ASCII, which are few. */
export function isShortAscii(bytes: Uint8Array, start: number, end: number): boolean {
  let or = 0;
  for (let i = start; i < end; i++) or |= bytes[i] as number;
  return or < 0x80;
}
