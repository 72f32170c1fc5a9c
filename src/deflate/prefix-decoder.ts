import { LONGEST_CODE } from "./symbols.js";

/** The number of bits that are looked up at once. Longer codes are the rare ones. */
const LOOKED_UP = 9;

/** What a code that stands for nothing decodes to: larger than any symbol. */
const NO_SYMBOL = 0xfff;

/** A prefix code, made from the lengths of its codes, for decoding (RFC 1951 3.2.2). */
export class PrefixDecoder {
  private readonly table = new Uint16Array(1 << LOOKED_UP);
  private mask = 0;
  /** How many codes there are of each length, and the symbols in the order of their codes. */
  private readonly counts = new Uint16Array(LONGEST_CODE + 1);
  private readonly symbols: Uint16Array;

  constructor(size: number) {
    this.symbols = new Uint16Array(size);
  }

  /**
   * Takes over the code whose lengths are `lengths[start, end)`. False where they make none: more codes than there is room for, or
   * fewer. With `sparse`, one code of one bit, or none at all, will do (RFC 1951 3.2.7).
   */
  build(lengths: Uint8Array, start: number, end: number, sparse: boolean): boolean {
    const { counts, symbols, table } = this;
    counts.fill(0);
    for (let i = start; i < end; i++) (counts[lengths[i] as number] as number)++;
    counts[0] = 0;
    let longest = LONGEST_CODE;
    while (longest > 1 && counts[longest] === 0) longest--;
    let free = 1; // codes of this length that no shorter one is the beginning of
    let total = 0;
    for (let length = 1; length <= longest; length++) {
      const count = counts[length] as number;
      free = free * 2 - count;
      if (free < 0) return false;
      offsets[length] = total;
      total += count;
    }
    if (free > 0 && !(sparse && longest === 1)) return false;
    for (let i = start; i < end; i++) {
      const length = lengths[i] as number;
      if (length > 0) symbols[(offsets[length] as number)++] = i - start;
    }

    const bits = Math.min(longest, LOOKED_UP);
    const mask = (this.mask = (1 << bits) - 1);
    table.fill(free > 0 ? (NO_SYMBOL << 4) | 1 : 0, 0, mask + 1);
    // Codes are counted upwards from their first bit, which is the lowest in the stream (RFC 1951 3.1.1): `code` is turned round.
    let code = 0;
    let next = 0;
    for (let length = 1; length <= bits; length++) {
      for (let count = counts[length] as number; count > 0; count--) {
        const entry = ((symbols[next++] as number) << 4) | length;
        for (let i = code; i <= mask; i += 1 << length) table[i] = entry;
        let bit = 1 << (length - 1);
        while ((code & bit) !== 0) {
          code ^= bit;
          bit >>= 1;
        }
        code |= bit;
      }
    }
    return true;
  }

  /**
   * What `bits` begin with, the first bit lowest: `symbol << 4 | length`. Where `length` is more than there are bits, more of them
   * are needed, and the symbol means nothing.
   */
  decode(bits: number): number {
    const entry = this.table[bits & this.mask] as number;
    return entry === 0 ? this.decodeLong(bits) : entry;
  }

  /** Goes through the lengths. Only a complete code has some that are not looked up, so that there is one that fits. */
  private decodeLong(bits: number): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; ; length++) {
      code |= bits & 1;
      bits >>>= 1;
      const count = this.counts[length] as number;
      if (code < first + count) return ((this.symbols[index + code - first] as number) << 4) | length;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
  }
}

/** Where in `symbols` those of each length go, while a code is made. */
const offsets = new Uint16Array(LONGEST_CODE + 1);
