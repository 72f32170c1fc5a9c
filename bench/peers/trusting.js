// No implementation, but what none can go below that hands over payloads which stay valid: it trusts every header, checks nothing,
// answers nothing, and knows no fragments. Payloads are masked by the native addon, short ones here, as a call takes longer; they are views of
// their chunk, or, where its end cuts them, in memory of their own. What is sent stands side by side.

import { randomFillSync } from "node:crypto";
import { createRequire } from "node:module";

const { mask, unmask } = createRequire(import.meta.url)("bufferutil");
const { utf8Slice, utf8Write } = Buffer.prototype;

export const version = "";

/** From this many bytes on the addon is faster. */
const ADDON_FROM = 400;

/** What was masked last, and its words. */
let known;
let words;

/** XORs `bytes[start, end)`, whose buffer begins with them, with the four bytes of `word`. */
function maskShort(bytes, start, end, word) {
  if (known !== bytes) {
    known = bytes;
    words = new Int32Array(bytes.buffer, 0, bytes.length >> 2);
  }
  let at = start;
  for (; at < end && (at & 3) !== 0; at++) {
    bytes[at] ^= word & 0xff;
    word = (word >>> 8) | (word << 24);
  }
  let i = at >> 2;
  const last = end >> 2;
  for (; i + 8 <= last; i += 8) {
    words[i] ^= word;
    words[i + 1] ^= word;
    words[i + 2] ^= word;
    words[i + 3] ^= word;
    words[i + 4] ^= word;
    words[i + 5] ^= word;
    words[i + 6] ^= word;
    words[i + 7] ^= word;
  }
  for (; i < last; i++) words[i] ^= word;
  for (at = Math.max(at, last * 4); at < end; at++) {
    bytes[at] ^= word & 0xff;
    word >>>= 8;
  }
}

export function createReceiver({ masked, text, touched, fragments, deliver }) {
  if (fragments > 1) return undefined;
  const maskSize = masked ? 4 : 0;
  const key = Buffer.alloc(4);
  const header = Buffer.alloc(14);
  let headerSize = 0;
  /** A message that a chunk's end has cut, and how much of it is there. */
  let message;
  let filled = 0;

  /** The size of the header that begins at `at`, or more than there is of it. */
  function sizeOf(bytes, at, end) {
    if (at + 2 > end) return Infinity;
    const length = bytes[at + 1] & 0x7f;
    return (length < 126 ? 2 : length === 126 ? 4 : 10) + maskSize;
  }
  function lengthOf(bytes, at) {
    const length = bytes[at + 1] & 0x7f;
    if (length < 126) return length;
    return length === 126 ? (bytes[at + 2] << 8) | bytes[at + 3] : bytes.readUIntBE(at + 4, 6);
  }
  function handOver(bytes, buffer, start, end) {
    if (masked) {
      if (end - start < ADDON_FROM && bytes.byteOffset === 0) {
        maskShort(bytes, start, end, key[0] | (key[1] << 8) | (key[2] << 16) | (key[3] << 24));
      } else unmask(end - start === bytes.length ? bytes : bytes.subarray(start, end), key);
    }
    if (text) deliver(utf8Slice.call(bytes, start, end));
    else deliver(touched ? new Uint8Array(buffer, bytes.byteOffset + start, end - start) : undefined);
  }
  function begin(bytes, at, size) {
    if (masked) for (let i = 0; i < 4; i++) key[i] = bytes[at + size - 4 + i];
  }

  return {
    receive(chunk) {
      const { buffer, length: end } = chunk;
      for (let at = 0; at < end;) {
        if (message !== undefined) {
          const count = Math.min(message.length - filled, end - at);
          if (count < 32) for (let i = 0; i < count; i++) message[filled + i] = chunk[at + i];
          else
            message.set(count === end ? chunk : new Uint8Array(buffer, chunk.byteOffset + at, count), filled);
          filled += count;
          at += count;
          if (filled < message.length) return;
          handOver(message, message.buffer, 0, filled);
          message = undefined;
          continue;
        }
        let size = headerSize > 0 ? Infinity : sizeOf(chunk, at, end);
        let from = chunk;
        let start = at;
        if (at + size > end) {
          while (at < end && headerSize < sizeOf(header, 0, headerSize)) header[headerSize++] = chunk[at++];
          if (headerSize < sizeOf(header, 0, headerSize)) return;
          size = headerSize;
          from = header;
          start = 0;
          headerSize = 0;
        } else {
          at += size;
        }
        const length = lengthOf(from, start);
        begin(from, start, size);
        if (length <= end - at) {
          handOver(chunk, buffer, at, at + length);
          at += length;
        } else {
          message = Buffer.allocUnsafe(length);
          filled = 0;
        }
      }
    },
  };
}

const SLAB = 65536;
/** Up to this many bytes a loop is faster than a call. */
const LOOP_UP_TO = 24;
const keys = new Int32Array(4096);
let drawn = keys.length;

function bytesOf(key) {
  return Buffer.from([key, key >> 8, key >> 16, key >> 24]);
}

export function createSender({ masked, write }) {
  const maskBit = masked ? 0x80 : 0;
  let slab = Buffer.allocUnsafeSlow(SLAB);
  let start = 0;
  let end = 0;

  function reserve(size) {
    if (end + size <= slab.length) return;
    flush();
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB, size));
    start = end = 0;
  }
  /** Writes a header; returns the key, where there is one. */
  function begin(firstByte, length) {
    slab[end] = firstByte;
    if (length < 126) {
      slab[end + 1] = maskBit | length;
    } else if (length < 65536) {
      slab[end + 1] = maskBit | 126;
      slab[end + 2] = length >> 8;
      slab[end + 3] = length;
    } else {
      slab[end + 1] = maskBit | 127;
      slab.writeUIntBE(0, end + 2, 2);
      slab.writeUIntBE(length, end + 4, 6);
    }
    end += sizeOf(length);
    if (!masked) return 0;
    if (drawn === keys.length) {
      randomFillSync(keys);
      drawn = 0;
    }
    const key = keys[drawn++];
    slab[end - 4] = key;
    slab[end - 3] = key >> 8;
    slab[end - 2] = key >> 16;
    slab[end - 1] = key >> 24;
    return key;
  }
  function sizeOf(length) {
    return (length < 126 ? 2 : length < 65536 ? 4 : 10) + (masked ? 4 : 0);
  }
  /** Ends a frame, whose payload stands there. */
  function finish(length, key) {
    if (masked) {
      if (length < ADDON_FROM) maskShort(slab, end, end + length, key);
      else unmask(slab.subarray(end, end + length), bytesOf(key));
    }
    end += length;
  }
  function encode(text, at) {
    const { length } = text;
    if (length > LOOP_UP_TO) return utf8Write.call(slab, text, at);
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 127) return utf8Write.call(slab, text, at);
      slab[at + i] = unit;
    }
    return length;
  }
  function flush() {
    if (end > start) write(new Uint8Array(slab.buffer, start, end - start));
    start = end;
  }

  return {
    text(text) {
      reserve(text.length * 3 + 14);
      const guessed = end + sizeOf(text.length);
      const length = encode(text, guessed);
      const at = end + sizeOf(length);
      if (at !== guessed) slab.copyWithin(at, guessed, guessed + length);
      finish(length, begin(0x81, length));
    },
    binary(bytes) {
      const { length } = bytes;
      reserve(length + 14);
      const key = begin(0x82, length);
      if (masked && length >= ADDON_FROM) {
        mask(bytes, bytesOf(key), slab, end, length);
        end += length;
      } else if (length >= 16384) {
        flush();
        write(bytes);
      } else {
        if (length > LOOP_UP_TO) slab.set(bytes, end);
        else for (let i = 0; i < length; i++) slab[end + i] = bytes[i];
        finish(length, key);
      }
    },
    flush,
  };
}
