/** Of larger buffers nothing is kept: it would keep them, too. */
const KEEP_UP_TO = 2_097_152;
/** Nor of arrays up to this many bytes, which hold hardly more than one message, and may have no buffer yet. */
const KEEP_FROM = 65;

/**
 * What is known of an array. A chunk holds many messages, and each of them asks for the same: asking a `Buffer` for its buffer takes
 * longer than making a view of it, and what reads words in it takes longer to make than to mask a small frame.
 */
export class Known {
  readonly bytes: Uint8Array;
  /** Where in its buffer it begins. */
  readonly offset: number;
  /** Its buffer, once somebody asked for it: engines keep small arrays without one, as long as nobody asks. */
  buffer: ArrayBufferLike | undefined;
  /** What reads and writes numbers in it, wherever they stand: see `askForData`. */
  data: DataView | undefined;
  /** Whether somebody asked for that before. */
  dataWasAskedFor = false;
  /** Its words of 4 bytes, which `wordsOf` makes. */
  words: Int32Array | undefined;
  /** Those of 8 bytes, which `longsOf` makes. */
  longs: BigUint64Array | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.offset = bytes.byteOffset;
    this.buffer = this.data = this.words = this.longs = undefined;
  }
}

const NOTHING = /* @__PURE__ */ new Known(new Uint8Array(0));

// Of the last two arrays, as one is read while another is written. They serve all connections.
let latest = NOTHING;
let other = NOTHING;
/** Of one that is come back to however many are looked at in between. */
let kept = NOTHING;

/** Keeps what is known of `bytes` until the next call. */
export function keepKnown(bytes: Uint8Array): void {
  kept = new Known(bytes);
}

/** What is known of `bytes`: much, where it was asked for before. */
export function knownOf(bytes: Uint8Array): Known {
  return bytes === latest.bytes ? latest : look(bytes);
}

function look(bytes: Uint8Array): Known {
  if (bytes === kept.bytes) return kept;
  let known = other;
  if (bytes !== known.bytes) {
    known = new Known(bytes);
    if (bytes.length < KEEP_FROM || bufferOf(known).byteLength > KEEP_UP_TO) return known;
  }
  other = latest;
  latest = known;
  return known;
}

/** The buffer of an array. */
export function bufferOf(known: Known): ArrayBufferLike {
  return (known.buffer ??= known.bytes.buffer);
}

/** What reads and writes numbers in an array; undefined where it is the first to be asked for: it takes longer to make than to do without. */
export function askForData(known: Known): DataView | undefined {
  if (known.dataWasAskedFor) known.data ??= dataOf(known.bytes);
  known.dataWasAskedFor = true;
  return known.data;
}

/**
 * The words of 4 bytes that have something of the array in them, the first of which begins `offset & 3` bytes before it; without the last,
 * where the buffer's end cuts that.
 */
export function wordsOf(known: Known): Int32Array {
  const [from, length] = wordsIn(known, 4);
  return (known.words = new Int32Array(bufferOf(known), from, length));
}

/** The same in words of 8 bytes. */
export function longsOf(known: Known): BigUint64Array {
  const [from, length] = wordsIn(known, 8);
  return (known.longs = new BigUint64Array(bufferOf(known), from, length));
}

function wordsIn(known: Known, size: 4 | 8): [from: number, length: number] {
  const { length } = known.bytes;
  // Not by bits: a buffer may have more bytes than those count.
  const from = known.offset - (known.offset % size);
  const most = bufferOf(known).byteLength;
  const last = known.offset + length + size - 1;
  const to = Math.min(last - (last % size), most - (most % size));
  return [from, (to - from) / size];
}

/** What reads and writes numbers in `bytes`, wherever they stand in it. It reaches as far as the buffer does, which may be resized. */
export function dataOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset);
}

/**
 * A plain view of `bytes[start, end)`. Not `subarray`: a `Buffer`'s gives a `Buffer`, and what an application gets is to be
 * the same on every runtime.
 */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const known = knownOf(bytes);
  return new Uint8Array(known.buffer ?? bufferOf(known), known.offset + start, end - start);
}
