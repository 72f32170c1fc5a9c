import * as nodeBuffer from "node:buffer";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { portableUtf8 } from "../../src/bytes/utf8.js";
import type { Utf8 } from "../../src/platform.js";
import { holds } from "../support/property.js";
import { INVALID, VALID } from "../../src/conformance/utf8.js";
import { bytes, fromHex, toHex } from "../support/wire.js";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

function reference(data: Uint8Array): string | undefined {
  try {
    return strict.decode(data);
  } catch {
    return undefined;
  }
}

/** The coding as it is chosen where `node:process` tells of these versions. */
async function codingOn(versions: Record<string, string>): Promise<Utf8> {
  vi.resetModules();
  vi.doMock("node:process", () => ({ versions }));
  const { nodeUtf8 } = await import("../../src/adapters/node-utf8.js");
  return nodeUtf8;
}

afterEach(() => {
  vi.doUnmock("node:process");
  vi.doUnmock("node:buffer");
  vi.resetModules();
});

const SCRIPTS = {
  ASCII: "The quick brown fox. ",
  Chinese: "天地玄黄宇宙洪荒日月盈昃",
  emoji: "Hello there 😀 and 👩‍🚀. ",
  "Latin-1": "Été où ça; forêt. ",
  Cyrillic: "Съешь же ещё булок. ",
  "marks and replacements": "\ufeffa\ufffd\ufeff€ ",
};

describe.each([
  ["Node 20", await codingOn({ node: "20.19.0" })],
  ["Node 26 and Bun", await codingOn({ node: "26.3.0" })],
  ["Deno", await codingOn({ node: "26.3.0", deno: "2.9.6" })],
])("UTF-8 as chosen for %s", (_, utf8) => {
  const { decode, isValid } = {
    decode: utf8.decode.bind(utf8),
    isValid: utf8.isValid?.bind(utf8) ?? expect.fail("there is no check"),
  };

  it("is not the portable one", () => {
    expect(utf8).not.toEqual(portableUtf8);
  });

  /** Decodes and checks `data` between bytes that are not its own. */
  function expectSame(data: Uint8Array, name: string): void {
    for (const before of [0, 1, 2, 3]) {
      const framed = bytes(new Uint8Array(before).fill(0xe2), data, 0x82, 0xac);
      const text = reference(data);
      if (decode(framed, before, before + data.length) !== text) expect.fail(`decode: ${name}`);
      if (isValid(framed, before, before + data.length) !== (text !== undefined)) {
        expect.fail(`isValid: ${name}`);
      }
    }
  }

  it.each(VALID)("is: %s", (_name, hex) => {
    for (const around of [
      "",
      "a".repeat(20),
      "a".repeat(500),
      "天".repeat(20),
      "天".repeat(400),
      "😀".repeat(1100),
    ]) {
      expectSame(bytes(around, fromHex(hex)), `behind ${around.length}`);
      expectSame(bytes(fromHex(hex), around), `before ${around.length}`);
    }
    expect(decode(fromHex(hex), 0, hex.length / 2)).toBe(reference(fromHex(hex)));
  });

  it.each(INVALID)("is not: %s", (_name, hex) => {
    for (const around of [
      "",
      "a".repeat(20),
      "a".repeat(500),
      "天".repeat(20),
      "天".repeat(400),
      "é\ufffd".repeat(900),
    ]) {
      const behind = bytes(around, fromHex(hex));
      expect(decode(behind, 0, behind.length)).toBeUndefined();
      expectSame(behind, `behind ${around.length}`);
      expectSame(bytes(around, fromHex(hex), around), `amid ${around.length}`);
    }
  });

  describe.each(Object.entries(SCRIPTS))("%s", (_, sample) => {
    const long = encoder.encode(sample.repeat(40));

    it("decodes every size to 300, cut wherever", () => {
      for (let size = 0; size <= 300; size++) {
        expectSame(long.subarray(0, size), `${size}`);
        expectSame(long.subarray(size % 7, size), `${size % 7} to ${size}`);
      }
    });

    it("finds a wrong byte at every place", () => {
      for (const size of [5, 16, 17, 33, 64, 100, 300]) {
        for (let at = 0; at < size; at++) {
          const wrong = long.slice(0, size);
          wrong[at] = 0xff;
          expectSame(wrong, `0xff at ${at} of ${size}`);
          wrong[at] = 0x80;
          expectSame(wrong, `0x80 at ${at} of ${size}`);
        }
      }
    });

    it.each([1023, 1024, 4096, 32767, 32768, 32769, 70_000])("decodes and encodes some %i bytes", (size) => {
      const text = sample.repeat(Math.ceil(size / sample.length)).slice(0, size);
      const data = encoder.encode(text);
      const whole = reference(data) ?? "";
      expect(decode(data, 0, data.length) === whole).toBe(true);
      for (const cut of [1, 2, 3]) {
        const end = data.length - cut;
        expect(decode(data, 0, end) === reference(data.subarray(0, end))).toBe(true);
      }
      const target = new Uint8Array(data.length + 9);
      expect(utf8.encodeInto(whole, target, 5)).toBe(5 + data.length);
      expect(toHex(target) === toHex(bytes(new Uint8Array(5), data, new Uint8Array(4)))).toBe(true);
    });

    it("encodes every length to 300, lone surrogates as U+FFFD, and touches nothing else", () => {
      const source = sample.repeat(20);
      for (let length = 0; length <= 300; length++) {
        const begin = source.slice(length % 5, length);
        for (const text of [begin, `${begin}\ud83d`, `\ude00${begin}`, `${begin}\ud83d${begin}`]) {
          const expected = encoder.encode(text);
          const offset = length % 4;
          const target = new Uint8Array(offset + text.length * 3 + 4).fill(0xaa);
          if (utf8.encodeInto(text, target, offset) !== offset + expected.length)
            expect.fail(`end, ${length}`);
          if (utf8.byteLength(text) !== expected.length) expect.fail(`byteLength, ${length}`);
          if (toHex(target.subarray(offset, offset + expected.length)) !== toHex(expected)) {
            expect.fail(`bytes, ${length}`);
          }
          const around = [...target.subarray(0, offset), ...target.subarray(offset + expected.length)];
          if (around.some((byte) => byte !== 0xaa)) expect.fail(`around, ${length}`);
        }
      }
    });
  });

  holds(
    "decodes what the platform's strict decoder does, whatever the bytes",
    500,
    fc.property(
      fc.array(
        fc.oneof(
          fc.string({ unit: "binary", maxLength: 60 }).map((text) => encoder.encode(text)),
          fc.constantFrom(...Object.values(SCRIPTS)).map((text) => encoder.encode(text.repeat(9))),
          fc.uint8Array({ maxLength: 3 }),
        ),
        { maxLength: 12 },
      ),
      (parts) => {
        const data = bytes(...parts);
        expect(decode(data, 0, data.length)).toBe(reference(data));
        expect(isValid(data, 0, data.length)).toBe(reference(data) !== undefined);
      },
    ),
  );
});

describe("where the runtime's methods are not as they were measured, the portable coding stands in", () => {
  class Otherwise {
    utf8Slice(): string {
      return "without its U+FEFF";
    }
  }
  it.each([
    ["they are missing", { prototype: {} }],
    ["they do something else", Otherwise],
  ])("%s", async (_, Buffer) => {
    vi.resetModules();
    vi.doMock("node:buffer", () => ({ ...nodeBuffer, Buffer }));
    const fresh = await import("../../src/adapters/node-utf8.js");
    const { portableUtf8: portable } = await import("../../src/bytes/utf8.js");
    expect(fresh.nodeUtf8).toBe(portable);
  });
});
