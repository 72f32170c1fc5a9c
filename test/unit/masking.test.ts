import { describe, expect, it } from "vitest";
import { mask, rotateKey } from "../../src/frame/masking.js";

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

describe("masking (RFC 6455 5.3)", () => {
  for (const key of [0x3d21fa37, 0x80000001 | 0, -1, 0, 0x000000ff, 0xff000000 | 0, 0xdeadbeef]) {
    it(`is the byte loop, for all lengths to 300 and all alignments, key ${(key >>> 0).toString(16)}`, () => {
      for (let length = 0; length <= 300; length++) {
        for (let offset = 0; offset < 8; offset++) {
          // What stands before and behind the range stays.
          const start = length % 8;
          const actual = viewOf(start + length + 3, offset);
          const expected = viewOf(start + length + 3, offset);
          mask(actual, start, start + length, key);
          byByte(expected, start, start + length, key);
          if (!same(actual, expected)) expect.fail(`length ${length}, offset ${offset}, start ${start}`);
        }
      }
    });
  }

  it("is the byte loop, for every start and alignment around the words", () => {
    for (const length of [63, 64, 65, 66, 67, 95, 96, 97, 128, 1000, 5001]) {
      for (let offset = 0; offset < 8; offset++) {
        for (let start = 0; start < 8; start++) {
          const actual = viewOf(start + length + 5, offset);
          const expected = viewOf(start + length + 5, offset);
          mask(actual, start, start + length, 0x04030201);
          byByte(expected, start, start + length, 0x04030201);
          if (!same(actual, expected)) expect.fail(`length ${length}, offset ${offset}, start ${start}`);
        }
      }
    }
  });

  it("twice is the identity", () => {
    const data = viewOf(1000, 3);
    mask(data, 0, 1000, 0x12345678);
    mask(data, 0, 1000, 0x12345678);
    expect(same(data, viewOf(1000, 3))).toBe(true);
  });

  it("goes on behind any number of bytes with the key rotated", () => {
    for (const total of [10, 200, 333]) {
      for (let cut = 0; cut <= total; cut++) {
        const actual = viewOf(total, 1);
        const expected = viewOf(total, 1);
        mask(actual, 0, cut, 0x89abcdef | 0);
        mask(actual, cut, total, rotateKey(0x89abcdef | 0, cut));
        byByte(expected, 0, total, 0x89abcdef | 0);
        if (!same(actual, expected)) expect.fail(`${total} cut at ${cut}`);
      }
    }
  });
});
