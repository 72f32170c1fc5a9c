/**
 * What is known of an array. A chunk holds many messages, and each of them asks for the same: asking a `Buffer` for its buffer takes
 * longer than making a view of it, and a view of words longer than masking a small frame.
 */
export class Known {
  bytes: Uint8Array = NO_BYTES;
  buffer: ArrayBufferLike = NO_BYTES.buffer;
  /** Where in the buffer it begins. */
  offset = 0;
  /** The words of the buffer that have the array in them, where somebody made a view of these. */
  words: Int32Array = NO_WORDS;
  /** How many bytes those have before the array's first; -1: nobody asked for words yet. */
  lead = -1;
}

const NO_BYTES = /* @__PURE__ */ new Uint8Array(0);
const NO_WORDS = /* @__PURE__ */ new Int32Array(0);

// Of the last two arrays, as one is read while another is written. They serve all connections.
let latest: Known = /* @__PURE__ */ new Known();
let other: Known = /* @__PURE__ */ new Known();

/** Of larger buffers nothing is kept: it would keep them, too. */
const KEEP_UP_TO = 2_097_152;

/** What is known of `bytes`: much, where it was asked for before. */
export function knownOf(bytes: Uint8Array): Known {
  return bytes === latest.bytes ? latest : look(bytes);
}

function look(bytes: Uint8Array): Known {
  if (bytes !== other.bytes) {
    const known = new Known();
    known.bytes = bytes;
    known.buffer = bytes.buffer;
    known.offset = bytes.byteOffset;
    if (known.buffer.byteLength > KEEP_UP_TO) return known;
    other = known;
  }
  const known = other;
  other = latest;
  latest = known;
  return known;
}

/**
 * A plain view of `bytes[start, end)`. Not `subarray`: a `Buffer`'s gives a `Buffer`, and what an application gets is to be
 * the same on every runtime.
 */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const { buffer, offset } = knownOf(bytes);
  return new Uint8Array(buffer, offset + start, end - start);
}
