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
const SIMD_FROM = 640;

/** What is copied at once: both copies of it stay in the processor's nearest cache. */
const BLOCK_SIZE = 16384;

interface Kernel {
  readonly memory: Uint8Array;
  /** The first `BLOCK_SIZE` bytes of it. */
  readonly block: Uint8Array;
  /** The beginning of it that was copied out last: frames of one length make no views. */
  last: Uint8Array;
  /** XORs the memory's first `length` bytes, rounded up to whole steps. */
  readonly run: (length: number, key: number) => void;
}

/** Built when it is first needed; "none" where the platform cannot, or may not, build it. */
let kernel: Kernel | "none" | undefined;

/** A masking kernel on WebAssembly SIMD, and the portable one for small payloads and where there is no such thing. */
export const simdMask: Mask = (bytes, start, end, key) => {
  if (end - start < SIMD_FROM || (kernel ??= build()) === "none") mask(bytes, start, end, key);
  else maskBlocks(kernel, bytes, start, end, bytes, start, key);
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
): void {
  const { memory, block, run } = kernel;
  for (; end - start >= BLOCK_SIZE; start += BLOCK_SIZE, offset += BLOCK_SIZE) {
    block.set(source.subarray(start, start + BLOCK_SIZE));
    run(BLOCK_SIZE, key);
    target.set(block, offset);
  }
  const rest = end - start;
  if (rest === 0) return;
  memory.set(rest === source.length ? source : source.subarray(start, end));
  run(rest, key);
  if (kernel.last.length !== rest) kernel.last = memory.subarray(0, rest);
  target.set(kernel.last, offset);
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
    const block = bytes.subarray(0, BLOCK_SIZE);
    return { memory: bytes, block, last: block, run };
  } catch {
    return "none"; // no SIMD, no room, or a policy that forbids compiling: a browser page's, a worker host's
  }
}

// The module, as WebAssembly's binary format has it (https://webassembly.github.io/spec/core/binary/):
//
//   (memory (export "memory") 1 1)
//   (func (export "mask") (param $length i32) (param $key i32) (local $at i32) (local $keys v128)
//     (local.set $keys (i32x4.splat (local.get $key)))
//     (loop
//       (v128.store (local.get $at) (v128.xor (v128.load (local.get $at)) (local.get $keys)))   four times, 16 bytes apart
//       (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (local.get $length)))))

const I32 = 0x7f;
const V128 = 0x7b;
const [LENGTH, KEY, AT, KEYS] = [0, 1, 2, 3];

/** XORs the 16 bytes at `AT + offset`. */
const step = (offset: number): readonly number[] => [
  ...[0x20, AT], // local.get: where to store
  ...[0x20, AT, 0xfd, 0x00, 0, offset], // local.get, v128.load, aligned to 2^0
  ...[0x20, KEYS, 0xfd, 0x51], // local.get, v128.xor
  ...[0xfd, 0x0b, 0, offset], // v128.store
];

const FUNCTION = /* @__PURE__ */ sized([
  ...[2, 1, I32, 1, V128], // two runs of locals behind the parameters
  ...[0x20, KEY, 0xfd, 0x11, 0x21, KEYS], // local.get, i32x4.splat, local.set
  ...[0x03, 0x40], // loop, without a result
  ...step(0),
  ...step(16),
  ...step(32),
  ...step(48),
  ...[0x20, AT, 0x41, 0xc0, 0x00, 0x6a, 0x22, AT], // local.get, i32.const 64, i32.add, local.tee
  ...[0x20, LENGTH, 0x49, 0x0d, 0], // local.get, i32.lt_u, br_if
  ...[0x0b, 0x0b], // end of the loop, end of the function
]);

const MODULE: readonly number[] = /* @__PURE__ */ [
  ...[0x00, ...ascii("asm"), 1, 0, 0, 0],
  ...[1, ...sized([1, 0x60, 2, I32, I32, 0])], // types: one function of two i32, without a result
  ...[3, ...sized([1, 0])], // functions: one, of type 0
  ...[5, ...sized([1, 1, 1, 1])], // memories: one of 64 KiB that does not grow
  ...[7, ...sized([2, ...sized(ascii("memory")), 2, 0, ...sized(ascii("mask")), 0, 0])], // exports
  ...[10, ...sized([1, ...FUNCTION])], // code
];

function ascii(text: string): readonly number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

/** `bytes` behind their number, in LEB128; there are fewer than 2^14. */
function sized(bytes: readonly number[]): readonly number[] {
  const { length } = bytes;
  return length < 0x80 ? [length, ...bytes] : [(length & 0x7f) | 0x80, length >> 7, ...bytes];
}
