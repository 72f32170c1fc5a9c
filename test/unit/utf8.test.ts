import { describe, expect, it } from "vitest";
import { checkUtf8, codePointSeam, portableUtf8 } from "../../src/bytes/utf8.js";
import { bytes, fromHex, toHex } from "../support/wire.js";
import { INVALID, VALID } from "../../src/conformance/utf8.js";

function reference(data: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}

/** Checks `data` in two steps, cut at `cut`; returns the index of the first byte that cannot stand, or the length. */
function check(data: Uint8Array, cut: number): number | undefined {
  const first = checkUtf8(0, data, 0, cut);
  if (first < 0) return ~first;
  const second = checkUtf8(first, data, cut, data.length);
  if (second < 0) return ~second;
  return second === 0 ? undefined : data.length;
}

/** Where the index of a byte is looked for, by the plainest definition: the longest beginning that can be continued. */
function offending(data: Uint8Array): number | undefined {
  if (reference(data) !== undefined) return undefined;
  const endings = [
    bytes(),
    bytes(0x80),
    bytes(0xa0),
    bytes(0x90),
    bytes(0x80, 0x80),
    bytes(0xa0, 0x80),
  ].concat([0x80, 0x90, 0xa0].map((byte) => bytes(byte, 0x80, 0x80)));
  for (let end = 1; end <= data.length; end++) {
    const begin = data.subarray(0, end);
    if (!endings.some((ending) => reference(bytes(begin, ending)) !== undefined)) return end - 1;
  }
  return data.length;
}

describe("UTF-8 (RFC 3629)", () => {
  for (const [name, hex] of VALID) {
    it(`is: ${name}`, () => {
      const data = fromHex(hex);
      const text = reference(data);
      expect(text).toBeDefined();
      const framed = bytes(0xff, data, 0xff);
      expect(portableUtf8.decode(framed, 1, 1 + data.length)).toBe(text);
      for (let cut = 0; cut <= data.length; cut++) expect(check(data, cut)).toBeUndefined();
      expect(portableUtf8.byteLength(text ?? "")).toBe(data.length);
      const target = new Uint8Array(data.length + 2);
      expect(portableUtf8.encodeInto(text ?? "", target, 1)).toBe(1 + data.length);
      expect(toHex(target)).toBe(`00${hex}00`);
    });
  }

  for (const [name, hex, at] of INVALID) {
    for (const before of ["", "61", "e282ac", "f09f9880"]) {
      it(`is not: ${name}, at ${at}, behind ${before === "" ? "nothing" : before}`, () => {
        const data = fromHex(before + hex);
        expect(offending(data)).toBe(before.length / 2 + at);
        for (let cut = 0; cut <= data.length; cut++) expect(check(data, cut)).toBe(before.length / 2 + at);
        expect(portableUtf8.decode(data, 0, data.length)).toBeUndefined();
        // What stands around the range decides nothing.
        expect(portableUtf8.decode(bytes(data, 0x80, 0x80), 0, data.length)).toBeUndefined();
      });
    }
  }

  it("agrees with the platform on every two bytes, and on every third byte's edges", () => {
    const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf0, 0xff];
    let compared = 0;
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) {
        const two = bytes(first, second);
        const text = reference(two);
        if (portableUtf8.decode(two, 0, 2) !== text) expect.fail(toHex(two));
        if ((checkUtf8(0, two, 0, 2) === 0) !== (text !== undefined)) expect.fail(toHex(two));
        compared++;
      }
      if (first < 0xe0) continue;
      for (const second of edges) {
        for (const third of edges) {
          for (const rest of [[], [0x80], [0xbf], [0x7f], [0xc0]]) {
            const data = bytes(first, second, third, rest);
            const text = reference(data);
            if (portableUtf8.decode(data, 0, data.length) !== text) expect.fail(toHex(data));
            if ((checkUtf8(0, data, 0, data.length) === 0) !== (text !== undefined)) expect.fail(toHex(data));
            compared++;
          }
        }
      }
    }
    expect(compared).toBe(65536 + 32 * 13 * 13 * 5);
  });

  // Runs of one width are decoded several at a time.
  for (const [name, unit] of [
    ["two bytes", "d0b6"],
    ["three bytes", "e6b188"],
    ["three bytes, the lowest", "e0a080"],
    ["three bytes, below the surrogates", "ed9fbf"],
    ["three bytes, the highest", "efbfbf"],
    ["four bytes", "f09f9880"],
  ] as const) {
    it(`agrees with the platform on runs of ${name}, with any byte of them wrong, and cut anywhere`, () => {
      const edges = [
        0x00, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5,
      ];
      let right = 0;
      let wrong = 0;
      for (let count = 1; count <= 7; count++) {
        for (const [before, behind] of [
          ["", ""],
          ["61", "2e"],
          ["d0b6", "e6b188"],
          ["f09f9880", "d0b66161"],
          ["e6b188", "616161e6b188"],
          ["", "f09f9880d0b6"],
        ] as const) {
          const whole = fromHex(before + unit.repeat(count) + behind);
          for (let at = 0; at < whole.length; at++) {
            for (const edge of edges) {
              const data = whole.slice();
              data[at] = edge;
              for (const end of [data.length, at + 1]) {
                const text = reference(data.subarray(0, end));
                if (portableUtf8.decode(data, 0, end) !== text) expect.fail(toHex(data.subarray(0, end)));
                if (text === undefined) wrong++;
                else right++;
              }
            }
          }
        }
      }
      expect(right).toBeGreaterThan(100);
      expect(wrong).toBeGreaterThan(1000);
    });
  }

  it("encodes every code point as the platform does", () => {
    const target = new Uint8Array(4);
    const encoder = new TextEncoder();
    for (let point = 0; point <= 0x10ffff; point += point < 0x11000 ? 1 : 251) {
      const text = String.fromCodePoint(point);
      const length = portableUtf8.encodeInto(text, target, 0);
      const expected = encoder.encode(text);
      if (length !== expected.length || portableUtf8.byteLength(text) !== length) expect.fail(`${point}`);
      if (expected.some((byte, index) => byte !== target[index])) expect.fail(`${point}`);
    }
  });

  for (const [name, text] of [
    ["high, alone", "\ud83d"],
    ["low, alone", "\ude00"],
    ["high before ASCII", "\ud83da"],
    ["high before a pair", "\ud83d\ud83d\ude00"],
    ["low behind a pair", "\ud83d\ude00\ude00"],
    ["the wrong way round", "\ude00\ud83d"],
    ["high before U+E000", "\udbff\ue000"],
    ["high before U+D7FF", "\ud800\ud7ff"],
  ] as const) {
    it(`8.1: a lone surrogate is encoded as U+FFFD: ${name}`, () => {
      const expected = new TextEncoder().encode(text);
      const target = new Uint8Array(expected.length);
      expect(portableUtf8.byteLength(text)).toBe(expected.length);
      expect(portableUtf8.encodeInto(text, target, 0)).toBe(expected.length);
      expect(toHex(target)).toBe(toHex(expected));
    });
  }

  for (const unit of ["a", "é", "€", "😀"]) {
    for (const length of [4095, 4096, 4097, 8191, 8192, 8193, 16383, 16384, 16385, 20000]) {
      it(`decodes ${length} bytes and a few of ${unit}, whatever its parts begin with`, () => {
        for (let shift = 0; shift < 4; shift++) {
          const text = "x".repeat(shift) + unit.repeat(length / new TextEncoder().encode(unit).length);
          const data = bytes(text);
          if (portableUtf8.decode(data, 0, data.length) !== text) expect.fail(`shifted by ${shift}`);
          // The last byte is gone: a code point is cut.
          const cut = portableUtf8.decode(data, 0, data.length - 1);
          if (cut !== (unit === "a" ? text.slice(0, -1) : undefined)) expect.fail(`cut, shifted by ${shift}`);
        }
      });
    }
  }

  it("finds what is wrong at every place around the seams of a long text", () => {
    for (let at = 4080; at < 4112; at++) {
      for (const wrong of ["e282e2", "ff", "c3", "f09f98", "80", "eda080"]) {
        const data = bytes("a".repeat(at), fromHex(wrong), "a".repeat(5000));
        if (portableUtf8.decode(data, 0, data.length) !== undefined) expect.fail(`${wrong} at ${at}`);
      }
    }
  });
});

describe("codePointSeam", () => {
  for (const [hex, seam] of [
    ["", 0],
    ["61", 1],
    ["c3", 0],
    ["61c3", 1],
    ["c3a9", 2],
    ["e2", 0],
    ["61e2", 1],
    ["61e282", 1],
    ["61e282ac", 4],
    ["f0", 0],
    ["61f0", 1],
    ["61f09f", 1],
    ["61f09f98", 1],
    ["61f09f9880", 5],
    ["c3a9e282", 2],
    ["f09f9880f09f98", 4],
    // Not UTF-8: whatever it says, it is within the range.
    ["80", 1],
    ["808080", 3],
    ["80808080", 4],
  ] as const) {
    it(`of ${hex === "" ? "nothing" : hex} is ${seam}`, () => {
      const data = fromHex(hex);
      expect(codePointSeam(data, 0, data.length)).toBe(seam);
      // A lead byte before the range is not seen.
      expect(codePointSeam(bytes(0xf0, data, 0x80), 1, 1 + data.length)).toBe(1 + seam);
    });
  }
});
