import type { Inflator } from "../../deflate/codec.js";
import type { Handle, Native } from "./handle.js";
import { BLOCK, copy, EMPTY, INFLATE_RAW, live, requireRange, scratch, SYNC_FLUSH } from "./handle.js";

/** The last `size` bytes that were added. Grows with them. */
class History {
  private readonly size: number;
  private ring: Uint8Array = EMPTY;
  private next = 0;
  private length = 0;

  constructor(size: number) {
    this.size = size;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    let from = Math.max(start, end - this.size);
    const wanted = Math.min(this.size, this.length + end - from);
    if (wanted > this.ring.length) this.grow(wanted);
    while (from < end) {
      const count = Math.min(end - from, this.ring.length - this.next);
      copy(bytes, from, from + count, this.ring, this.next);
      from += count;
      this.next += count;
      if (this.next === this.size) this.next = 0;
      this.length = Math.min(this.size, this.length + count);
    }
  }

  clear(): void {
    this.next = 0;
    this.length = 0;
  }

  /** The bytes, oldest first, as a stored block (RFC 1951 3.2.4) in parts. */
  asStoredBlock(): readonly Uint8Array[] {
    const low = this.length & 255;
    const high = this.length >>> 8;
    const { ring, next, length } = this;
    return [
      Uint8Array.of(0, low, high, low ^ 255, high ^ 255),
      length < this.size ? EMPTY : ring.subarray(next),
      ring.subarray(0, length < this.size ? length : next),
    ];
  }

  /** Only before it has come round, so that the bytes lie in order from the ring's beginning. */
  private grow(wanted: number): void {
    let capacity = 256;
    while (capacity < wanted) capacity *= 2;
    const ring = new Uint8Array(Math.min(capacity, this.size));
    ring.set(this.ring.subarray(0, this.length));
    this.ring = ring;
    this.next = this.length;
  }
}
/** What a sender leaves out of a message's end (RFC 7692 7.2.1), and one byte that nobody should want. */
const TAIL = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0xff);

/** Final blocks that a message may have before they must be this many bytes long on average: each costs a window's copy. */
const FREE_RESTARTS = 64;
const BYTES_PER_RESTART = 64;

/**
 * Of a window smaller than 2^15 zlib takes care only where it must look back past what this pull has written. So a peer that breaks the
 * agreed window may be understood, or not, by how much is pulled at once; nothing but its own message is hurt.
 */
export class ZlibInflator implements Inflator {
  private readonly native: Native;
  private readonly history: History;
  private handle: Handle | undefined;
  private bytes: Uint8Array = EMPTY;
  private position = 0;
  private limit = 0;
  /** The last pull was filled, so that there may be more although all input was read. */
  private filled = false;
  private failed = false;
  private restarts = 0;
  private received = 0;

  constructor(native: Native, windowBits: number) {
    this.native = native;
    this.history = new History(1 << windowBits);
    this.handle = native.open(INFLATE_RAW, windowBits, 0, this);
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    requireRange(bytes, start, end);
    this.bytes = bytes;
    this.position = start;
    this.limit = end;
    this.received += end - start;
  }

  pull(target: Uint8Array, start: number, end: number): number {
    const handle = live(this.handle);
    const { native } = this;
    if (this.failed) return -1;
    let at = start;
    while (at < end && (this.position < this.limit || this.filled)) {
      if (!native.write(handle, SYNC_FLUSH, this.bytes, this.position, this.limit, target, at, end)) {
        this.failed = true;
        return -1;
      }
      const room = native.counts[0] as number;
      const unread = native.counts[1] as number;
      this.history.add(target, at, end - room);
      at = end - room;
      this.position = this.limit - unread;
      this.filled = room === 0;
      // With room left zlib reads on to the end of its input, or of a final block.
      if (unread > 0 && room > 0 && !this.restart(handle)) {
        this.failed = true;
        return -1;
      }
    }
    if (!this.filled && this.position === this.limit) this.bytes = EMPTY; // not pinned while idle
    return at;
  }

  end(): boolean {
    const handle = live(this.handle);
    if (this.failed) return false;
    // With BLOCK zlib stops at the end of a block. So there it must have read the four bytes, all of them, to no output.
    const room = 16;
    const { counts } = this.native;
    const read = this.native.write(handle, BLOCK, TAIL, 0, TAIL.length, scratch, 0, room);
    this.failed = !read || counts[0] !== room || counts[1] !== 1;
    this.restarts = 0;
    this.received = 0;
    return !this.failed;
  }

  reset(): void {
    live(this.handle).reset();
    this.history.clear();
    this.bytes = EMPTY;
    this.position = this.limit = 0;
    this.filled = this.failed = false;
    this.restarts = this.received = 0;
  }

  release(): void {
    if (this.handle !== undefined) this.native.close(this.handle);
    this.handle = undefined;
    this.bytes = EMPTY;
  }

  /** After a final block further blocks follow, and may look back past it (RFC 7692 7.2.3.4): zlib begins anew with the window. */
  private restart(handle: Handle): boolean {
    this.restarts++;
    const read = this.received - (this.limit - this.position); // not what is there: that depends on chunks
    if (this.restarts > FREE_RESTARTS + read / BYTES_PER_RESTART) return false;
    handle.reset();
    return this.history
      .asStoredBlock()
      .every((part) =>
        this.native.write(handle, SYNC_FLUSH, part, 0, part.length, scratch, 0, scratch.length),
      );
  }
}
