import { viewOf } from "../bytes/view.js";
import { mask, maskInto } from "../frame/masking.js";
import type { Mask, MaskInto } from "../platform.js";

// Masking (RFC 6455 5.3) sixteen bytes at a time. A WebAssembly instance reaches its own memory only, so payloads are
// copied in and out block by block; from SIMD_FROM bytes on that is faster than JavaScript.

/** The part of the platform's `WebAssembly` that is used here; undefined where there is none. */
declare const WebAssembly:
  | {
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: object };
    }
  | undefined;

/** Below this many bytes the copies cost more than they save. */
const SIMD_FROM = 448;

/** What is copied at once: both copies of it stay in the processor's nearest cache. */
const BLOCK_SIZE = 16384;

interface Kernel {
  readonly memory: Uint8Array;
  /** The first `BLOCK_SIZE` bytes of it. */
  readonly block: Uint8Array;
  /** The beginning of it that was copied out last: frames of one length make no views. */
  last: Uint8Array;
  /** XORs the memory's first `length` bytes, and some behind them; returns 0 where all of them are ASCII then. */
  readonly run: (length: number, key: number) => number;
}

/** Built when it is first needed; "none" where the platform cannot, or may not, build it. */
let kernel: Kernel | "none" | undefined;

/** A masking kernel on WebAssembly SIMD, and the portable one for small payloads and where there is no such thing. */
export const simdMask: Mask = (bytes, start, end, key) => {
  const isFew = end - start < SIMD_FROM || end > bytes.length; // or none, where somebody transferred their buffer
  if (isFew || (kernel ??= build()) === "none") return mask(bytes, start, end, key);
  return maskBlocks(kernel, bytes, start, end, bytes, start, key);
};

/** The same from one array into another. */
export const simdMaskInto: MaskInto = (source, target, offset, key) => {
  const { length } = source;
  if (length < SIMD_FROM || (kernel ??= build()) === "none") maskInto(source, target, offset, key);
  else maskBlocks(kernel, source, 0, length, target, offset, key);
};

function maskBlocks(
  kernel: Kernel,
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
  key: number,
): boolean {
  const { memory, block, run } = kernel;
  let high = 0;
  for (; end - start >= BLOCK_SIZE; start += BLOCK_SIZE, offset += BLOCK_SIZE) {
    block.set(viewOf(source, start, start + BLOCK_SIZE));
    high |= run(BLOCK_SIZE, key);
    target.set(block, offset);
  }
  const rest = end - start;
  if (rest > 0) {
    memory.set(rest === source.length ? source : viewOf(source, start, end));
    high |= run(rest, key);
    if (kernel.last.length !== rest) kernel.last = memory.subarray(0, rest);
    target.set(kernel.last, offset);
  }
  return high === 0;
}

function build(): Kernel | "none" {
  if (typeof WebAssembly === "undefined") return "none";
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(MODULE)));
    const { memory, mask: run } = exports as {
      readonly memory: { readonly buffer: ArrayBuffer };
      readonly mask: Kernel["run"];
    };
    const bytes = new Uint8Array(memory.buffer);
    bytes.fill(0xff, WINDOW - 16, WINDOW);
    const block = bytes.subarray(0, BLOCK_SIZE);
    return { memory: bytes, block, last: block, run };
  } catch {
    return "none"; // no SIMD, no room, or a policy that forbids compiling: a browser page's, a worker host's
  }
}

// The module, as WebAssembly's binary format has it (https://webassembly.github.io/spec/core/binary/):
//
//   (memory (export "memory") 1 1)
//   (func (export "mask") (param $length i32) (param $key i32) (result i32) (local $at i32) (local $keys v128) (local $or v128)
//     (local.set $keys (i32x4.splat (local.get $key)))
//     (block (loop                                             64 bytes at a time
//       (br_if 1 (i32.lt_u (local.get $length) (i32.add (local.get $at) (i32.const 64))))
//       (STEP)   four times, 16 bytes apart
//       (local.set $at (i32.add (local.get $at) (i32.const 64)))
//       (br 0)))
//     (block (loop ...))                                       the same, 16 at a time, one STEP
//     (STEP)   of what is left, up to 15 bytes, of which no more than these go into $or: they are the window's 0xff
//     (i8x16.bitmask (local.get $or)))
//
// where a STEP masks 16 bytes and ORs them into $or:
//
//   (v128.store (local.get $at) (local.tee $x (v128.xor (v128.load (local.get $at)) (local.get $keys))))
//   (local.set $or (v128.or (local.get $or) (local.get $x)))

const I32 = 0x7f;
const V128 = 0x7b;
const [LENGTH, KEY, AT, KEYS, OR, X] = [0, 1, 2, 3, 4, 5];

/** Behind all blocks: 16 bytes of 0xff before it, and 16 of 0 from it on. */
const WINDOW = 32768;

/** Masks the 16 bytes at `AT + offset`, and leaves them in `X`. */
const masked = (offset: number): readonly number[] => [
  ...[0x20, AT], // local.get: where to store
  ...[0x20, AT, 0xfd, 0x00, 0, offset], // local.get, v128.load, aligned to 2^0
  ...[0x20, KEYS, 0xfd, 0x51, 0x22, X], // local.get, v128.xor, local.tee
  ...[0xfd, 0x0b, 0, offset], // v128.store
];

const step = (offset: number): readonly number[] => [
  ...masked(offset),
  ...[0x20, OR, 0x20, X, 0xfd, 0x50, 0x21, OR], // local.get twice, v128.or, local.set
];

/** Goes on by `size` bytes as long as there are so many. */
const whileThereAre = (size: number, steps: readonly number[]): readonly number[] => [
  ...[0x02, 0x40, 0x03, 0x40], // block, loop, without results
  ...[0x20, LENGTH, 0x20, AT, 0x41, ...signed(size), 0x6a, 0x49, 0x0d, 1], // local.get twice, i32.const, i32.add, i32.lt_u, br_if
  ...steps,
  ...[0x20, AT, 0x41, ...signed(size), 0x6a, 0x21, AT], // local.get, i32.const, i32.add, local.set
  ...[0x0c, 0, 0x0b, 0x0b], // br, end of the loop, end of the block
];

const FUNCTION = /* @__PURE__ */ sized([
  ...[2, 1, I32, 3, V128], // two runs of locals behind the parameters
  ...[0x20, KEY, 0xfd, 0x11, 0x21, KEYS], // local.get, i32x4.splat, local.set
  ...whileThereAre(64, [...step(0), ...step(16), ...step(32), ...step(48)]),
  ...whileThereAre(16, step(0)),
  ...masked(0),
  ...[0x20, OR, 0x20, X], // local.get twice
  ...[0x41, ...signed(WINDOW), 0x20, AT, 0x6a, 0x20, LENGTH, 0x6b, 0xfd, 0x00, 0, 0], // where in the window, and v128.load
  ...[0xfd, 0x4e, 0xfd, 0x50, 0xfd, 0x64], // v128.and, v128.or, i8x16.bitmask
  0x0b,
]);

const MODULE: readonly number[] = /* @__PURE__ */ [
  ...[0x00, ...ascii("asm"), 1, 0, 0, 0],
  ...[1, ...sized([1, 0x60, 2, I32, I32, 1, I32])], // types: one function of two i32, with an i32 as its result
  ...[3, ...sized([1, 0])], // functions: one, of type 0
  ...[5, ...sized([1, 1, 1, 1])], // memories: one of 64 KiB that does not grow
  ...[7, ...sized([2, ...sized(ascii("memory")), 2, 0, ...sized(ascii("mask")), 0, 0])], // exports
  ...[10, ...sized([1, ...FUNCTION])], // code
];

function ascii(text: string): readonly number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

/** `bytes` behind their number. */
function sized(bytes: readonly number[]): readonly number[] {
  return [...unsigned(bytes.length), ...bytes];
}

/** A number in LEB128. */
function unsigned(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >> 7)];
}

/** A number from 0 on in signed LEB128. */
function signed(value: number): readonly number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
