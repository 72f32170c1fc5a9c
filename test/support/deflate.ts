import { expect } from "vitest";

import type { Deflator, Inflator } from "../../src/deflate/codec.js";

/** How a codec is fed and emptied: how many bytes go in, and how many may come out, in each call. */
export interface Steps {
  readonly input: number;
  readonly output: number;
}

export const WHOLE: Steps = { input: Infinity, output: 1 << 16 };
export const BYTE_BY_BYTE: Steps = { input: 1, output: 1 };

/** What a deflator makes of a message. The input is overwritten once it is used up: nothing of it may be kept. */
export function deflate(deflator: Deflator, message: Uint8Array, steps: Steps = WHOLE): Buffer {
  const out: Uint8Array[] = [];
  let at = 0;
  do {
    const part = Uint8Array.from(message.subarray(at, Math.min(message.length, at + steps.input)));
    at += part.length;
    deflator.push(surrounded(part), 1, 1 + part.length, at === message.length);
    pullAll((target, start, end) => deflator.pull(target, start, end), steps.output, out);
  } while (at < message.length);
  return Buffer.concat(out);
}

/** What an inflator makes of a message's payload, or what is wrong with it. */
export function inflate(
  inflator: Inflator,
  payload: Uint8Array,
  steps: Steps = WHOLE,
): Buffer | "fault" | "cut off" {
  const out: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += steps.input) {
    const part = payload.slice(at, Math.min(payload.length, at + steps.input));
    inflator.push(surrounded(part), 1, 1 + part.length);
    if (!pullAll((target, start, end) => inflator.pull(target, start, end), steps.output, out))
      return "fault";
  }
  return inflator.end() ? Buffer.concat(out) : "cut off";
}

/** Expects the same bytes. Comparing buffers as objects is slow: only the difference is shown so. */
export function expectBytes(actual: Buffer | string, expected: Uint8Array): void {
  if (typeof actual === "string" || !actual.equals(expected)) expect(actual).toEqual(Buffer.from(expected));
}

/** Other bytes stand before and behind what is handed in. */
function surrounded(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from([0x4b, ...bytes, 0x4b]);
}

/** Pulls until there is nothing; false at a fault. Nothing is written outside of the range. */
function pullAll(
  pull: (target: Uint8Array, start: number, end: number) => number,
  most: number,
  out: Uint8Array[],
): boolean {
  for (;;) {
    const target = new Uint8Array(most + 3).fill(0xee);
    const offset = pull(target, 2, 2 + most);
    if (offset < 0) return false;
    if (offset < 2 || offset > 2 + most) throw new Error(`pull returned ${offset} for [2, ${2 + most})`);
    if (target[0] !== 0xee || target[1] !== 0xee || target[2 + most] !== 0xee)
      throw new Error("out of range");
    if (offset === 2) return true;
    out.push(target.subarray(2, offset));
  }
}

/** A stream of bits, written as RFC 1951 does: bytes are filled from their lowest bit. */
export class Bits {
  private readonly bits: number[] = [];

  /** Numbers come with their lowest bit first (RFC 1951 3.1.1). */
  number(value: number, count: number): this {
    for (let i = 0; i < count; i++) this.bits.push((value >> i) & 1);
    return this;
  }

  /** Codes come with their first bit first. */
  code(bits: string): this {
    for (const bit of bits.replaceAll(" ", "")) this.bits.push(Number(bit));
    return this;
  }

  /** The header of a block. */
  block(type: "stored" | "fixed" | "dynamic" | "reserved", final = false): this {
    return this.number(Number(final), 1).number(["stored", "fixed", "dynamic", "reserved"].indexOf(type), 2);
  }

  /** Fills a byte up, with 0 or with 1. */
  align(bit: 0 | 1 = 0): this {
    while (this.bits.length % 8 !== 0) this.bits.push(bit);
    return this;
  }

  /** A symbol of the fixed code of literals and lengths (RFC 1951 3.2.6). */
  fixed(symbol: number): this {
    if (symbol < 144) return this.code((0x30 + symbol).toString(2).padStart(8, "0"));
    if (symbol < 256) return this.code((0x190 + symbol - 144).toString(2).padStart(9, "0"));
    if (symbol < 280) return this.code((symbol - 256).toString(2).padStart(7, "0"));
    return this.code((0xc0 + symbol - 280).toString(2).padStart(8, "0"));
  }

  /** A match in a fixed block, of 3 bytes, so far back. */
  fixedMatch(distance: number): this {
    let base = 1;
    for (let symbol = 0; ; symbol++) {
      const extra = Math.max(0, (symbol >> 1) - 1);
      if (distance < base + (1 << extra)) {
        return this.fixed(257)
          .code(symbol.toString(2).padStart(5, "0"))
          .number(distance - base, extra);
      }
      base += 1 << extra;
    }
  }

  /**
   * The head of a dynamic block (RFC 1951 3.2.7): how many codes, the lengths of the code for lengths by symbol, and the symbols,
   * with the numbers behind them.
   */
  head(
    literals: number,
    distances: number,
    lengths: Readonly<Record<number, number>>,
    symbols: readonly (number | readonly [symbol: number, extra: number])[],
  ): this {
    this.block("dynamic")
      .number(literals - 257, 5)
      .number(distances - 1, 5)
      .number(15, 4);
    for (const symbol of [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]) {
      this.number(lengths[symbol] ?? 0, 3);
    }
    const codes = canonical(lengths);
    for (const entry of symbols) {
      const [symbol, extra] = typeof entry === "number" ? [entry, 0] : entry;
      this.code(codes.get(symbol) ?? "");
      if (symbol >= 16) this.number(extra, [2, 3, 7][symbol - 16] ?? 0);
    }
    return this;
  }

  get bytes(): Buffer {
    const bytes = Buffer.alloc(Math.ceil(this.bits.length / 8));
    this.bits.forEach((bit, index) => (bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (bit << (index & 7))));
    return bytes;
  }
}

/** The codes that have such lengths (RFC 1951 3.2.2), as strings of bits. */
function canonical(lengths: Readonly<Record<number, number>>): Map<number, string> {
  const sorted = Object.entries(lengths)
    .map(([symbol, length]) => ({ symbol: Number(symbol), length }))
    .filter(({ length }) => length > 0)
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  let code = 0;
  let before = 0;
  return new Map(
    sorted.map(({ symbol, length }) => {
      code <<= length - before;
      before = length;
      return [symbol, (code++).toString(2).padStart(length, "0")];
    }),
  );
}
