/**
 * What is known of an array. A chunk holds many messages, and each of them asks for the same: asking a `Buffer` for its buffer takes
 * longer than making a view of it, and a view of words longer than masking a small frame.
 */
export class Known {
  readonly bytes: Uint8Array;
  /** Where in its buffer it begins. */
  readonly offset: number;
  /** Its buffer, once somebody asked for it: engines keep small arrays without one, as long as nobody asks. */
  buffer: ArrayBufferLike | undefined;
  /** The words of the buffer that have the array in them, where somebody made a view of these. */
  words: Int32Array = NO_WORDS;
  /** The same in words of 8 bytes, which `longsOf` makes. */
  longs: BigUint64Array | undefined;
  /** How many bytes `words` have before the array's first; -1: nobody asked for words yet. */
  lead = -1;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.offset = bytes.byteOffset;
    this.buffer = undefined;
    this.longs = undefined;
  }
}

const NO_WORDS = /* @__PURE__ */ new Int32Array(0);
const NOTHING = /* @__PURE__ */ new Known(new Uint8Array(0));

// Of the last two arrays, as one is read while another is written. They serve all connections.
let latest = NOTHING;
let other = NOTHING;

/** Of larger buffers nothing is kept: it would keep them, too. */
const KEEP_UP_TO = 2_097_152;
/** Nor of arrays up to this many bytes, which hold hardly more than one message, and may have no buffer yet. */
const KEEP_FROM = 65;

/** What is known of `bytes`: much, where it was asked for before. */
export function knownOf(bytes: Uint8Array): Known {
  return bytes === latest.bytes ? latest : look(bytes);
}

function look(bytes: Uint8Array): Known {
  const known = bytes === other.bytes ? other : new Known(bytes);
  if (bytes.length < KEEP_FROM || bufferOf(known).byteLength > KEEP_UP_TO) return known;
  other = latest;
  latest = known;
  return known;
}

/** The buffer of an array. */
export function bufferOf(known: Known): ArrayBufferLike {
  return (known.buffer ??= known.bytes.buffer);
}

/**
 * The words of 8 bytes that have something of the array in them, the first of which begins `offset & 7` bytes before it; without the last,
 * where the buffer's end cuts that.
 */
export function longsOf(known: Known): BigUint64Array {
  const buffer = bufferOf(known);
  const from = known.offset & ~7;
  const to = Math.min((known.offset + known.bytes.length + 7) & ~7, buffer.byteLength & ~7);
  return (known.longs ??= new BigUint64Array(buffer, from, (to - from) / 8));
}

/**
 * A plain view of `bytes[start, end)`. Not `subarray`: a `Buffer`'s gives a `Buffer`, and what an application gets is to be
 * the same on every runtime.
 */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const known = knownOf(bytes);
  return new Uint8Array(known.buffer ?? bufferOf(known), known.offset + start, end - start);
}
