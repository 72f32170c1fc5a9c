import type { MaskInto } from "../platform.js";
import { viewOf } from "./view.js";

/**
 * Gathers pieces of bytes, in memory that grows with what has arrived, never with what is announced. Large pieces stay where
 * they are until all is there, small ones are copied, so that a few bytes never pin a whole chunk.
 */
export class BytesAssembly {
  /** How many bytes are gathered. */
  size = 0;
  /** What is closed, in order; behind it the copies in `tail[tailStart, tailEnd)`. */
  private parts: Part[] | undefined;
  private tail: Uint8Array = NO_BYTES;
  private tailStart = 0;
  private tailEnd = 0;
  /** How many bytes were copied, of all that are gathered. */
  private copied = 0;
  private readonly maskInto: MaskInto | undefined;

  /** With `maskInto` pieces may come masked. */
  constructor(maskInto?: MaskInto) {
    this.maskInto = maskInto;
  }

  /**
   * Adds `bytes[start, end)`, masked with `key` where that is not 0; they must not change any more. No more than `total` bytes
   * will there be (Infinity: not known).
   */
  append(bytes: Uint8Array, start: number, end: number, total: number, key = 0): void {
    const count = end - start;
    if (count >= HOLD_FROM && count * 2 >= bytes.buffer.byteLength) {
      this.closeTail();
      (this.parts ??= []).push({ bytes: count === bytes.length ? bytes : viewOf(bytes, start, end), key });
      this.size += count;
      return;
    }
    if (count > this.tail.length - this.tailEnd) {
      this.closeTail();
      this.tail = roomFor(count, this.copied, total - this.size);
      this.tailStart = this.tailEnd = 0;
    }
    if (count < COPY_BY_HAND) {
      const { tail } = this;
      for (let from = start, to = this.tailEnd; from < end; from++, to++) {
        tail[to] = (bytes[from] as number) ^ key;
        key = (key >>> 8) | (key << 24);
      }
    } else {
      this.copy({ bytes: viewOf(bytes, start, end), key }, this.tail, this.tailEnd);
    }
    this.tailEnd += count;
    this.copied += count;
    this.size += count;
  }

  /** Hands over what was gathered, in one piece, and begins anew. */
  take(): Uint8Array {
    const { size, parts, tail } = this;
    // What others share stays here: who gets it may transfer it.
    if (parts === undefined && tail.length === tail.buffer.byteLength) {
      this.begin();
      return size === tail.length ? tail : viewOf(tail, 0, size);
    }
    const whole = handedOver.cut(size);
    this.takeInto(whole);
    return whole;
  }

  /** Copies what was gathered to the begin of `target`, which has room for it, and begins anew. */
  takeInto(target: Uint8Array): void {
    this.closeTail();
    let at = 0;
    for (const part of this.parts ?? []) {
      this.copy(part, target, at);
      at += part.bytes.length;
    }
    this.begin();
  }

  private begin(): void {
    this.parts = undefined;
    this.tail = NO_BYTES;
    this.size = this.tailStart = this.tailEnd = this.copied = 0;
  }

  /** What is copied later goes behind it, in the same tail. */
  private closeTail(): void {
    if (this.tailEnd === this.tailStart) return;
    (this.parts ??= []).push({ bytes: viewOf(this.tail, this.tailStart, this.tailEnd), key: 0 });
    this.tailStart = this.tailEnd;
  }

  private copy({ bytes, key }: Part, target: Uint8Array, at: number): void {
    if (key === 0 || this.maskInto === undefined) target.set(bytes, at);
    else this.maskInto(bytes, target, at, key);
  }
}

/** A piece, and what it is masked with. */
interface Part {
  readonly bytes: Uint8Array;
  readonly key: number;
}

const NO_BYTES = new Uint8Array(0);
/** From this many bytes on a piece that makes up half of its buffer or more is not copied before all is there. */
const HOLD_FROM = 512;
/** Below this many bytes a loop is cheaper than `set` with a view. */
const COPY_BY_HAND = 32;
/** Engines keep arrays up to this many bytes in their own heap, which is much cheaper. */
const SMALLEST = 64;
const LARGEST_TAIL = 65536;
/** For what is known to be shorter than this, room is made at once. */
const AHEAD = 2048;

/** Small enough that what is held for long pins little. */
const SLAB_SIZE = 8192;

/** Allocating a buffer takes longer than filling one of a few KiB, so small ones are cut out of larger ones. */
class Slab {
  private bytes: Uint8Array = NO_BYTES;
  private used = 0;

  cut(size: number): Uint8Array {
    if (size <= SMALLEST || size > AHEAD) return new Uint8Array(size);
    if (size > this.bytes.length - this.used) {
      this.bytes = new Uint8Array(SLAB_SIZE);
      this.used = 0;
    }
    const start = this.used;
    this.used = (start + size + 7) & ~7; // aligned, for kernels that work on words
    return viewOf(this.bytes, start, start + size);
  }
}

/** What is being gathered is in one that nobody else ever sees, what is handed over in another. */
const tails = /* @__PURE__ */ new Slab();
const handedOver = /* @__PURE__ */ new Slab();

/** A tail for `count` bytes, and as many again as were `copied` before, if there will be so many as are `left`. */
function roomFor(count: number, copied: number, left: number): Uint8Array {
  const wanted = Math.max(count, Math.min(copied * 2, LARGEST_TAIL), left < AHEAD ? AHEAD : SMALLEST);
  return tails.cut(Math.min(wanted, left));
}

/** A copy of `bytes[start, end)`. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = handedOver.cut(end - start);
  copy.set(viewOf(bytes, start, end));
  return copy;
}
