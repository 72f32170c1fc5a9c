import type { MaskInto } from "../platform.js";
import { viewOf } from "./view.js";

/**
 * Gathers pieces of bytes, in memory that grows with what has arrived, never with what is announced. Large pieces stay where
 * they are until all is there, small ones are copied, so that a few bytes never pin a whole chunk.
 */
export class BytesAssembly {
  /** How many bytes are gathered. */
  size = 0;
  /** What is closed, in order; behind it the copies in `tail[0, tailSize)`. */
  private parts: Part[] | undefined;
  private tail: Uint8Array = NO_BYTES;
  private tailSize = 0;
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
      (this.parts ??= []).push({ bytes: viewOf(bytes, start, end), key });
      this.size += count;
      return;
    }
    if (count > this.tail.length - this.tailSize) {
      this.closeTail();
      const room = Math.max(count, Math.min((this.size + count) * 2, LARGEST_TAIL));
      this.tail = carve(Math.min(Math.max(room, total < AHEAD ? AHEAD : SMALLEST_TAIL), total - this.size));
    }
    if (count < COPY_BY_HAND) {
      const { tail } = this;
      for (let from = start, to = this.tailSize; from < end; from++, to++) {
        tail[to] = (bytes[from] as number) ^ key;
        key = (key >>> 8) | (key << 24);
      }
    } else {
      this.copy({ bytes: viewOf(bytes, start, end), key }, this.tail, this.tailSize);
    }
    this.tailSize += count;
    this.size += count;
  }

  /** Hands over what was gathered, in one piece, and begins anew. */
  take(): Uint8Array {
    const { size, parts, tail } = this;
    if (parts !== undefined) {
      const whole = carve(size);
      this.takeInto(whole);
      return whole;
    }
    this.begin();
    return size === tail.length ? tail : viewOf(tail, 0, size);
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
    this.size = this.tailSize = 0;
  }

  private closeTail(): void {
    if (this.tailSize === 0) return;
    const { tail, tailSize } = this;
    const bytes = tailSize === tail.length ? tail : viewOf(tail, 0, tailSize);
    (this.parts ??= []).push({ bytes, key: 0 });
    this.tail = NO_BYTES;
    this.tailSize = 0;
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
const SMALLEST_TAIL = 64;
const LARGEST_TAIL = 65536;
/** For a message that is known to be shorter than this, room is made at once. */
const AHEAD = 2048;
/** Below this many bytes a loop is cheaper than `set` with a view. */
const COPY_BY_HAND = 32;

// Allocating a buffer takes longer than filling one of a few KiB, so what was gathered shares larger ones.

/** Small enough that a message which never ends pins little. */
const SLAB_SIZE = 8192;
let slab = NO_BYTES;
let slabUsed = 0;

/** A copy of `bytes[start, end)`. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = carve(end - start);
  copy.set(viewOf(bytes, start, end));
  return copy;
}

function carve(size: number): Uint8Array {
  if (size <= SMALLEST_TAIL || size > SLAB_SIZE / 4) return new Uint8Array(size); // engines keep small ones in their own heap
  if (size > slab.length - slabUsed) {
    slab = new Uint8Array(SLAB_SIZE);
    slabUsed = 0;
  }
  const start = slabUsed;
  slabUsed = (start + size + 7) & ~7; // aligned, for kernels that work on words
  return new Uint8Array(slab.buffer, start, size);
}
