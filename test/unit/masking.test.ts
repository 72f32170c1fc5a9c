import { Worker } from "node:worker_threads";

import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { longMask, longMaskInto } from "../../src/adapters/longs.js";
import { simdMask, simdMaskInto } from "../../src/adapters/simd.js";
import { mask, maskInto, rotateKey } from "../../src/frame/masking.js";
import { holds } from "../support/property.js";

/** RFC 6455 5.3, literally. */
function byByte(data: Uint8Array, start: number, end: number, key: number): void {
  const octets = [key & 0xff, (key >>> 8) & 0xff, (key >>> 16) & 0xff, key >>> 24];
  for (let i = start; i < end; i++) data[i] = (data[i] ?? 0) ^ (octets[(i - start) % 4] ?? 0);
}

/** `length` bytes that are a view which begins `offset` bytes into its buffer. */
function viewOf(length: number, offset: number): Uint8Array {
  const view = new Uint8Array(new ArrayBuffer(offset + length + 16), offset, length);
  for (let i = 0; i < length; i++) view[i] = (i * 37 + 11) & 0xff;
  return view;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** The sizes around which the kernels change their ways. */
const EDGES = [12, 64, 448, 1024, 16384, 32768, 65536].flatMap((size) => [size - 1, size, size + 1]);

const KEYS = [0x3d21fa37, 0x80000001 | 0, -1, 0, 0x000000ff, 0xff000000 | 0, 0xdeadbeef];

describe.each([
  ["the portable kernel", mask],
  ["the SIMD kernel", simdMask],
  ["the kernel for V8", longMask],
])("masking (RFC 6455 5.3) by %s", (_, kernel) => {
  it.each(KEYS)("is the byte loop, for all lengths to 300 and all alignments, key %i", (key) => {
    for (let length = 0; length <= 300; length++) {
      for (let offset = 0; offset < 8; offset++) {
        // What stands before and behind the range stays.
        const start = length % 8;
        const actual = viewOf(start + length + 3, offset);
        const expected = viewOf(start + length + 3, offset);
        kernel(actual, start, start + length, key);
        byByte(expected, start, start + length, key);
        if (!same(actual, expected)) expect.fail(`length ${length}, offset ${offset}, start ${start}`);
      }
    }
  });

  it("is the byte loop, for every start and alignment around the edges", () => {
    for (const length of [...EDGES, 63, 64, 65, 66, 67, 95, 96, 97, 1000, 5001, 40003]) {
      for (let offset = 0; offset < 4; offset++) {
        for (let start = 0; start < 4; start++) {
          const actual = viewOf(start + length + 5, offset);
          const expected = viewOf(start + length + 5, offset);
          kernel(actual, start, start + length, 0x04030201);
          byByte(expected, start, start + length, 0x04030201);
          if (!same(actual, expected)) expect.fail(`length ${length}, offset ${offset}, start ${start}`);
        }
      }
    }
  });

  it.each([65536, 131072, 131073])("is the byte loop, frame after frame of an array of %i bytes", (size) => {
    for (let offset = 0; offset < 4; offset++) {
      const actual = viewOf(size, offset);
      const expected = viewOf(size, offset);
      let start = 0;
      for (let length = 0; start + length <= size; length = (length * 7 + 5) % 1500) {
        kernel(actual, start, start + length, 0x89abcdef | 0);
        byByte(expected, start, start + length, 0x89abcdef | 0);
        start += length + 6;
      }
      // The last bytes are no whole word.
      kernel(actual, size - 21, size, 0x01020304);
      byByte(expected, size - 21, size, 0x01020304);
      expect(same(actual, expected)).toBe(true);
    }
  });

  it("is the byte loop, for two arrays in turn", () => {
    const actual = [viewOf(5000, 1), viewOf(5000, 2)] as const;
    const expected = [viewOf(5000, 1), viewOf(5000, 2)] as const;
    for (let start = 0; start + 200 <= 5000; start += 203) {
      for (const which of [0, 1, 1, 0] as const) {
        kernel(actual[which], start, start + 20 + (start % 180), 0x13579bdf);
        byByte(expected[which], start, start + 20 + (start % 180), 0x13579bdf);
      }
    }
    expect(same(actual[0], expected[0]) && same(actual[1], expected[1])).toBe(true);
  });

  it("reaches what stands behind the first 2 GiB of a buffer", () => {
    const buffer = new ArrayBuffer(2 ** 31 + 4096); // of which only the last page is touched
    for (const length of [20, 100, 2000]) {
      const view = new Uint8Array(buffer, 2 ** 31 + 3, length);
      const expected = view.slice();
      kernel(view, 0, length, 0x0a0b0c0d);
      byByte(expected, 0, length, 0x0a0b0c0d);
      expect(same(view, expected)).toBe(true);
    }
  });

  it("follows a buffer that is resized", () => {
    // Not in the compiler's library yet.
    const buffer = Reflect.construct(ArrayBuffer, [64, { maxByteLength: 512 }]) as ArrayBuffer & {
      resize(length: number): void;
    };
    const view = new Uint8Array(buffer);
    for (const size of [64, 512, 100, 300, 40, 24, 60]) {
      buffer.resize(size);
      const expected = view.slice();
      for (let round = 0; round < 3; round++) {
        kernel(view, 1, size, 0x0a0b0c0d);
        byByte(expected, 1, size, 0x0a0b0c0d);
      }
      expect(same(view, expected)).toBe(true);
    }
  });

  it("tells ASCII from what is not, wherever the one byte stands that is none", () => {
    for (const length of [
      0, 1, 5, 11, 12, 13, 31, 64, 100, 447, 448, 449, 470, 512, 1000, 16384, 16391, 33000,
    ]) {
      for (const offset of [0, 1, 2, 3]) {
        for (const wrong of [
          -1,
          0,
          1,
          length >> 1,
          length - 17,
          length - 2,
          length - 1,
          length,
          length + 1,
        ]) {
          const start = 3;
          const data = new Uint8Array(new ArrayBuffer(offset + start + length + 2), offset);
          for (let i = 0; i < length; i++) data[start + i] = (i * 7) & 0x7f;
          if (start + wrong >= 0) data[start + wrong] = 0x80;
          const key = 0xf0e1d2c3 | 0;
          byByte(data, start, start + length, key);
          const inside = wrong >= 0 && wrong < length;
          for (let again = 0; again < 2; again++) {
            if (kernel(data, start, start + length, key, true) !== !inside) {
              expect.fail(`length ${length}, offset ${offset}, at ${wrong}`);
            }
            byByte(data, start, start + length, key);
          }
        }
      }
    }
  });

  it("writes nothing beside its range, where another thread may write at the same time", async () => {
    const length = 101;
    const start = 6;
    const shared = new SharedArrayBuffer(256);
    const data = new Uint8Array(shared, 1, 200);
    const neighbours = [start - 1, start + length];
    const over = new Int32Array(shared, 252);
    const worker = new Worker(
      `const { workerData: { data, neighbours, over, times } } = require("node:worker_threads");
       for (let i = 0; i < times; i++) for (const at of neighbours) data[at]++;
       Atomics.store(over, 0, 1);`,
      { eval: true, workerData: { data, neighbours, over, times: 3_000_000 } },
    );
    const exit = new Promise((resolve) => worker.once("exit", resolve));
    while (Atomics.load(over, 0) === 0) {
      for (let i = 0; i < 1000; i++) kernel(data, start, start + length, 0x04030201);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await exit;
    expect(neighbours.map((at) => data[at])).toEqual([3_000_000 & 0xff, 3_000_000 & 0xff]);
  });

  it("twice is the identity", () => {
    const data = viewOf(1000, 3);
    kernel(data, 0, 1000, 0x12345678);
    kernel(data, 0, 1000, 0x12345678);
    expect(same(data, viewOf(1000, 3))).toBe(true);
  });

  it("goes on behind any number of bytes with the key rotated", () => {
    for (const total of [10, 200, 333, 1500]) {
      for (let cut = 0; cut <= total; cut++) {
        const actual = viewOf(total, 1);
        const expected = viewOf(total, 1);
        kernel(actual, 0, cut, 0x89abcdef | 0);
        kernel(actual, cut, total, rotateKey(0x89abcdef | 0, cut));
        byByte(expected, 0, total, 0x89abcdef | 0);
        if (!same(actual, expected)) expect.fail(`${total} cut at ${cut}`);
      }
    }
  });

  holds(
    "is the byte loop, wherever in large arrays",
    200,
    fc.property(fc.nat(70_000), fc.nat(7), fc.nat(40), fc.integer(), (length, offset, start, key) => {
      const actual = viewOf(start + length + 9, offset);
      const expected = viewOf(start + length + 9, offset);
      kernel(actual, start, start + length, key);
      byByte(expected, start, start + length, key);
      expect(same(actual, expected)).toBe(true);
    }),
  );
});

describe.each([
  ["the portable kernel", maskInto],
  ["the SIMD kernel", simdMaskInto],
  ["the kernel for V8", longMaskInto],
])("masking from one array into another by %s", (_, kernel) => {
  it.each(KEYS)("is a copy and the byte loop, and leaves the source and what is around, key %i", (key) => {
    const lengths = Array.from({ length: 301 }, (_, length) => length).concat(EDGES, 40003);
    for (const length of lengths) {
      for (let offset = 0; offset < 4; offset++) {
        const source = viewOf(length, (length + offset) % 5);
        const actual = viewOf(offset + length + 70, 1);
        const expected = viewOf(offset + length + 70, 1);
        expected.set(source, offset);
        byByte(expected, offset, offset + length, key);
        kernel(source, actual, offset, key);
        if (!same(actual, expected)) expect.fail(`length ${length}, offset ${offset}`);
        if (!same(source, viewOf(length, 0))) expect.fail(`source, length ${length}`);
      }
    }
  });
});

describe("without WebAssembly the portable kernel stands in", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  function forbid(): never {
    throw new Error("code generation is disallowed");
  }
  it.each([
    ["there is none", undefined],
    ["compiling is forbidden", { Module: forbid, Instance: forbid }],
    ["modules are not what they should be", { Module: Object, Instance: Object }],
  ])("where %s", async (_, platform) => {
    vi.stubGlobal("WebAssembly", platform);
    vi.resetModules();
    const fresh = await import("../../src/adapters/simd.js");
    for (const length of [10, 500, 40003]) {
      const actual = viewOf(length, 1);
      const expected = viewOf(length, 1);
      byByte(expected, 0, length, 0x01020304);
      fresh.simdMask(actual, 0, length, 0x01020304);
      expect(same(actual, expected)).toBe(true);
      const target = new Uint8Array(length);
      fresh.simdMaskInto(viewOf(length, 1), target, 0, 0x01020304);
      expect(same(target, expected)).toBe(true);
    }
  });

  it("and with it, it is compiled once, when it is first needed", async () => {
    interface Platform {
      readonly Module: new (bytes: Uint8Array) => object;
    }
    const { WebAssembly: platform } = globalThis as unknown as { readonly WebAssembly: Platform };
    let compiled = 0;
    class Module extends platform.Module {
      constructor(bytes: Uint8Array) {
        super(bytes);
        compiled++;
      }
    }
    vi.stubGlobal("WebAssembly", Object.create(platform, { Module: { value: Module } }));
    vi.resetModules();
    const fresh = await import("../../src/adapters/simd.js");
    fresh.simdMask(viewOf(100, 0), 0, 100, 1);
    expect(compiled).toBe(0);
    fresh.simdMask(viewOf(1000, 0), 0, 1000, 1);
    fresh.simdMaskInto(viewOf(1000, 0), new Uint8Array(1000), 0, 1);
    expect(compiled).toBe(1);
  });
});
