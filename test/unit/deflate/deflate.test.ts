import { readFileSync } from "node:fs";
import { constants, createDeflateRaw, deflateRawSync, inflateRawSync } from "node:zlib";

import { describe, expect, it } from "vitest";

import type { Deflator } from "../../../src/deflate/codec.js";
import { portableDeflate } from "../../../src/deflate/portable.js";
import { BYTE_BY_BYTE, deflate, expectBytes, inflate, WHOLE } from "../../support/deflate.js";

const syncFlush = { finishFlush: constants.Z_SYNC_FLUSH };
const deflator = (windowBits = 15, level = 6): Deflator => portableDeflate.deflator(windowBits, level);
const text = (length: number): Buffer => {
  const all = ["README.md", "CONTRIBUTING.md", "docs/design.md", "CHANGELOG.md", "LICENSE"]
    .map((name) => readFileSync(new URL(`../../../${name}`, import.meta.url), "utf8"))
    .join("\n");
  return Buffer.from(all.repeat(Math.ceil(length / all.length))).subarray(0, length);
};

/** Bytes in which nothing repeats, the same each time. */
function noise(length: number): Buffer {
  let state = 0x2545f491;
  return Buffer.from(
    Array.from({ length }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state >>> 24;
    }),
  );
}

/** Records of a feed: names that repeat, numbers that do not. The same for the same `seed`. */
function json(length: number, seed: number): Buffer {
  const draw = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed >>> 8) % below;
  };
  const names = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"];
  const records: string[] = [];
  for (let size = 0; size < length; size += records[records.length - 1]?.length ?? 0) {
    records.push(
      JSON.stringify({
        id: draw(1e6),
        name: names[draw(8)],
        price: draw(1e6) / 100,
        tags: [names[draw(8)], names[draw(8)]],
        at: `2024-0${1 + draw(9)}-1${draw(9)}T0${draw(9)}:${10 + draw(50)}:${10 + draw(50)}Z`,
        active: draw(2) === 1,
      }),
    );
  }
  return Buffer.from(`[${records.join(",")}]`).subarray(0, length);
}

/** What zlib makes of the messages at level 6, in bytes, without the last four of each. */
async function zlibSize(messages: readonly Buffer[], takeover: boolean): Promise<number> {
  const tails = 4 * messages.length;
  if (!takeover) {
    return messages.reduce((size, message) => size + deflateRawSync(message, syncFlush).length, -tails);
  }
  const stream = createDeflateRaw({ flush: constants.Z_SYNC_FLUSH });
  let size = -tails;
  stream.on("data", (chunk: Buffer) => (size += chunk.length));
  for (const message of messages) await new Promise((resolve) => stream.write(message, resolve));
  await new Promise<void>((resolve) => stream.flush(resolve));
  stream.destroy();
  return size;
}

describe("is within a tenth of zlib's level 6", () => {
  const ROWS = [true, false].flatMap((takeover) =>
    [200, 2048, 65536].flatMap((size) =>
      [
        ["JSON", (i: number) => json(size, i)] as const,
        ["English", (i: number) => text(size + 211 * i).subarray(211 * i)] as const,
      ].map(([kind, make]) => ({ kind, make, size, takeover })),
    ),
  );
  it.each(ROWS)("$kind of $size bytes, context takeover: $takeover", async ({ make, size, takeover }) => {
    const messages = Array.from({ length: size > 10_000 ? 4 : 40 }, (_, i) => make(i));
    const codec = deflator();
    let total = 0;
    for (const message of messages) {
      if (!takeover) codec.reset();
      total += deflate(codec, message).length - 4;
    }
    expect(total).toBeLessThanOrEqual((await zlibSize(messages, takeover)) * 1.1);
  });
});

describe("the form of a block is the smallest one (RFC 1951 3.2.3)", () => {
  const most = noise(400_000);
  it.each([
    ["fixed codes for a few bytes", Buffer.from("Hello"), 1],
    ["codes of its own for a text", text(2000), 2],
    ["stored, where nothing repeats", most.subarray(0, 3000), 0],
  ])("%s", (_, message, type) => {
    const first = deflate(deflator(), message)[0] ?? NaN;
    expect(first & 7).toBe(type << 1); // and it is never a final one
  });

  it.each([8, 9, 12, 15])("noise grows by the heads of stored blocks only, %i bits", (windowBits) => {
    for (const size of [1, 10, 100, 5000, 65535, 65536, 400_000]) {
      const message = most.subarray(0, size);
      for (const steps of [WHOLE, { input: 700, output: 9000 }]) {
        const packed = deflate(deflator(windowBits), message, steps);
        // A block for each time that the buffer fills, and the empty one at the end.
        expect(packed.length - size).toBeLessThanOrEqual(6 * (2 + Math.ceil(size / 7800)));
        expectBytes(inflateRawSync(packed, syncFlush), message);
      }
    }
  });
});

it.each([8, 9, 10, 11, 12, 13, 14, 15])(
  "matches reach as far as the window and no further: %i bits",
  (windowBits) => {
    const size = 1 << windowBits;
    const sizes = [size - 1, size, size + 1].map((distance) => {
      const before = noise(distance);
      const [codec, reader] = [deflator(windowBits), portableDeflate.inflator(windowBits)];
      const packed = [before, before.subarray(0, 100)].map((message) => {
        const bytes = deflate(codec, message);
        expectBytes(inflate(reader, bytes.subarray(0, -4)), message);
        return bytes;
      });
      return packed[1]?.length ?? NaN;
    });
    expect(sizes.map((bytes) => bytes < 20)).toEqual([true, true, false]);
  },
);

describe("each message ends with an empty stored block (RFC 7692 7.2.1)", () => {
  it.each([
    ["an empty one (RFC 7692 7.2.3.6)", "", "00 00 00 ff ff"],
    ["the sample (RFC 7692 7.2.3.1)", "Hello", "f2 48 cd c9 c9 07 00 00 00 ff ff"],
  ])("%s, twice with a reset between", (_, message, hex) => {
    const codec = deflator();
    const expected = Buffer.from(hex.replaceAll(" ", ""), "hex");
    expect(deflate(codec, Buffer.from(message))).toEqual(expected);
    codec.reset();
    expect(deflate(codec, Buffer.from(message), BYTE_BY_BYTE)).toEqual(expected);
  });

  it("the sample again takes no more than the example (RFC 7692 7.2.3.2)", () => {
    const codec = deflator();
    const both = [deflate(codec, Buffer.from("Hello")), deflate(codec, Buffer.from("Hello"))];
    expect(both[1]?.length).toBeLessThanOrEqual(5 + 4);
    expectBytes(inflateRawSync(Buffer.concat(both), syncFlush), Buffer.from("HelloHello"));
  });

  it("nothing comes without a message, nor behind one", () => {
    const codec = deflator();
    const target = new Uint8Array(100);
    expect(codec.pull(target, 3, 100)).toBe(3);
    deflate(codec, Buffer.from("Hello"));
    expect(codec.pull(target, 3, 100)).toBe(3);
    codec.push(target, 0, 0, false);
    expect(codec.pull(target, 3, 100)).toBe(3);
  });
});

describe("the levels", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])("%i is read by zlib", (level) => {
    for (const message of [text(30_000), json(30_000, 7), Buffer.alloc(30_000)]) {
      expectBytes(inflateRawSync(deflate(deflator(15, level), message), syncFlush), message);
    }
  });

  it("a higher one is smaller", () => {
    const sizes = [1, 4, 6, 9].map((level) => deflate(deflator(15, level), json(60_000, 1)).length);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    expect(new Set(sizes).size).toBe(4);
  });
});

describe("what decides about blocks", () => {
  // How often values occur when each is as frequent as the two before it: as deep a tree as there is.
  const fibonacci = (count: number): Buffer => {
    const bytes: number[] = [];
    for (let value = 0, a = 1, b = 1; value < count; value++, [a, b] = [b, a + b]) {
      for (let i = 0; i < a; i++) bytes.push(value * 11);
    }
    // Mixed, so that nothing is worth a match.
    return Buffer.from(
      bytes
        .map((byte, i) => [byte, (i * 7919) % bytes.length] as const)
        .sort((x, y) => x[1] - y[1])
        .map(([byte]) => byte),
    );
  };
  it.each([
    ["weights whose tree is deeper than 15 (RFC 1951 3.2.7)", fibonacci(21)],
    [
      "every byte as often as every other",
      Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * i) >> 5)),
    ],
    ["a single byte", Buffer.alloc(100_000, 0x61)],
    ["runs of every length", Buffer.concat(Array.from({ length: 300 }, (_, i) => Buffer.alloc(i, i)))],
    ["more literals than a block takes", noise(20_000).map((byte) => byte & 0x7f)],
    [
      "a match that is near, and one that is 4096 away",
      Buffer.concat([Buffer.from("abc"), noise(5000), Buffer.from("abcx")]),
    ],
  ])("%s", (_, message) => {
    for (const windowBits of [8, 9, 15]) {
      const packed = deflate(deflator(windowBits), message);
      expectBytes(inflateRawSync(packed, syncFlush), message);
      expectBytes(inflate(portableDeflate.inflator(windowBits), packed.subarray(0, -4)), message);
    }
  });
});

describe("the memory that it holds", () => {
  interface Held {
    readonly buffer: Uint8Array;
    readonly latest: Uint16Array;
    readonly previous: Uint16Array;
  }
  const held = (codec: Deflator): number => {
    const { buffer, latest, previous } = codec as unknown as Held;
    return buffer.byteLength + latest.byteLength + previous.byteLength;
  };

  it.each([8, 9, 10, 11, 12, 13, 14, 15])("is bounded by the window: %i bits", (windowBits) => {
    const codec = deflator(windowBits);
    const size = 1 << windowBits;
    expect(held(codec)).toBe(0);
    deflate(codec, text(200));
    expect(held(codec)).toBeLessThanOrEqual(10 * 1024);
    deflate(codec, text(1800));
    expect(held(codec)).toBeLessThanOrEqual(20 * 1024);
    for (let i = 0; i < 5; i++) deflate(codec, text(100_000));
    expect(held(codec)).toBe(size + Math.max(size, 8192) + 4 * size);
    codec.release();
    codec.release();
    expect(held(codec)).toBe(0);
  });

  it("stays as it was at a reset, and from message to message", () => {
    const codec = deflator();
    const tables = (): Held => {
      const { buffer, latest, previous } = codec as unknown as Held;
      return { buffer, latest, previous };
    };
    deflate(codec, json(1000, 1));
    const before = tables();
    for (let i = 0; i < 50; i++) {
      codec.reset();
      deflate(codec, json(1000, i));
    }
    const after = tables();
    expect(after.buffer).toBe(before.buffer);
    expect(after.latest).toBe(before.latest);
    expect(after.previous).toBe(before.previous);
  });
});

it("after a reset in the middle of a message, nothing of it is left", () => {
  const codec = deflator();
  const whole = json(200_000, 3);
  const target = new Uint8Array(100_000);
  // Bits of a byte that was begun, bytes that were not pulled, input that was not looked at.
  for (let length = 100; length < whole.length; length += 7001) {
    for (const most of [10, 100_000]) {
      codec.push(whole, 0, length, length % 2 === 0);
      codec.pull(target, 0, most);
      codec.reset();
      expect(codec.pull(target, 0, most)).toBe(0);
      expectBytes(inflateRawSync(deflate(codec, whole.subarray(0, 500)), syncFlush), whole.subarray(0, 500));
      codec.reset();
    }
  }
});

it("messages that are written in turns do not mix", () => {
  const messages = [json(9000, 1), text(9000), Buffer.alloc(9000, 1)];
  const codecs = messages.map(() => deflator());
  const outputs = messages.map((): Uint8Array[] => []);
  for (let at = 0; at < 9000; at += 1000) {
    messages.forEach((message, index) => {
      const codec = codecs[index] as Deflator;
      codec.push(message, at, at + 1000, at === 8000);
      const target = new Uint8Array(9999);
      outputs[index]?.push(target.subarray(0, codec.pull(target, 0, target.length)));
    });
  }
  expect(outputs.map((output) => inflateRawSync(Buffer.concat(output), syncFlush))).toEqual(messages);
});

it("zlib reads all messages of a connection in one stream, whatever their sizes", () => {
  const codec = deflator(15, 6);
  const messages = Array.from({ length: 120 }, (_, i) => json((i * i * 37) % 9000, i));
  const packed = messages.map((message, i) =>
    deflate(codec, message, i % 3 === 0 ? { input: 700, output: 99 } : WHOLE),
  );
  expectBytes(inflateRawSync(Buffer.concat(packed), syncFlush), Buffer.concat(messages));
});
