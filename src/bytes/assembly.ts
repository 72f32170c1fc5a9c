import type { MaskInto } from "../platform.js";
import type { Gap } from "./gap.js";
import { FEW, NO_TEXT } from "./gap.js";
import { bufferOf, keepKnown, knownOf, viewOf } from "./view.js";

/**
 * From this many bytes on a piece stays where it is if its buffer is at most PINNED times as large. Four messages of 16 KiB do not fit
 * into a chunk of 64 KiB, because of their headers: what a chunk's end cuts off one is a little less than a quarter.
 */
const HOLD_FROM = 256;
const PINNED = 5;
/** From so many, where all is used where it was gathered: less is copied while it is in the processor's cache. */
const HOLD_LARGE_FROM = 16384;
/** Fewer masked bytes than this are copied by a loop: to call a kernel costs more than to call for a copy. */
const FEW_MASKED = 64;
/** Engines keep arrays up to this many bytes in their own heap, which is much cheaper, as long as nobody asks for their buffer. */
export const SMALLEST = 64;
/** Tails are at least so long, so that a view of one makes no buffer of it, but for those that are to be handed over. */
const LEAST_TAIL = SMALLEST * 2;
/** What is longer is in several. */
const LARGEST_TAIL = 65536;
/** The longest that is kept: what was in several may be put together in one. */
const LARGEST_SPARE = 1_048_576;
/** For what is known to be shorter than this, room is made at once. */
const AHEAD = 2048;
/** For so many times what is gathered room is made. Rounded up to a power of two, that is three times at most. */
const GROWTH = 1.5;
/**
 * What is not longer than this is cut out of a slab: together they cost less than half of what each costs alone. A message of 16 KiB,
 * and the key before it.
 */
const CUT_UP_TO = 16384 + 8;
/** Four of those; about as large as the chunks of which messages are views that lie in them whole. */
const SLAB_SIZE = CUT_UP_TO * 4;

/**
 * Gathers pieces of bytes, in memory that grows with what has arrived, never with what is announced. Pieces that make up much of
 * their buffer stay where they are until all is there, the others are copied, so that a few bytes never pin a whole chunk.
 */
export class BytesAssembly {
  /** How many bytes are gathered. */
  size = 0;
  /** What was copied last: `tail[tailStart, tailEnd)`. */
  private tail: Uint8Array = NO_BYTES;
  private tailStart = 0;
  private tailEnd = 0;
  /** What is closed, in order; behind it the copies in `tail[tailStart, tailEnd)`. */
  private parts: Part[] | undefined;
  private readonly maskInto: MaskInto | undefined;
  private readonly inPlace: boolean;

  /** With `maskInto` pieces may come masked. `inPlace`: all will be used where it is gathered (`gathered`). */
  constructor(maskInto?: MaskInto, inPlace = false) {
    this.maskInto = maskInto;
    this.inPlace = inPlace;
  }

  /**
   * Adds `bytes[start, end)`, masked with `key` where that is not 0; they must not change any more. No more than `total` bytes
   * will there be (Infinity: not known).
   */
  append(bytes: Uint8Array, start: number, end: number, total: number, key = 0): void {
    const count = end - start;
    const holdFrom = this.inPlace && total <= LARGEST_TAIL ? HOLD_LARGE_FROM : HOLD_FROM;
    if (count >= holdFrom && count * PINNED >= bufferSize(bytes, count)) {
      this.closeTail();
      this.addPart({ bytes, start, end, key });
    } else {
      this.makeRoom(count, total);
      this.copy(bytes, start, end, key, this.tail, this.tailEnd);
      this.tailEnd += count;
    }
    this.size += count;
  }

  /**
   * Opens `gap` for what goes on, up to `most` bytes (`total` as in `append`, the rest as in `Gap.open`); not where nothing is gathered yet, as
   * all may come at once, and go elsewhere: but for bytes that are so few that what they are gathered in is handed over.
   */
  openGap(gap: Gap, most: number, total: number, key: number, utf8State: number): void {
    const isHandedOver = total <= SMALLEST && utf8State === NO_TEXT;
    if (most === 0 || (this.size === 0 && !isHandedOver)) return;
    this.makeRoom(1, total);
    const { tail, tailEnd } = this;
    gap.open(tail, tailEnd, Math.min(tail.length, tailEnd + most), key, utf8State);
  }

  /** Adds `count` bytes, which are in the gap. */
  filled(count: number): void {
    this.tailEnd += count;
    this.size += count;
  }

  /** Makes room for `count` bytes in `tail`. */
  private makeRoom(count: number, total: number): void {
    if (count > this.tail.length - this.tailEnd) this.growTail(count, total);
  }

  /** A larger tail, for what is in this one, too, as long as that is not much. */
  private growTail(count: number, total: number): void {
    if (this.tailEnd - this.tailStart + count > LARGEST_TAIL) this.closeTail();
    const { tail, tailStart, tailEnd } = this;
    const open = tailEnd - tailStart;
    const left = total - this.size;
    const ahead = (this.size + count) * GROWTH;
    const room = total <= SMALLEST ? new Uint8Array(total) : roomFor(open + count, ahead, open + left);
    if (open > 0) this.copy(tail, tailStart, tailEnd, 0, room, 0);
    if (tailStart === 0) giveBack(tail);
    this.tail = room;
    this.tailStart = 0;
    this.tailEnd = open;
  }

  /**
   * Where what was gathered and `bytes[start, end)` behind it fill the array that it was copied into, and that is small: adds them, hands the
   * array over, and begins anew. Else undefined, and nothing has changed.
   */
  takeFilled(bytes: Uint8Array, start: number, end: number, key: number): Uint8Array | undefined {
    const { tail, tailEnd } = this;
    if (tail.length === 0 || tail.length > SMALLEST || this.size + end - start !== tail.length)
      return undefined;
    this.copy(bytes, start, end, key, tail, tailEnd);
    this.clear();
    return tail;
  }

  /** All that was gathered, in one array from its beginning on, with room for `more` bytes behind it. It is this assembly's still. */
  gathered(more: number): Uint8Array {
    const { size, tail } = this;
    if (this.parts === undefined && size + more <= tail.length) return tail; // without parts its start is 0
    const room = roomFor(size + more, 0, size + more);
    this.takeInto(room, 0);
    this.tail = room;
    this.size = this.tailEnd = size;
    return room;
  }

  /** Hands over what was gathered, in one piece, and begins anew. */
  take(): Uint8Array {
    const { size } = this;
    const target = handedOver.reserve(size);
    const start = handedOver.at;
    this.takeInto(target, start);
    return viewOf(target, start, start + size);
  }

  /** Copies what was gathered into `target`, which has room for it from `at` on, and begins anew; returns the offset after it. */
  takeInto(target: Uint8Array, at: number): number {
    const end = this.copyInto(target, at);
    this.clear();
    return end;
  }

  /** Copies what was gathered into `target`, which has room for it from `at` on; returns the offset after it. */
  copyInto(target: Uint8Array, at: number): number {
    if (this.parts !== undefined) {
      for (const { bytes, start, end, key } of this.parts) {
        this.copy(bytes, start, end, key, target, at);
        at += end - start;
      }
    }
    this.copy(this.tail, this.tailStart, this.tailEnd, 0, target, at);
    return at + this.tailEnd - this.tailStart;
  }

  /** Begins anew. */
  clear(): void {
    giveBack(this.tail);
    this.parts = undefined;
    this.tail = NO_BYTES;
    this.size = this.tailStart = this.tailEnd = 0;
  }

  /** Most messages have one: a list made of it has room for no more. */
  private addPart(part: Part): void {
    if (this.parts === undefined) this.parts = [part];
    else this.parts.push(part);
  }

  /** What is copied later goes behind it, in the same tail. */
  private closeTail(): void {
    const { tail, tailStart, tailEnd } = this;
    if (tailEnd === tailStart) return;
    this.addPart({ bytes: tail, start: tailStart, end: tailEnd, key: 0 });
    this.tailStart = tailEnd;
  }

  /** Copies `bytes[start, end)` into `target` from `at`, unmasked. */
  copy(bytes: Uint8Array, start: number, end: number, key: number, target: Uint8Array, at: number): void {
    if (end > bytes.length) {
      target.fill(0, at, at + end - start); // somebody transferred its buffer, and the bytes with it
      return;
    }
    if (end - start < (key === 0 ? FEW : FEW_MASKED)) {
      for (; start < end; start++, at++) {
        target[at] = (bytes[start] as number) ^ key;
        key = (key >>> 8) | (key << 24);
      }
      return;
    }
    const piece = end - start === bytes.length ? bytes : viewOf(bytes, start, end);
    if (key === 0 || this.maskInto === undefined) target.set(piece, at);
    else this.maskInto(piece, target, at, key);
  }
}

/** The size of the buffer that `bytes` is in. Of an array that `count` bytes are all of, nothing else will be asked. */
function bufferSize(bytes: Uint8Array, count: number): number {
  return (count === bytes.length ? bytes.buffer : bufferOf(knownOf(bytes))).byteLength;
}

/** A piece, `bytes[start, end)`, and what it is masked with. */
interface Part {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly key: number;
}

const NO_BYTES = new Uint8Array(0);

// Allocating a buffer takes longer than filling one of a few KiB.

/**
 * Tails that were given back, one for each power of two: what is being gathered is in memory that nobody else sees, and all but those
 * of the smallest messages can be used again.
 */
const spares: (Uint8Array | undefined)[] = /* @__PURE__ */ firstSpares();
const sizeClass = (size: number): number => 32 - Math.clz32(size - 1);

/**
 * The one of 64 KiB is there from the start. Made later, among a socket's chunks, which have that size too, it would begin 16 bytes further
 * in its page than one of those, and less than 16 bytes further than a payload in it: a distance at which some processors take twenty times
 * as long to copy.
 */
function firstSpares(): (Uint8Array | undefined)[] {
  const first: (Uint8Array | undefined)[] = [];
  first[16] = new Uint8Array(65536);
  return first;
}

/** A tail for `count` bytes; for so many as it is `ahead` of, if that is not too much, and there will be so many: `left`, the `count` among them. */
function roomFor(count: number, ahead: number, left: number): Uint8Array {
  const wanted = Math.max(Math.min(ahead, LARGEST_TAIL), left < AHEAD ? AHEAD : LEAST_TAIL);
  const index = sizeClass(Math.max(LEAST_TAIL, count, Math.min(wanted, left)));
  const spare = spares[index];
  spares[index] = undefined;
  return spare ?? new Uint8Array(2 ** index);
}

function giveBack(tail: Uint8Array): void {
  if (tail.length >= LEAST_TAIL && tail.length <= LARGEST_SPARE) spares[sizeClass(tail.length)] = tail;
}

/** No longer array is kept. */
const LARGEST_KEPT = 2_097_152;

/** Room for what is handed over. */
class HandedOver {
  /** Where to write after `reserve`. */
  at = 0;
  /**
   * The last array that no slab has room for, of those up to LARGEST_KEPT. As long as one of them lives, an allocator is less likely to
   * give the memory of the others, which are garbage together, back to the system: to get a MiB from there takes longer than to read it.
   */
  last: Uint8Array = NO_BYTES;
  private slab: Uint8Array = NO_BYTES;
  private used = 0;

  /** Makes room for `size` bytes in the array that it returns, from `at` on. */
  reserve(size: number): Uint8Array {
    if (size <= SMALLEST || size > CUT_UP_TO) {
      this.at = 0;
      const own = new Uint8Array(size);
      if (size > SMALLEST && size <= LARGEST_KEPT) this.last = own;
      return own;
    }
    if (size > this.slab.length - this.used) {
      this.slab = new Uint8Array(SLAB_SIZE); // cleared: whoever has a part of it can look at all of it
      keepKnown(this.slab);
      this.used = 0;
    }
    this.at = this.used;
    this.used = (this.used + size + 7) & ~7; // aligned, for kernels that work on words
    return this.slab;
  }
}

export const handedOver: HandedOver = /* @__PURE__ */ new HandedOver();

/** A copy of `bytes[start, end)`. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const target = handedOver.reserve(end - start);
  const { at } = handedOver;
  target.set(viewOf(bytes, start, end), at);
  return viewOf(target, at, at + end - start);
}
