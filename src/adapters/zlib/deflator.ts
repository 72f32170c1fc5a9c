import type { Deflator } from "../../deflate/codec.js";
import type { Handle, Native } from "./handle.js";
import {
  BLOCK,
  copy,
  DEFLATE_RAW,
  EMPTY,
  NO_FLUSH,
  released,
  requireRange,
  scratch,
  SYNC_FLUSH,
} from "./handle.js";

/** A handle that deflators share while they are young; what it remembers is `user`'s window. */
export interface SharedHandle {
  readonly handle: Handle;
  user: ZlibDeflator | undefined;
}

/** As long as a deflator has seen no more bytes than this it has no handle of its own, which costs far more than the rest. */
const YOUNG = 4096;

/** No deflated bytes are longer, the flush at their end included. */
export const boundOf = (length: number): number => length + (length >>> 3) + (length >>> 6) + 64;

/** The empty stored block, and the bits before it. */
const MARK_ROOM = 16;

export class ZlibDeflator implements Deflator {
  private readonly native: Native;
  private readonly windowBits: number;
  private readonly level: number;
  private readonly shared: SharedHandle;
  private handle: Handle | undefined;
  private released = false;
  /** What went through a shared handle, so that any handle can be brought there. */
  private young: Uint8Array = EMPTY;
  private age = 0;

  private bytes: Uint8Array = EMPTY;
  private position = 0;
  private limit = 0;
  /** What is to be done with the input. `mark`: it is compressed, and the empty stored block is to come. */
  private stage: "idle" | "feed" | "flush" | "mark" = "idle";
  /** zlib holds bytes that came since the last flush. */
  private begun = false;
  /** What did not find room. */
  private spill: Uint8Array = EMPTY;

  constructor(native: Native, windowBits: number, level: number, shared: SharedHandle) {
    this.native = native;
    this.windowBits = windowBits;
    this.level = level;
    this.shared = shared;
  }

  push(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    requireRange(bytes, start, end);
    this.bytes = bytes;
    this.position = start;
    this.limit = end;
    this.stage = last ? "flush" : "feed";
  }

  pull(target: Uint8Array, start: number, end: number): number {
    if (this.released) throw released();
    let at = start;
    while (at < end) {
      if (this.spill.length > 0) {
        const count = Math.min(this.spill.length, end - at);
        copy(this.spill, 0, count, target, at);
        this.spill = this.spill.subarray(count);
        at += count;
        continue;
      }
      if (this.stage === "idle") break;
      at = this.write(target, at, end);
    }
    if (this.stage === "idle") this.bytes = EMPTY; // not pinned while idle
    return at;
  }

  reset(): void {
    if (this.released) throw released();
    this.handle?.reset();
    this.forget();
  }

  release(): void {
    if (this.handle !== undefined) this.native.close(this.handle);
    this.handle = undefined;
    this.forget();
    this.released = true;
    this.young = EMPTY;
  }

  private forget(): void {
    if (this.shared.user === this) this.shared.user = undefined;
    this.age = 0;
    this.stage = "idle";
    this.begun = false;
    this.bytes = this.spill = EMPTY;
  }

  /**
   * One step. zlib repeats the empty stored block where a flush is called again, and a full output leaves open whether it was written.
   * So without room for all there can be, the data's end is one step, and the empty block another.
   */
  private write(target: Uint8Array, at: number, end: number): number {
    const { native } = this;
    if (this.stage === "mark") {
      const fits = end - at >= MARK_ROOM;
      const output = fits ? target : new Uint8Array(MARK_ROOM);
      const from = fits ? at : 0;
      const to = fits ? end : MARK_ROOM;
      const written = to - this.run(this.own(), SYNC_FLUSH, output, from, to);
      this.stage = "idle";
      this.begun = false;
      if (fits) return written;
      this.spill = output.subarray(0, written);
      return at;
    }
    const length = this.limit - this.position;
    const whole = this.stage === "flush" && !this.begun && end - at >= boundOf(length);
    if (whole && this.handle === undefined && this.age + length <= YOUNG) {
      const handle = this.borrow();
      this.remember(length);
      const room = this.run(handle, SYNC_FLUSH, target, at, end);
      this.stage = "idle";
      return end - room;
    }
    const flush = this.stage === "feed" ? NO_FLUSH : whole ? SYNC_FLUSH : BLOCK;
    const room = this.run(this.own(), flush, target, at, end);
    this.position = this.limit - (native.counts[1] as number);
    this.begun = !whole;
    if (room > 0) this.stage = this.stage === "feed" || whole ? "idle" : "mark";
    return end - room;
  }

  /** Returns the room that is left. */
  private run(handle: Handle, flush: number, target: Uint8Array, at: number, end: number): number {
    if (!this.native.write(handle, flush, this.bytes, this.position, this.limit, target, at, end)) {
      throw new Error("zlib cannot deflate: no memory");
    }
    return this.native.counts[0] as number;
  }

  private own(): Handle {
    if (this.handle === undefined) {
      this.handle = this.native.open(DEFLATE_RAW, this.windowBits, this.level, this);
      this.bring(this.handle);
      this.young = EMPTY;
      if (this.shared.user === this) this.shared.user = undefined;
    }
    return this.handle;
  }

  /** The shared handle, with our window. */
  private borrow(): Handle {
    const { handle } = this.shared;
    if (this.shared.user !== this) {
      this.shared.user = undefined;
      handle.reset();
      this.bring(handle);
      this.shared.user = this;
    }
    return handle;
  }

  private bring(handle: Handle): void {
    if (this.age > 0) {
      this.native.write(handle, SYNC_FLUSH, this.young, 0, this.age, scratch, 0, scratch.length);
    }
  }

  private remember(length: number): void {
    const age = this.age + length;
    if (age > this.young.length) {
      let capacity = 256;
      while (capacity < age) capacity *= 2;
      const grown = new Uint8Array(capacity);
      grown.set(this.young.subarray(0, this.age));
      this.young = grown;
    }
    copy(this.bytes, this.position, this.limit, this.young, this.age);
    this.age = age;
  }
}
