import { Block } from "./block.js";
import type { Deflator } from "./codec.js";
import { LONGEST_MATCH, SHORTEST_MATCH } from "./symbols.js";

/**
 * How hard matches are looked for: in how many places, from what length on none that is longer, and below what length of the one
 * found another at the next byte.
 */
interface Effort {
  readonly places: number;
  readonly enough: number;
  readonly lazy: number;
}

/** By level, from 1. */
const EFFORTS: readonly Effort[] = [
  { places: 4, enough: 8, lazy: 0 },
  { places: 8, enough: 16, lazy: 0 },
  { places: 24, enough: 32, lazy: 0 },
  { places: 16, enough: 16, lazy: 8 },
  { places: 24, enough: 32, lazy: 16 },
  { places: 32, enough: 128, lazy: 16 },
  { places: 128, enough: 192, lazy: 32 },
  { places: 1024, enough: 258, lazy: 128 },
  { places: 4096, enough: 258, lazy: 258 },
];

/** So much has to be there to look for a match, but at a message's end: the longest one, and one at the next byte. */
const LOOKAHEAD = LONGEST_MATCH + SHORTEST_MATCH + 1;
/** A match that is this short and this far costs more than its literals. */
const FAR = 4096;
/** The first byte of the window: 0 in the tables means no place. */
const ORIGIN = 1;
const SMALLEST_BUFFER = 2048;
/** Behind a small window there is room for so much all the same: a block ends where the buffer does, and costs its head. */
const SMALLEST_ROOM = 8192;

/**
 * Deflate (RFC 1951) in plain TypeScript: matches from hash chains, with a look at the next byte before one is taken (RFC 1951 4).
 *
 * It holds a buffer and two tables, 10 KiB from the first byte on, that grow with what has come to at most twice the window (the
 * window and 8 KiB, where that is more) and four bytes for each of the window's: 192 KiB for 15 bits, 10 KiB for 8. What gathers a
 * block is lent to it from the first byte of a message until its last one was pulled.
 */
export class PortableDeflator implements Deflator {
  private readonly effort: Effort;
  private readonly windowSize: number;
  /** What is left of the input: `bytes[at, stop)`, and whether a message ends behind it. */
  private bytes: Uint8Array = NO_BYTES;
  private at = 0;
  private stop = 0;
  private last = false;
  /** True once the message's end is written. */
  private flushed = false;
  /** Of what is in the buffer before `filled`, what is before `position` is done, in blocks that are written before `blockStart`. */
  private buffer: Uint8Array = NO_BYTES;
  private blockStart = ORIGIN;
  private position = ORIGIN;
  private filled = ORIGIN;
  /** What lies before `floor` is forgotten. Moving it is all that `reset` does: no table is cleared. */
  private floor = ORIGIN;
  /** The latest place of each hash of three bytes, and by place the one before it with the same hash. */
  private latest: Uint16Array = NO_PLACES;
  private previous: Uint16Array = NO_PLACES;
  /** Places before this are in them. */
  private known = ORIGIN;
  private hashShift = 0;
  /** The distance of the match that `longest` found. */
  private distance = 0;
  /** From the first byte of a message until its last one is pulled. */
  private block: Block | undefined;

  constructor(windowBits: number, level: number) {
    this.windowSize = 1 << windowBits;
    this.effort = EFFORTS[level - 1] as Effort;
  }

  push(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.bytes = bytes;
    this.at = start;
    this.stop = end;
    this.last = last;
    this.block ??= spareBlock ?? new Block();
    if (this.block === spareBlock) spareBlock = undefined;
  }

  pull(target: Uint8Array, start: number, end: number): number {
    while (this.block !== undefined) {
      start = this.block.take(target, start, end);
      if (start === end) break;
      if (this.flushed) this.leaveBlock(this.block);
      else if (!this.advance(this.block)) break;
    }
    return start;
  }

  reset(): void {
    if (this.block !== undefined) this.leaveBlock(this.block);
    this.bytes = NO_BYTES;
    this.at = this.stop = 0;
    this.last = false;
    // What comes next is deflated as by a new one, whoever used this one before: how large the tables are makes a difference.
    if (this.buffer.length > SMALLEST_BUFFER) this.giveUpBuffer();
    this.floor = this.position = this.blockStart = this.known = this.filled;
  }

  release(): void {
    this.reset();
    this.giveUpBuffer();
  }

  private giveUpBuffer(): void {
    this.buffer = NO_BYTES;
    this.latest = this.previous = NO_PLACES;
    this.filled = ORIGIN;
  }

  /** Takes input in, and writes what it can. False: there is nothing more to do until the next `push`. */
  private advance(block: Block): boolean {
    if (this.at < this.stop) this.fill(block);
    const whole = this.last && this.at === this.stop;
    this.compress(block, whole);
    if (block.isFull || this.at < this.stop) {
      this.writeBlock(block);
      return true;
    }
    if (!whole) return false;
    this.writeBlock(block);
    block.flush();
    this.flushed = true;
    return true;
  }

  private writeBlock(block: Block): void {
    if (!block.isEmpty) block.write(this.buffer, this.blockStart, this.position);
    this.blockStart = this.position;
  }

  private leaveBlock(block: Block): void {
    block.clear();
    spareBlock = block;
    this.block = undefined;
    this.flushed = false;
  }

  /** Literals and matches, up to where the end of what is there could make a difference. */
  private compress(block: Block, whole: boolean): void {
    const { buffer, effort } = this;
    const limit = whole ? this.filled : this.filled - LOOKAHEAD;
    while (this.position < limit && !block.isFull) {
      let length = this.longest(this.position, SHORTEST_MATCH - 1);
      let distance = this.distance;
      // RFC 1951 4: a longer match at the next byte is worth a literal.
      while (length >= SHORTEST_MATCH && length < effort.lazy) {
        const next = this.longest(this.position + 1, length);
        if (next <= length) break;
        block.literal(buffer[this.position++] as number);
        length = next;
        distance = this.distance;
      }
      if (length < SHORTEST_MATCH) {
        block.literal(buffer[this.position++] as number);
      } else {
        block.match(length, distance);
        this.position += length;
      }
    }
    this.learn(this.position);
  }

  /** The length of the longest match at `place` that is longer than `least`, else `least`. */
  private longest(place: number, least: number): number {
    const { buffer, previous, effort } = this;
    const most = Math.min(LONGEST_MATCH, this.filled - place);
    if (most <= least) return least;
    this.learn(place);
    const mask = previous.length - 1;
    const lowest = Math.max(this.floor, place - this.windowSize);
    const enough = Math.min(effort.enough, most);
    let length = least;
    let places = least < 8 ? effort.places : effort.places >> 2;
    let candidate = this.latest[this.hash(place)] as number;
    for (; candidate >= lowest && places > 0; places--) {
      if (buffer[candidate + length] === buffer[place + length] && buffer[candidate] === buffer[place]) {
        let same = 1;
        while (same < most && buffer[candidate + same] === buffer[place + same]) same++;
        if (same > length && (same > SHORTEST_MATCH || place - candidate <= FAR)) {
          length = same;
          this.distance = place - candidate;
          if (length >= enough) break;
        }
      }
      // Only places before this one are noted: the entries of a whole window are there.
      candidate = previous[candidate & mask] as number;
    }
    return length;
  }

  /** Notes places before `end` in the tables, those of which three bytes are there. */
  private learn(end: number): void {
    const { latest, previous } = this;
    const mask = previous.length - 1;
    end = Math.min(end, this.filled - SHORTEST_MATCH + 1);
    for (; this.known < end; this.known++) {
      const hash = this.hash(this.known);
      previous[this.known & mask] = latest[hash] as number;
      latest[hash] = this.known;
    }
  }

  private hash(place: number): number {
    const { buffer } = this;
    const bytes =
      (buffer[place] as number) |
      ((buffer[place + 1] as number) << 8) |
      ((buffer[place + 2] as number) << 16);
    return Math.imul(bytes, 0x9e3779b1) >>> this.hashShift;
  }

  /** Takes as much of the input into the buffer as has room, if need be after making some. */
  private fill(block: Block): void {
    const coming = this.stop - this.at;
    if (coming > this.buffer.length - this.filled) {
      const reach = Math.max(this.floor, this.position - this.windowSize);
      const keepFrom = block.isEmpty ? reach : Math.min(reach, this.blockStart);
      const wanted = ORIGIN + this.filled - keepFrom + coming;
      const largest = this.windowSize + Math.max(this.windowSize, SMALLEST_ROOM);
      let size = Math.max(this.buffer.length, SMALLEST_BUFFER);
      while (size < wanted && size < largest) size *= 2;
      size = Math.min(size, largest);
      // At its largest it is cleared out only where that makes much room, so that each byte is moved a few times at most.
      const makesRoom = keepFrom === this.filled || keepFrom > size >> 2;
      if (wanted <= size || size > this.buffer.length || makesRoom) this.move(keepFrom, size);
    }
    const count = Math.min(coming, this.buffer.length - this.filled);
    this.buffer.set(this.bytes.subarray(this.at, this.at + count), this.filled);
    this.filled += count;
    this.at += count;
    if (this.at === this.stop) this.bytes = NO_BYTES;
  }

  /** Moves what lies behind `keepFrom` to the front of the buffer, or of one of another size, and makes the tables anew. */
  private move(keepFrom: number, size: number): void {
    if (size === this.buffer.length) {
      this.buffer.copyWithin(ORIGIN, keepFrom, this.filled);
      this.latest.fill(0);
    } else {
      const buffer = new Uint8Array(size);
      buffer.set(this.buffer.subarray(keepFrom, this.filled), ORIGIN);
      this.buffer = buffer;
      const places = Math.min(size, this.windowSize);
      this.latest = new Uint16Array(places);
      this.previous = new Uint16Array(places);
      this.hashShift = 1 + Math.clz32(places);
    }
    const by = keepFrom - ORIGIN;
    const known = this.known - by;
    this.filled -= by;
    this.position -= by;
    this.blockStart -= by;
    this.floor = this.known = Math.max(ORIGIN, this.floor - by);
    this.learn(known);
  }
}

const NO_BYTES = new Uint8Array(0);
const NO_PLACES = new Uint16Array(0);
/** A block that no message is in. */
let spareBlock: Block | undefined;
