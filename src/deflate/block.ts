import { PrefixCode } from "./prefix-code.js";
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
  LONGEST_MATCH,
  SHORTEST_MATCH,
} from "./symbols.js";

/** A block ends behind so many literals and matches, and those that are being looked at: what comes then may be of another kind. */
const MOST_SYMBOLS = 16384 - LONGEST_MATCH;
/** So many bits are mostly less than codes of its own would take with their head: not even tried. */
const WORTH_OWN_CODES = 800;
/** The most bytes of a stored block (RFC 1951 3.2.4). */
const MOST_STORED = 65535;

/**
 * Gathers the literals and matches of a block, and writes it in the form that is smallest: stored, or with fixed codes, or with
 * codes of its own (RFC 1951 3.2.3). What was written waits here until it is taken.
 */
export class Block {
  /** Each as `distance << 8 | length - 3`; a literal as itself, with no distance. */
  private symbols: Uint32Array = new Uint32Array(1024);
  private count = 0;
  private readonly literalFrequencies = new Uint16Array(LITERALS);
  private readonly distanceFrequencies = new Uint16Array(DISTANCES);
  private extraBits = 0;
  /** What was written: `bytes[taken, size)`, and behind it `held` bits of a byte, the first one lowest. */
  private bytes: Uint8Array = new Uint8Array(256);
  private size = 0;
  private taken = 0;
  private hold = 0;
  private held = 0;

  get isEmpty(): boolean {
    return this.count === 0;
  }

  get isFull(): boolean {
    return this.count >= MOST_SYMBOLS;
  }

  literal(byte: number): void {
    this.add(byte);
    (this.literalFrequencies[byte] as number)++;
  }

  match(length: number, distance: number): void {
    this.add((distance << 8) | (length - SHORTEST_MATCH));
    const lengthSymbol = LENGTH_SYMBOL[length - SHORTEST_MATCH] as number;
    const symbol = distanceSymbol(distance);
    (this.literalFrequencies[lengthSymbol] as number)++;
    (this.distanceFrequencies[symbol] as number)++;
    this.extraBits += (LENGTH_EXTRA[lengthSymbol - 257] as number) + (DISTANCE_EXTRA[symbol] as number);
  }

  /** Writes the block, which says the same as `window[start, end)`, and begins the next one. */
  write(window: Uint8Array, start: number, end: number): void {
    const { literalFrequencies, distanceFrequencies, extraBits } = this;
    literalFrequencies[END_OF_BLOCK] = 1;
    const fixed = (fixedCodes ??= new FixedCodes());
    const fixedCost =
      fixed.literals.cost(literalFrequencies) + fixed.distances.cost(distanceFrequencies) + extraBits;
    let ownCost = Infinity;
    if (fixedCost >= WORTH_OWN_CODES) {
      literals.fit(literalFrequencies, LONGEST_CODE);
      distances.fit(distanceFrequencies, LONGEST_CODE);
      ownCost =
        planHead() + literals.cost(literalFrequencies) + distances.cost(distanceFrequencies) + extraBits;
    }
    const pieces = Math.ceil((end - start) / MOST_STORED);
    const storedCost = pieces * (4 + 32) + (end - start) * 8; // about half a byte is skipped
    const least = Math.min(ownCost, fixedCost, storedCost);
    this.reserve((least >> 3) + 8 * pieces + 8);
    if (least === storedCost) {
      for (let from = start; from < end; from += MOST_STORED) {
        this.store(window, from, Math.min(end, from + MOST_STORED));
      }
    } else if (least === fixedCost) {
      this.put(1 << 1, 3);
      this.putSymbols(fixed.literals, fixed.distances);
    } else {
      this.put(2 << 1, 3);
      this.putHead();
      literals.assign();
      distances.assign();
      this.putSymbols(literals, distances);
    }
    this.begin();
  }

  /** Writes an empty stored block, so that all bits before it are in whole bytes (RFC 7692 7.2.1). */
  flush(): void {
    this.reserve(8);
    this.store(this.bytes, 0, 0);
  }

  /** Takes what was written into `target[start, end)`; returns the offset after it. */
  take(target: Uint8Array, start: number, end: number): number {
    const count = Math.min(end - start, this.size - this.taken);
    target.set(this.bytes.subarray(this.taken, this.taken + count), start);
    this.taken += count;
    if (this.taken === this.size) this.taken = this.size = 0;
    return start + count;
  }

  /** Forgets everything. */
  clear(): void {
    this.begin();
    this.size = this.taken = this.hold = this.held = 0;
  }

  private begin(): void {
    this.count = this.extraBits = 0;
    this.literalFrequencies.fill(0);
    this.distanceFrequencies.fill(0);
  }

  private add(symbol: number): void {
    if (this.count === this.symbols.length) {
      const more = new Uint32Array(2 * this.count);
      more.set(this.symbols);
      this.symbols = more;
    }
    this.symbols[this.count++] = symbol;
  }

  /** Makes room for so many bytes. */
  private reserve(count: number): void {
    if (this.size + count <= this.bytes.length) return;
    const larger = new Uint8Array(2 * (this.size + count));
    larger.set(this.bytes.subarray(0, this.size));
    this.bytes = larger;
  }

  /** Writes bits: a number, its lowest bit first (RFC 1951 3.1.1); 16 at most. */
  private put(bits: number, count: number): void {
    this.hold |= bits << this.held;
    this.held += count;
    while (this.held >= 8) {
      this.bytes[this.size++] = this.hold;
      this.hold >>>= 8;
      this.held -= 8;
    }
  }

  /** RFC 1951 3.2.4. */
  private store(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.put(0, 3);
    this.put(0, -this.held & 7);
    this.put(length, 16);
    this.put(length ^ 0xffff, 16);
    this.bytes.set(bytes.subarray(start, end), this.size);
    this.size += length;
  }

  /** RFC 1951 3.2.7, as `planHead` left it. */
  private putHead(): void {
    this.put(literals.size - 257, 5);
    this.put(Math.max(distances.size, 1) - 1, 5);
    this.put(head.lengthsCount - 4, 4);
    for (let i = 0; i < head.lengthsCount; i++) {
      this.put(head.code.lengths[LENGTHS_ORDER[i] as number] as number, 3);
    }
    head.code.assign();
    for (let i = 0; i < head.count; i += 2) {
      const symbol = head.symbols[i] as number;
      this.put(head.code.codes[symbol] as number, head.code.lengths[symbol] as number);
      if (symbol >= 16) this.put(head.symbols[i + 1] as number, REPEAT_EXTRA[symbol - 16] as number);
    }
  }

  /** RFC 1951 3.2.5. */
  private putSymbols(literals: PrefixCode, distances: PrefixCode): void {
    for (let i = 0; i < this.count; i++) {
      const value = this.symbols[i] as number;
      const distance = value >>> 8;
      if (distance === 0) {
        this.put(literals.codes[value] as number, literals.lengths[value] as number);
        continue;
      }
      const length = (value & 0xff) + SHORTEST_MATCH;
      const lengthSymbol = LENGTH_SYMBOL[length - SHORTEST_MATCH] as number;
      this.put(literals.codes[lengthSymbol] as number, literals.lengths[lengthSymbol] as number);
      this.put(
        length - (LENGTH_BASE[lengthSymbol - 257] as number),
        LENGTH_EXTRA[lengthSymbol - 257] as number,
      );
      const symbol = distanceSymbol(distance);
      this.put(distances.codes[symbol] as number, distances.lengths[symbol] as number);
      this.put(distance - (DISTANCE_BASE[symbol] as number), DISTANCE_EXTRA[symbol] as number);
    }
    this.put(literals.codes[END_OF_BLOCK] as number, literals.lengths[END_OF_BLOCK] as number);
  }
}

/** The symbol of each length, less 3. */
const LENGTH_SYMBOL: Uint16Array = /* @__PURE__ */ lengthSymbols();

function lengthSymbols(): Uint16Array {
  const symbols = new Uint16Array(256);
  LENGTH_BASE.forEach((base, index) => symbols.fill(257 + index, base - SHORTEST_MATCH));
  return symbols;
}

/** The highest bit of `distance - 1` and the one below it tell the symbol. */
function distanceSymbol(distance: number): number {
  const value = distance - 1;
  if (value < 2) return value;
  const high = 31 - Math.clz32(value);
  return 2 * high + ((value >> (high - 1)) & 1);
}

/** RFC 1951 3.2.6. */
class FixedCodes {
  readonly literals: PrefixCode = new PrefixCode(FIXED_LITERALS);
  readonly distances: PrefixCode = new PrefixCode(FIXED_LENGTHS.length - FIXED_LITERALS);
  constructor() {
    this.literals.lengths.set(FIXED_LENGTHS.subarray(0, FIXED_LITERALS));
    this.distances.lengths.set(FIXED_LENGTHS.subarray(FIXED_LITERALS));
    this.literals.size = this.literals.lengths.length;
    this.distances.size = this.distances.lengths.length;
    this.literals.assign();
    this.distances.assign();
  }
}

let fixedCodes: FixedCodes | undefined;

// A block is written at once: these are shared.
const literals = new PrefixCode(LITERALS);
const distances = new PrefixCode(DISTANCES);
/** How the lengths of both codes are told (RFC 1951 3.2.7): pairs of a symbol and the number behind it. */
const head = {
  symbols: new Uint8Array(2 * (LITERALS + DISTANCES)),
  count: 0,
  frequencies: new Uint16Array(LENGTHS_ORDER.length),
  code: new PrefixCode(LENGTHS_ORDER.length),
  lengthsCount: 0,
};

/** The bits behind the symbols 16, 17 and 18 among code lengths. */
const REPEAT_EXTRA: readonly number[] = [2, 3, 7];

/** Finds out how to tell of `literals` and `distances`; returns how many bits that takes. */
function planHead(): number {
  const { frequencies, code } = head;
  const lengths = allLengths;
  const distancesSize = Math.max(distances.size, 1);
  const total = literals.size + distancesSize;
  lengths.set(literals.lengths.subarray(0, literals.size));
  lengths.set(distances.lengths.subarray(0, distancesSize), literals.size);
  frequencies.fill(0);
  head.count = 0;
  for (let i = 0; i < total;) {
    const length = lengths[i] as number;
    let run = 1;
    while (i + run < total && lengths[i + run] === length) run++;
    i += run;
    if (length > 0) {
      tell(length, 0);
      run--;
    }
    while (run >= 3) {
      // Repeated: a length 3 to 6 times, 0 3 to 10 or 11 to 138 times.
      const most = length > 0 ? 6 : 138;
      const some = Math.min(run, most);
      if (length > 0) tell(16, some - 3);
      else if (some <= 10) tell(17, some - 3);
      else tell(18, some - 11);
      run -= some;
    }
    for (; run > 0; run--) tell(length, 0);
  }
  code.fit(frequencies, 7);
  head.lengthsCount = LENGTHS_ORDER.length;
  while (head.lengthsCount > 4 && code.lengths[LENGTHS_ORDER[head.lengthsCount - 1] as number] === 0) {
    head.lengthsCount--;
  }
  let bits = 14 + 3 * head.lengthsCount + code.cost(frequencies);
  REPEAT_EXTRA.forEach((extra, index) => (bits += extra * (frequencies[16 + index] as number)));
  return bits;
}

const allLengths = new Uint8Array(LITERALS + DISTANCES);

function tell(symbol: number, more: number): void {
  head.symbols[head.count++] = symbol;
  head.symbols[head.count++] = more;
  (head.frequencies[symbol] as number)++;
}
