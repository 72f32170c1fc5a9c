/** A prefix code made for encoding (RFC 1951 3.2.2): the length of each symbol's code, and the code, its first bit lowest. */
export class PrefixCode {
  readonly lengths: Uint8Array;
  readonly codes: Uint16Array;
  /** How many symbols have to be told of: those behind have no code. */
  size = 0;

  constructor(size: number) {
    this.lengths = new Uint8Array(size);
    this.codes = new Uint16Array(size);
  }

  /**
   * The code that is best for symbols that occur so often, by Huffman's algorithm, of codes of `longest` bits at most. A symbol that
   * is alone gets a code of one bit (RFC 1951 3.2.7).
   */
  fit(frequencies: Uint16Array, longest: number): void {
    const { lengths } = this;
    let count = 0;
    lengths.fill(0);
    for (let symbol = 0; symbol < frequencies.length; symbol++) {
      const frequency = frequencies[symbol] as number;
      if (frequency === 0) continue;
      leaves[count++] = frequency * SYMBOLS + symbol;
      this.size = symbol + 1;
    }
    if (count < 2) {
      if (count === 0) this.size = 0;
      else lengths[this.size - 1] = 1;
      return;
    }
    leaves.subarray(0, count).sort();
    for (let i = 0; i < count; i++) weights[i] = Math.floor((leaves[i] as number) / SYMBOLS);
    while (grow(count) > longest) {
      // Weights that differ less make a tree that is less deep.
      for (let i = 0; i < count; i++) weights[i] = ((weights[i] as number) >> 1) + 1;
    }
    for (let i = 0; i < count; i++) lengths[(leaves[i] as number) % SYMBOLS] = depths[i] as number;
  }

  /** Gives each symbol its code. RFC 1951 3.2.2: shorter ones first, those of one length in the order of their symbols. */
  assign(): void {
    const { lengths, codes, size } = this;
    next.fill(0);
    for (let symbol = 0; symbol < size; symbol++) (next[lengths[symbol] as number] as number)++;
    next[0] = 0;
    let code = 0;
    for (let length = 1; length < next.length; length++) {
      const count = next[length] as number;
      next[length] = code;
      code = (code + count) << 1;
    }
    for (let symbol = 0; symbol < size; symbol++) {
      const length = lengths[symbol] as number;
      if (length > 0) codes[symbol] = reversed((next[length] as number)++, length);
    }
  }

  /** How many bits symbols take that occur so often. */
  cost(frequencies: Uint16Array): number {
    let bits = 0;
    for (let symbol = 0; symbol < frequencies.length; symbol++) {
      bits += (frequencies[symbol] as number) * (this.lengths[symbol] as number);
    }
    return bits;
  }
}

/**
 * Makes a tree of `count` leaves with `weights` that rise, and writes how deep each of them is; returns the largest depth. Both the
 * leaves that are left and the nodes made so far stand in order of their weight, so that the two lightest are found at the fronts.
 */
function grow(count: number): number {
  const root = 2 * count - 2;
  let leaf = 0;
  let node = count;
  for (let made = count; made <= root; made++) {
    let weight = 0;
    for (let child = 0; child < 2; child++) {
      const isLeaf =
        leaf < count && (node === made || (weights[leaf] as number) <= (weights[node] as number));
      const lightest = isLeaf ? leaf++ : node++;
      weight += weights[lightest] as number;
      parents[lightest] = made;
    }
    weights[made] = weight;
  }
  depths[root] = 0;
  for (let i = root - 1; i >= 0; i--) depths[i] = (depths[parents[i] as number] as number) + 1;
  return depths[0] as number; // the lightest is the deepest
}

function reversed(code: number, length: number): number {
  let result = 0;
  for (; length > 0; length--) {
    result = (result << 1) | (code & 1);
    code >>= 1;
  }
  return result;
}

/** More than any alphabet has. */
const SYMBOLS = 512;
// A code is made at once: these are shared.
const leaves = new Uint32Array(SYMBOLS);
const weights = new Uint32Array(2 * SYMBOLS);
const parents = new Uint16Array(2 * SYMBOLS);
const depths = new Uint8Array(2 * SYMBOLS);
const next = new Uint16Array(16);
