import type { Inflator } from "./codec.js";
import { PrefixDecoder } from "./prefix-decoder.js";
import {
  DISTANCE_BASE,
  DISTANCE_EXTRA,
  DISTANCES,
  END_OF_BLOCK,
  FIXED_LENGTHS,
  FIXED_LITERALS,
  LENGTH_BASE,
  LENGTH_EXTRA,
  LENGTHS_ORDER,
  LITERALS,
  LONGEST_CODE,
} from "./symbols.js";

/** What comes next in the stream. */
type Step =
  /** The three bits before each block (RFC 1951 3.2.3). */
  | "header"
  /** Of a stored block: its length, the length's complement, its bytes (RFC 1951 3.2.4). */
  | "stored length"
  | "stored check"
  | "stored bytes"
  /** Before a block with codes of its own: how many, the code for their lengths, their lengths (RFC 1951 3.2.7). */
  | "counts"
  | "lengths' lengths"
  | "lengths"
  /** Of a compressed block: a literal or a length, its extra bits, a distance, its extra bits (RFC 1951 3.2.5). */
  | "symbol"
  | "length bits"
  | "distance"
  | "distance bits"
  /** Nothing to read: a match is to be copied. */
  | "copy"
  /** Nothing at all: it was not DEFLATE. */
  | "fault";

/**
 * Inflate (RFC 1951) in plain TypeScript. It holds a ring with the last 2^`windowBits` bytes of output, that begins with 1 KiB (256
 * bytes where the window has no more) and grows with what has come; tables (3 KiB) only while it stands inside of a block with codes
 * of its own.
 */
export class PortableInflator implements Inflator {
  private step: Step = "header";
  /** What is left of the input: `bytes[at, stop)`. */
  private bytes: Uint8Array = NO_BYTES;
  private at = 0;
  private stop = 0;
  /** Bits taken from it and not read yet, the next one lowest: `held` of them, at most 23. */
  private hold = 0;
  private held = 0;
  /** Whether the block is a final one. */
  private final = false;
  /** The codes of a compressed block. */
  private codes: BlockCodes | undefined;
  /** Of a match, or of a stored block: the bytes to come. */
  private length = 0;
  private distance = 0;
  private extra = 0;
  /** The ring, where in it the next byte goes, and whether all of it has been written. */
  private window: Uint8Array = NO_BYTES;
  private position = 0;
  private full = false;

  private readonly largestWindow: number;

  constructor(windowBits: number) {
    this.largestWindow = 1 << windowBits;
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.stop = end;
  }

  pull(target: Uint8Array, start: number, end: number): number {
    const begin = start;
    for (;;) {
      if (this.position === this.window.length) this.turn();
      const { window, position } = this;
      const limit = Math.min(window.length, position + end - start);
      const lawful = this.run(limit);
      start = copy(window, position, this.position, target, start);
      if (!lawful) return start > begin ? start : -1; // what is right is told first
      if (this.position < limit || start === end) {
        if (this.at === this.stop) this.bytes = NO_BYTES; // a quiet connection pins no chunk
        return start;
      }
    }
  }

  end(): boolean {
    this.push(TAIL, 0, TAIL.length);
    if (this.pull(nowhere, 0, 1) === 0 && this.step === "header" && this.held === 0) return true;
    this.fault();
    return false;
  }

  reset(): void {
    this.leaveCodes();
    this.step = "header";
    this.bytes = NO_BYTES;
    this.at = this.stop = this.hold = this.held = this.position = 0;
    this.full = false;
  }

  release(): void {
    this.reset();
    this.window = NO_BYTES;
  }

  /** At the ring's end: begins it anew, or makes it larger while it is smaller than the window. */
  private turn(): void {
    const { window, largestWindow } = this;
    if (window.length < largestWindow) {
      this.window = new Uint8Array(Math.min(largestWindow, Math.max(window.length * 2, SMALLEST_RING)));
      this.window.set(window);
    } else {
      this.position = 0;
      this.full = true;
    }
  }

  /** Inflates until the ring is written up to `limit`, or the input is used up. False where it is not DEFLATE. */
  private run(limit: number): boolean {
    for (;;) {
      switch (this.step) {
        case "header": {
          if (!this.has(3)) return true;
          this.final = this.take(1) === 1;
          const type = this.take(2);
          if (type === 0) {
            this.align();
            this.step = "stored length";
          } else if (type === 1) {
            this.codes = fixedCodes ??= BlockCodes.fixed();
            this.step = "symbol";
          } else if (type === 2) {
            this.codes = spareCodes ?? new BlockCodes();
            spareCodes = undefined;
            this.step = "counts";
          } else {
            return this.fault(); // RFC 1951 3.2.3: reserved
          }
          break;
        }
        case "stored length":
          if (!this.has(16)) return true;
          this.length = this.take(16);
          this.step = "stored check";
          break;
        case "stored check":
          if (!this.has(16)) return true;
          if (this.take(16) !== (this.length ^ 0xffff)) return this.fault(); // RFC 1951 3.2.4
          this.step = "stored bytes";
          break;
        case "stored bytes": {
          // All bits that were taken from the input have been read: bytes come straight from it.
          const count = Math.min(this.length, limit - this.position, this.stop - this.at);
          this.position = copy(this.bytes, this.at, this.at + count, this.window, this.position);
          this.at += count;
          this.length -= count;
          if (this.length > 0) return true;
          this.endBlock();
          break;
        }
        case "counts":
        case "lengths' lengths":
        case "lengths": {
          const went = this.readCodes(this.codes as BlockCodes);
          if (went !== undefined) return went;
          this.step = "symbol";
          break;
        }
        case "fault":
          return false;
        default: {
          const went = this.readSymbols(this.codes as BlockCodes, limit);
          if (went !== undefined) return went;
          this.endBlock();
        }
      }
    }
  }

  /** What `run` is to do once one of its parts cannot go on: undefined says that the part is done. */
  private readCodes(codes: BlockCodes): boolean | undefined {
    const { lengths } = codes;
    if (this.step === "counts") {
      if (!this.has(14)) return true;
      codes.literalCount = 257 + this.take(5);
      codes.count = codes.literalCount + 1 + this.take(5);
      codes.lengthsCount = 4 + this.take(4);
      if (codes.literalCount > LITERALS || codes.count > codes.literalCount + DISTANCES) return this.fault();
      codes.filled = 0;
      lengths.fill(0, 0, LENGTHS_ORDER.length);
      this.step = "lengths' lengths";
    }
    if (this.step === "lengths' lengths") {
      while (codes.filled < codes.lengthsCount) {
        if (!this.has(3)) return true;
        lengths[LENGTHS_ORDER[codes.filled++] as number] = this.take(3);
      }
      // The distances' place is free until their own lengths are known.
      if (!codes.distances.build(lengths, 0, LENGTHS_ORDER.length, false)) return this.fault();
      codes.filled = 0;
      this.step = "lengths";
    }
    while (codes.filled < codes.count) {
      this.has(7);
      const entry = codes.distances.decode(this.hold);
      const symbol = entry >> 4;
      let size = entry & 15;
      if (symbol < 16) {
        if (size > this.held) return true;
        this.take(size);
        lengths[codes.filled++] = symbol;
        continue;
      }
      // A symbol and the bits behind it are read together (RFC 1951 3.2.7).
      if (size > this.held || !this.has(size + (REPEAT_EXTRA[symbol - 16] as number))) return true;
      this.take(size);
      size = this.take(REPEAT_EXTRA[symbol - 16] as number) + (REPEAT_BASE[symbol - 16] as number);
      if (symbol === 16 && codes.filled === 0) return this.fault(); // nothing to repeat
      const from = codes.filled;
      codes.filled += size;
      if (codes.filled > codes.count) return this.fault();
      lengths.fill(symbol === 16 ? (lengths[from - 1] as number) : 0, from, codes.filled);
    }
    // A block without an end cannot be (RFC 1951 3.2.5), a block without distances can (RFC 1951 3.2.7).
    const lawful =
      lengths[END_OF_BLOCK] !== 0 &&
      codes.literals.build(lengths, 0, codes.literalCount, true) &&
      codes.distances.build(lengths, codes.literalCount, codes.count, true);
    return lawful ? undefined : this.fault();
  }

  /** Reads literals and matches, as `run` does; undefined at the block's end. */
  private readSymbols({ literals, distances }: BlockCodes, limit: number): boolean | undefined {
    const { bytes, stop, window } = this;
    let { step, at, hold, held, position, length, distance, extra } = this;
    let result: boolean | undefined = true;
    for (;;) {
      if (step === "symbol") {
        while (held < LONGEST_CODE && at < stop) {
          hold |= (bytes[at++] as number) << held;
          held += 8;
        }
        const entry = literals.decode(hold);
        const size = entry & 15;
        const symbol = entry >> 4;
        // Bits beyond the input's end were read as 0: what they made longer than it is not known yet.
        if (size > held || (symbol < END_OF_BLOCK && position === limit)) break;
        hold >>>= size;
        held -= size;
        if (symbol < END_OF_BLOCK) {
          window[position++] = symbol;
          continue;
        }
        if (symbol === END_OF_BLOCK) {
          result = undefined;
          break;
        }
        if (symbol >= LITERALS) {
          result = this.fault(); // RFC 1951 3.2.6: never occurs
          break;
        }
        length = LENGTH_BASE[symbol - 257] as number;
        extra = LENGTH_EXTRA[symbol - 257] as number;
        step = "length bits";
      }
      if (step === "length bits") {
        if (held < extra) {
          if (at === stop) break;
          hold |= (bytes[at++] as number) << held;
          held += 8;
        }
        length += hold & ((1 << extra) - 1);
        hold >>>= extra;
        held -= extra;
        step = "distance";
      }
      if (step === "distance") {
        while (held < LONGEST_CODE && at < stop) {
          hold |= (bytes[at++] as number) << held;
          held += 8;
        }
        const entry = distances.decode(hold);
        const size = entry & 15;
        const symbol = entry >> 4;
        if (size > held) break;
        if (symbol >= DISTANCES) {
          result = this.fault(); // RFC 1951 3.2.6, or a code that stands for nothing
          break;
        }
        hold >>>= size;
        held -= size;
        distance = DISTANCE_BASE[symbol] as number;
        extra = DISTANCE_EXTRA[symbol] as number;
        step = "distance bits";
      }
      if (step === "distance bits") {
        while (held < extra && at < stop) {
          hold |= (bytes[at++] as number) << held;
          held += 8;
        }
        if (held < extra) break;
        distance += hold & ((1 << extra) - 1);
        hold >>>= extra;
        held -= extra;
        // RFC 1951 3.2.5: not past the beginning of the output; RFC 7692 7.1.2: nor out of the window.
        if (distance > (this.full ? window.length : position)) {
          result = this.fault();
          break;
        }
        step = "copy";
      }
      // "copy": from behind the place in the ring, round its end.
      let count = Math.min(length, limit - position);
      length -= count;
      let from = position - distance;
      if (from < 0) {
        from += window.length;
        for (; count > 0 && from < window.length; count--) window[position++] = window[from++] as number;
        from = 0;
      }
      for (; count > 0; count--) window[position++] = window[from++] as number;
      if (length > 0) break;
      step = "symbol";
    }
    if (result !== false) this.step = step;
    this.at = at;
    this.hold = hold;
    this.held = held;
    this.position = position;
    this.length = length;
    this.distance = distance;
    this.extra = extra;
    return result;
  }

  /**
   * The next block follows at once, or behind a final one at the next byte (RFC 7692 7.2.1). With that the example of 7.2.3.4 is
   * lawful: its last byte is the header of an empty stored block, whose length comes with `end`.
   */
  private endBlock(): void {
    if (this.final) this.align();
    this.leaveCodes();
    this.step = "header";
  }

  /** Tables are lent to one block after the other, whose ever it is. */
  private leaveCodes(): void {
    if (this.codes !== fixedCodes) spareCodes = this.codes ?? spareCodes;
    this.codes = undefined;
  }

  private fault(): false {
    this.leaveCodes();
    this.step = "fault";
    return false;
  }

  /** Whether there are so many bits, 16 at most. */
  private has(count: number): boolean {
    while (this.held < count) {
      if (this.at === this.stop) return false;
      this.hold |= (this.bytes[this.at++] as number) << this.held;
      this.held += 8;
    }
    return true;
  }

  /** Reads bits that are there: a number, its lowest bit first (RFC 1951 3.1.1). */
  private take(count: number): number {
    const value = this.hold & ((1 << count) - 1);
    this.hold >>>= count;
    this.held -= count;
    return value;
  }

  /** Skips what is left of a byte. */
  private align(): void {
    this.take(this.held & 7);
  }
}

/** The codes of a compressed block, and what is read to make them (RFC 1951 3.2.7). */
class BlockCodes {
  readonly literals: PrefixDecoder = new PrefixDecoder(FIXED_LITERALS);
  readonly distances: PrefixDecoder = new PrefixDecoder(32);
  /** The lengths of all codes, of which so many are literals and lengths, and so many are known. */
  readonly lengths: Uint8Array = new Uint8Array(LITERALS + DISTANCES);
  literalCount = 0;
  count = 0;
  filled = 0;
  /** How many lengths there are of the code for lengths. */
  lengthsCount = 0;

  /** RFC 1951 3.2.6. */
  static fixed(): BlockCodes {
    const codes = new BlockCodes();
    codes.literals.build(FIXED_LENGTHS, 0, FIXED_LITERALS, false);
    codes.distances.build(FIXED_LENGTHS, FIXED_LITERALS, FIXED_LENGTHS.length, false);
    return codes;
  }
}

/** Copies `bytes[start, end)` to `offset` of `target`; returns the offset after it. */
function copy(bytes: Uint8Array, start: number, end: number, target: Uint8Array, offset: number): number {
  if (end - start >= COPY_BY_HAND) {
    target.set(bytes.subarray(start, end), offset);
    return offset + end - start;
  }
  while (start < end) target[offset++] = bytes[start++] as number;
  return offset;
}

/** Below this many bytes a loop is cheaper than `set` with a view. */
const COPY_BY_HAND = 64;

let fixedCodes: BlockCodes | undefined;
/** Tables that no block needs. */
let spareCodes: BlockCodes | undefined;

/** The symbols 16, 17 and 18 among code lengths: the bits behind them, and how often the length is repeated where they are 0. */
const REPEAT_EXTRA: readonly number[] = [2, 3, 7];
const REPEAT_BASE: readonly number[] = [3, 3, 11];

const SMALLEST_RING = 1024;
const NO_BYTES = new Uint8Array(0);
/** What a sender leaves out at a message's end (RFC 7692 7.2.1). */
const TAIL: Uint8Array = /* @__PURE__ */ Uint8Array.of(0x00, 0x00, 0xff, 0xff);
const nowhere = new Uint8Array(1);
