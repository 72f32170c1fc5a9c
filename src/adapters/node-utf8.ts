import { Buffer, isAscii, isUtf8 } from "node:buffer";
import { versions } from "node:process";

import {
  checkUtf8,
  codePointSeam,
  decodeUnits,
  isShortAscii,
  portableUtf8,
  SHORT,
  stringOf,
} from "../bytes/utf8.js";
import { viewOf } from "../bytes/view.js";
import type { Utf8 } from "../platform.js";

// UTF-8 by what `node:buffer` has, which Bun and Deno have, too: the fastest there was for each size and script, measured on
// Node 20 to 26, Bun 1.4 and Deno 2.9. The methods of `Buffer` work on any Uint8Array, without a view of the range.

/** Methods that `Buffer` has on each of these runtimes, and no types. */
interface BufferMethods {
  readonly utf8Slice: (this: Uint8Array, start: number, end: number) => string;
  readonly latin1Slice: (this: Uint8Array, start: number, end: number) => string;
  readonly ucs2Slice: (this: Uint8Array, start: number, end: number) => string;
  readonly utf8Write: (this: Uint8Array, text: string, offset: number) => number;
}

/** From this many bytes on the platform's check is faster than the portable one. */
const CHECK_FROM = 48;

/** Whether the engine's decoder is the slow one of before Node 24. */
const OLD = Number.parseInt(versions.node, 10) < 24;

/** Up to this many bytes our decoder is faster for a text with much that is not ASCII; the old one is slower at any size. */
const DENSE_UP_TO = OLD ? Infinity : 32;

/** From this many bytes on it pays to ask first whether all of them are ASCII: elsewhere the decoder does so by itself. */
const ASK_FROM = "deno" in versions ? 512 : OLD ? 4096 : Infinity;

/** From this many code units on the engine's encoder is faster than the portable one. */
const ENCODE_FROM = "deno" in versions ? 64 : OLD ? 20 : 13;

const UNITS_AT_ONCE = 32768;

/** Guesses by a few of its bytes whether a text has much that is not ASCII. */
function isDense(bytes: Uint8Array, start: number, end: number): boolean {
  const quarter = (end - start) >> 2;
  const sample =
    (bytes[start] as number) |
    (bytes[start + quarter] as number) |
    (bytes[start + 2 * quarter] as number) |
    (bytes[start + 3 * quarter] as number) |
    (bytes[end - 1] as number);
  return sample >= 0x80;
}

/**
 * UTF-8 coding by these methods. They are constants of a function: what is one of a module is a variable once that is bundled, and an engine
 * calls what may vary by a longer way.
 */
function codingBy(methods: BufferMethods): Utf8 {
  const { utf8Slice, latin1Slice, ucs2Slice, utf8Write } = methods;
  let units: Uint16Array | undefined;
  let unitBytes: Uint8Array;

  function decode(bytes: Uint8Array, start: number, end: number): string | undefined {
    const length = end - start;
    if (length <= SHORT && isShortAscii(bytes, start, end)) return stringOf(bytes, start, length);
    if (length <= SHORT || (length <= DENSE_UP_TO && isDense(bytes, start, end))) {
      return decodeDense(bytes, start, end);
    }
    if (length >= ASK_FROM && isAscii(viewOf(bytes, start, end))) return latin1Slice.call(bytes, start, end);
    // What is not UTF-8 becomes U+FFFD; only a text that has one is looked at again.
    const text = utf8Slice.call(bytes, start, end);
    return text.includes("\ufffd") && !isUtf8(viewOf(bytes, start, end)) ? undefined : text;
  }

  /** Decodes by our own decoder, into code units that the platform makes a string of. */
  function decodeDense(bytes: Uint8Array, start: number, end: number): string | undefined {
    if (units === undefined) {
      units = new Uint16Array(UNITS_AT_ONCE);
      unitBytes = new Uint8Array(units.buffer);
    }
    let text = "";
    for (let at = start; at < end;) {
      const stop = end - at > UNITS_AT_ONCE ? codePointSeam(bytes, at, at + UNITS_AT_ONCE) : end;
      const count = decodeUnits(units, bytes, at, stop);
      if (count < 0) return undefined;
      text += count <= SHORT ? stringOf(units, 0, count) : ucs2Slice.call(unitBytes, 0, count * 2);
      at = stop;
    }
    return text;
  }

  return {
    decode,
    decodeAscii: (bytes, start, end) =>
      end - start <= SHORT ? stringOf(bytes, start, end - start) : latin1Slice.call(bytes, start, end),
    encodeInto(text, target, offset) {
      if (text.length < ENCODE_FROM) return portableUtf8.encodeInto(text, target, offset);
      return offset + utf8Write.call(target, text, offset);
    },
    byteLength: (text) => Buffer.byteLength(text),
    isValid(bytes, start, end) {
      if (end - start < CHECK_FROM) return checkUtf8(0, bytes, start, end) === 0;
      return isUtf8(end - start === bytes.length ? bytes : viewOf(bytes, start, end)); // a chunk is one piece, mostly
    },
  };
}

/** Whether the methods do here what is relied on. A runtime that only resembles Node may do otherwise. */
function isAsMeasured({ utf8Slice, latin1Slice, ucs2Slice, utf8Write }: BufferMethods): boolean {
  try {
    const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff, 0xed, 0xa0, 0x80]);
    const target = new Uint8Array(8);
    return (
      utf8Slice.call(bytes, 0, 5) === "\ufeffa\ufffd" &&
      utf8Slice.call(bytes, 5, 8).includes("\ufffd") &&
      latin1Slice.call(bytes, 3, 5) === "a\xff" &&
      ucs2Slice.call(new Uint8Array(new Uint16Array([0x20ac]).buffer), 0, 2) === "\u20ac" &&
      utf8Write.call(target, "a\ud800", 3) === 4 &&
      target.join() === "0,0,0,97,239,191,189,0" &&
      isAscii(bytes.subarray(3, 4)) &&
      !isUtf8(bytes)
    );
  } catch {
    return false;
  }
}

const methods = Buffer.prototype as unknown as BufferMethods;

/** UTF-8 coding for Node, Bun and Deno. */
export const nodeUtf8: Utf8 = isAsMeasured(methods) ? codingBy(methods) : portableUtf8;
