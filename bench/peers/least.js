// No implementation, but what none can go below that keeps the contract: events are objects that are pulled one by one, payloads stay
// valid, what a chunk's end has cut is in memory of its own that was cleared, and output is taken as a list. It has this package's kernels, as
// a native addon is none of its means. For the rest it trusts every header, checks nothing but that a text is UTF-8, answers nothing, bounds
// nothing, knows no fragments, and takes for granted that what it writes is written at once.

import { nodePlatform } from "../../dist/adapters/node.js";

const { mask, maskInto, utf8, random } = nodePlatform;

export const version = "";

const NO_BYTES = new Uint8Array(0);
/** What is gathered is cut out of slabs of this size, up to a quarter of one. */
const SLAB = 65536;
/** Fewer bytes than this a loop copies faster. */
const FEW = 32;
/** From this many bytes on a server passes a payload through. */
const PASS_FROM = 1024;

// Of the array that was looked at last.
let known;
let buffer;
let offset;

function viewOf(bytes, start, end) {
  if (bytes !== known) {
    known = bytes;
    buffer = bytes.buffer;
    offset = bytes.byteOffset;
  }
  return new Uint8Array(buffer, offset + start, end - start);
}

function keyAt(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

class Binary {
  constructor(bytes, start, end, masked) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.masked = masked;
  }

  get type() {
    return "binary";
  }

  get payload() {
    const { bytes, start, end } = this;
    const view = viewOf(bytes, start, end);
    if (this.masked) mask(bytes, start, end, keyAt(bytes, start - 4));
    return view;
  }
}

class Text {
  constructor(text) {
    this.text = text;
  }

  get type() {
    return "text";
  }
}

/** Where texts are gathered. */
const room = new Uint8Array(1 << 21);
let slab = NO_BYTES;
let used = 0;

class Reader {
  bytes = NO_BYTES;
  at = 0;
  end = 0;
  /** A header that a chunk's end has cut. */
  header = new Uint8Array(14);
  headerSize = 0;
  /** A message that a chunk's end has cut: its payload begins at `from`, behind its key. */
  message = undefined;
  from = 0;
  length = 0;
  filled = 0;
  /** Of a text: its key, and whether all of it was ASCII so far. */
  key = 0;
  isAscii = false;

  constructor(masked, isText) {
    this.masked = masked;
    this.keySize = masked ? 4 : 0;
    this.isText = isText;
  }

  receive(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.end = bytes.length;
  }

  next() {
    const { bytes, at, end } = this;
    const start = at + 2 + this.keySize;
    if (this.message !== undefined || this.headerSize > 0 || start > end) return this.nextCut();
    const length = bytes[at + 1] & 0x7f;
    if (length > 125 || start + length > end) return this.nextLong();
    this.at = start + length;
    return this.event(bytes, start, this.at);
  }

  event(bytes, start, end) {
    if (!this.isText) return new Binary(bytes, start, end, this.masked);
    this.isAscii = this.masked && mask(bytes, start, end, keyAt(bytes, start - 4), true) === true;
    return new Text(this.decode(bytes, start, end));
  }

  nextLong() {
    const { bytes, at, end } = this;
    const size = this.sizeOf(bytes, at, end);
    if (at + size > end) return this.nextCut();
    const length = lengthOf(bytes, at);
    this.at = at + size;
    if (length > end - this.at) {
      this.begin(length, bytes, this.at);
      return this.nextCut();
    }
    this.at += length;
    return this.event(bytes, at + size, this.at);
  }

  nextCut() {
    const { bytes, end, header } = this;
    while (this.message === undefined) {
      if (this.at === end) return undefined;
      header[this.headerSize++] = bytes[this.at++];
      const size = this.sizeOf(header, 0, this.headerSize);
      if (this.headerSize < size) continue;
      this.headerSize = 0;
      this.begin(lengthOf(header, 0), header, size);
    }
    const { at, message, from, filled, length } = this;
    const count = Math.min(length - filled, end - at);
    if (this.isText) this.check(bytes, at, at + count);
    if (count < FEW) for (let i = 0; i < count; i++) message[from + filled + i] = bytes[at + i];
    else message.set(count === bytes.length ? bytes : viewOf(bytes, at, at + count), from + filled);
    this.at = at + count;
    this.filled = filled + count;
    if (this.filled < length) return undefined;
    this.message = undefined;
    return this.isText
      ? new Text(this.decode(message, from, from + length))
      : this.event(message, from, from + length);
  }

  /** A part of a text is unmasked and checked as it comes: a fault is told at its byte (RFC 6455 8.1). */
  check(bytes, start, end) {
    if (this.masked) {
      const shift = (this.filled & 3) * 8;
      const key = shift === 0 ? this.key : (this.key >>> shift) | (this.key << (32 - shift));
      if (mask(bytes, start, end, key, true) === true) return;
    }
    this.isAscii = false;
    while (start < end && (bytes[start] & 0xc0) === 0x80) start++;
    let seam = end;
    while (seam > start && end - seam < 3 && (bytes[seam - 1] & 0xc0) === 0x80) seam--;
    if (seam > start && bytes[seam - 1] >= 0xc0) seam--;
    utf8.isValid(bytes, start, seam);
  }

  decode(bytes, start, end) {
    return this.isAscii ? utf8.decodeAscii(bytes, start, end) : utf8.decode(bytes, start, end);
  }

  /** The size of the header that begins at `at`, or more than there is of it. */
  sizeOf(bytes, at, end) {
    if (at + 2 > end) return Infinity;
    const length = bytes[at + 1] & 0x7f;
    return (length < 126 ? 2 : length === 126 ? 4 : 10) + this.keySize;
  }

  /** Makes room for a message, whose key ends before `at` of `bytes`. */
  begin(length, bytes, at) {
    const size = length + 4;
    this.length = length;
    this.filled = 0;
    this.from = 4;
    if (this.isText) {
      this.key = keyAt(bytes, at - 4);
      this.isAscii = this.masked;
      this.message = room;
    } else if (size > SLAB / 4 + 8) {
      this.message = new Uint8Array(size);
    } else {
      if (used + size > slab.length) {
        slab = new Uint8Array(SLAB);
        used = 0;
      }
      this.message = slab;
      this.from = used + 4;
      used = (used + size + 7) & ~7;
    }
    for (let i = 1; i <= this.keySize; i++) this.message[this.from - i] = bytes[at - i];
  }
}

function lengthOf(bytes, at) {
  const length = bytes[at + 1] & 0x7f;
  if (length < 126) return length;
  if (length === 126) return (bytes[at + 2] << 8) | bytes[at + 3];
  return ((bytes[at + 6] << 24) | (bytes[at + 7] << 16) | (bytes[at + 8] << 8) | bytes[at + 9]) >>> 0;
}

export function createReceiver({ masked, text, touched, fragments, deliver }) {
  if (fragments > 1) return undefined;
  const reader = new Reader(masked, text);
  return {
    receive(chunk) {
      reader.receive(chunk);
      for (;;) {
        const event = reader.next();
        if (event === undefined) break;
        if (event.type === "binary") deliver(touched ? event.payload : event);
        else deliver(event.text);
      }
    },
  };
}

/** Views of the output's beginning, by length. */
const KEPT_VIEWS = 256;
const output = new Uint8Array(1 << 21);
const data = new DataView(output.buffer);

class Writer {
  end = 0;
  views = [];
  /** What goes before what stands in `output` from `start` on. */
  chunks = [];
  start = 0;

  constructor(masked) {
    this.masked = masked;
    this.maskBit = masked ? 0x80 : 0;
  }

  /** Writes a header at `at` but for its key; returns the offset after it. */
  header(at, firstByte, length) {
    const { maskBit } = this;
    if (length < 126) {
      data.setUint16(at, (firstByte << 8) | maskBit | length);
      return at + 2;
    }
    data.setUint16(at, (firstByte << 8) | maskBit | (length < 65536 ? 126 : 127));
    if (length < 65536) {
      data.setUint16(at + 2, length);
      return at + 4;
    }
    data.setUint32(at + 2, 0);
    data.setUint32(at + 6, length);
    return at + 10;
  }

  binary(bytes) {
    const { length } = bytes;
    let at = this.header(this.end, 0x82, length);
    if (!this.masked) return this.unmasked(bytes, at);
    const key = random();
    data.setInt32(at, key, true);
    at += 4;
    this.end = at + length;
    if (length >= FEW) return maskInto(bytes, output, at, key);
    let i = 0;
    for (; i + 3 < length; i += 4) data.setInt32(at + i, keyAt(bytes, i) ^ key, true);
    for (let rest = key; i < length; i++, rest >>= 8) output[at + i] = bytes[i] ^ rest;
  }

  unmasked(bytes, at) {
    const { length } = bytes;
    if (length >= PASS_FROM) {
      this.chunks.push(viewOf(output, this.start, at), bytes);
      this.start = this.end = at;
      return;
    }
    if (length < FEW / 2) for (let i = 0; i < length; i++) output[at + i] = bytes[i];
    else output.set(bytes, at);
    this.end = at + length;
  }

  text(text) {
    if (text.length <= SHORT_TEXT && this.ascii(text)) return;
    const keySize = this.masked ? 4 : 0;
    const guessed = this.end + headerSize(text.length) + keySize;
    const length = utf8.encodeInto(text, output, guessed) - guessed;
    const at = this.end + headerSize(length) + keySize;
    if (at !== guessed) output.copyWithin(at, guessed, guessed + length);
    this.header(this.end, 0x81, length);
    this.end = at + length;
    if (!this.masked) return;
    const key = random();
    data.setInt32(at - 4, key, true);
    mask(output, at, this.end, key);
  }

  /** Writes a short text if it is ASCII. */
  ascii(text) {
    const { length } = text;
    const key = this.masked ? random() : 0;
    let at = this.header(this.end, 0x81, length);
    if (this.masked) data.setInt32((at += 4) - 4, key, true);
    let or = 0;
    for (let i = 0, rest = key; i < length; i++, rest = (rest >>> 8) | (rest << 24)) {
      const unit = text.charCodeAt(i);
      or |= unit;
      output[at + i] = unit ^ rest;
    }
    if (or > 0x7f) return false;
    this.end = at + length;
    return true;
  }

  take() {
    const { start, end, chunks } = this;
    this.start = this.end = 0;
    if (chunks.length > 0) {
      if (end > start) chunks.push(viewOf(output, start, end));
      this.chunks = [];
      return chunks;
    }
    return [end < KEPT_VIEWS ? (this.views[end] ??= viewOf(output, 0, end)) : viewOf(output, 0, end)];
  }
}

function headerSize(length) {
  return length < 126 ? 2 : length < 65536 ? 4 : 10;
}

/** Up to this many code units a loop is faster than the encoder and the kernel. */
const SHORT_TEXT = 24;
const FLUSH_AT = 65536;

export function createSender({ masked, write }) {
  const writer = new Writer(masked);
  function flush() {
    if (writer.end === 0) return;
    const chunks = writer.take();
    for (let i = 0; i < chunks.length; i++) write(chunks[i]);
  }
  return {
    text(text) {
      writer.text(text);
      if (writer.end >= FLUSH_AT) flush();
    },
    binary(bytes) {
      writer.binary(bytes);
      if (writer.end >= FLUSH_AT) flush();
    },
    flush,
  };
}
