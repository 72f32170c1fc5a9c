import { describe, expect, it } from "vitest";
import { Output } from "../../src/bytes/output.js";
import { FrameWriter, portableUtf8 } from "../../src/index.js";
import { webPlatform } from "../../src/adapters/engine.js";
import { nodeUtf8 } from "../../src/adapters/node-utf8.js";
import { headerSize, writeHeader } from "../../src/frame/header.js";
import { repeatable } from "../support/opened.js";
import { bytes, concat, frame, parseFrames, toHex } from "../support/wire.js";

const LENGTHS = [
  0, 1, 2, 124, 125, 126, 127, 128, 300, 4095, 4096, 4097, 8177, 8178, 8179, 16384, 65534, 65535,
];
const LONG = [65536, 65537, 200_000];

const CODINGS = [
  ["portable coding", portableUtf8],
  ["Web's coding", webPlatform.utf8],
  ["Node's coding", nodeUtf8],
] as const;

/** What the code units are by which a text's bytes are guessed, and what those are that are not looked at. */
const PAIRS = ["aa", "aé", "a€", "éa", "é€", "€a", "\ud83d\ude00"].map((pair) => [
  pair.charAt(0),
  pair.charAt(1),
]);

function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
}

for (const masked of [false, true]) {
  const make = (): FrameWriter => new FrameWriter(masked ? { random: repeatable() } : {});

  describe(`FrameWriter, ${masked ? "a client's: masked" : "a server's: not masked"}`, () => {
    // How much room a long text gets is guessed by a few of its code units, which may tell of others than the rest.
    for (const [coding, utf8] of CODINGS) {
      it(`long texts, however well their bytes are guessed, by the ${coding}`, () => {
        const writer = new FrameWriter({ utf8, ...(masked ? { random: repeatable() } : {}) });
        let turn = 0;
        for (const length of [2049, 2050, 9000, 16_001, 21_800, 58_300, 58_350, 65_400, 65_536, 100_001]) {
          for (const [seen, unseen] of PAIRS) {
            for (const every of [1, 3, 20, length]) {
              const step = length >>> 3;
              const units = Array.from({ length }, (_, i) =>
                i % step !== 0 && i % every === every - 1 ? unseen : seen,
              );
              for (const end of ["", "€", "😀", "\ud83d"]) {
                const text = units.join("").slice(0, length - end.length) + end;
                const expected = bytes(text);
                const size = headerSize(expected.length, masked) + expected.length;
                // Behind another frame and without one, in memory that was used before and in memory that was not.
                const others = turn % 3 === 0 ? 0 : 3 + (turn % 7) * 1000;
                if (others > 0) writer.writeCopy(0x82, patterned(others));
                const before = writer.output.size;
                writer.writeText(0x81, text);
                if (writer.output.size - before !== size)
                  expect.fail(`size of ${length}: ${seen}, ${unseen}, ${every}`);
                const frames = parseFrames(concat(writer.take() ?? []));
                if (Buffer.compare(frames.at(-1)?.payload ?? bytes(), expected) !== 0)
                  expect.fail(`bytes of ${length}: ${seen}, ${unseen}, ${every}`);
                if (others > 0 && Buffer.compare(frames[0]?.payload ?? bytes(), patterned(others)) !== 0)
                  expect.fail(`what stands before ${length}: ${seen}, ${unseen}, ${every}`);
                if (turn++ % 2 === 0) writer.output.written();
              }
            }
          }
        }
      });
    }

    for (const length of [...LENGTHS, ...LONG]) {
      it(`5.2: ${length} bytes in the shortest form`, () => {
        const writer = make();
        const payload = patterned(length);
        const untouched = payload.slice();
        writer.writeBytes(0x82, payload);
        expect(writer.output.size).toBe(headerSize(length, masked) + length);
        const chunks = writer.take() ?? [];
        const wire = concat(chunks);
        expect(wire.length).toBe(headerSize(length, masked) + length);
        const [written, ...more] = parseFrames(wire);
        expect(more).toEqual([]);
        expect(written).toMatchObject({ fin: true, rsv: 0, opcode: 2, masked });
        expect(Buffer.compare(written?.payload ?? bytes(), payload)).toBe(0);
        // 5.3: the caller's bytes are never masked in place.
        expect(Buffer.compare(payload, untouched)).toBe(0);
        expect(writer.output.size).toBe(0);
        expect(writer.take()).toBeUndefined();
      });
    }

    for (const [name, unit] of [
      ["one byte each", "a"],
      ["two bytes each", "é"],
      ["three bytes each", "€"],
      ["four bytes a pair", "😀"],
      ["all at the end", undefined],
    ] as const) {
      it(`texts around every boundary of lengths, ${name}`, () => {
        const writer = make();
        const lengths = [
          ...Array.from({ length: 30 }, (_, length) => length),
          ...[41, 42, 62, 63, 120, 124, 125, 126, 127, 2047, 2048, 2049, 4095, 4096, 16383, 16384],
        ];
        for (const length of [...lengths, 21845, 21846, 32767, 32768, 65532, 65534, 65535, 65536, 65537]) {
          for (const ascii of [0, 1, 2, 3]) {
            const text =
              unit === undefined
                ? "a".repeat(Math.max(0, length - ascii)) + "€".repeat(ascii)
                : "a".repeat(ascii) + unit.repeat(Math.ceil(length / bytes(unit).length));
            const expected = bytes(text);
            writer.writeText(0x81, text);
            const size = headerSize(expected.length, masked) + expected.length;
            if (writer.output.size !== size) expect.fail(`size, ${length} and ${ascii}`);
            const [written] = parseFrames(concat(writer.take() ?? []));
            if (Buffer.compare(written?.payload ?? bytes(), expected) !== 0)
              expect.fail(`${length}, ${ascii}`);
            if (written?.opcode !== 1 || written.masked !== masked)
              expect.fail(`header, ${length}, ${ascii}`);
          }
        }
      });
    }

    it("8.1: lone surrogates go as U+FFFD, in short and in long texts", () => {
      const writer = make();
      for (const around of ["", "a", "a".repeat(3000)]) {
        const text = `${around}\ud83d${around}\ude00${around}\ud83d\ude00${around}\ud83d`;
        writer.writeText(0x81, text);
        const [written] = parseFrames(concat(writer.take() ?? []));
        expect(Buffer.compare(written?.payload ?? bytes(), bytes(text))).toBe(0);
        expect(Buffer.from(written?.payload ?? bytes()).includes("\ufffd")).toBe(true);
      }
    });

    it("takes any first byte: fragments, reserved bits, control frames", () => {
      const writer = make();
      for (const first of [0x01, 0x00, 0x80, 0xc1, 0x88, 0x89, 0x8a]) writer.writeBytes(first, bytes("x"));
      expect(
        parseFrames(concat(writer.take() ?? [])).map(({ fin, rsv, opcode }) => [fin, rsv, opcode]),
      ).toEqual([
        [false, 0, 1],
        [false, 0, 0],
        [true, 0, 0],
        [true, 4, 1],
        [true, 0, 8],
        [true, 0, 9],
        [true, 0, 10],
      ]);
    });

    it("what was taken is never rewritten, whatever many writers write after it", () => {
      const writers = [make(), make(), make()];
      const taken: { readonly chunks: readonly Uint8Array[]; readonly copy: string }[] = [];
      for (let round = 0; round < 400; round++) {
        for (const [index, writer] of writers.entries()) {
          writer.writeBytes(0x82, patterned((round * 31 + index * 7) % 300));
          if (round % (index + 2) === 0) writer.writeText(0x81, "é".repeat((round * 17) % 400));
          if (round % 50 === index) writer.writeBytes(0x82, patterned(9000));
          if (round % (index + 1) !== 0) continue;
          const chunks = writer.take() ?? [];
          taken.push({ chunks, copy: toHex(concat(chunks)) });
        }
      }
      expect(taken.length).toBeGreaterThan(700);
      for (const { chunks, copy } of taken) {
        if (toHex(concat(chunks)) !== copy) expect.fail("a chunk was rewritten");
        for (const { masked: isMasked } of parseFrames(concat(chunks))) expect(isMasked).toBe(masked);
      }
    });

    it("writes between one another's frames without mixing them", () => {
      const [one, other] = [make(), make()];
      for (let i = 0; i < 50; i++) {
        one.writeBytes(0x82, bytes(1, i));
        other.writeText(0x81, `2${i}`);
      }
      expect(parseFrames(concat(one.take() ?? [])).map(({ payload }) => [...payload])).toEqual(
        Array.from({ length: 50 }, (_, i) => [1, i]),
      );
      expect(
        parseFrames(concat(other.take() ?? [])).map(({ payload }) => Buffer.from(payload).toString()),
      ).toEqual(Array.from({ length: 50 }, (_, i) => `2${i}`));
    });

    it("many small frames are few chunks", () => {
      const writer = make();
      for (let i = 0; i < 1000; i++) writer.writeBytes(0x82, patterned(20));
      expect(writer.output.size).toBe(1000 * (headerSize(20, masked) + 20));
      expect(writer.take()?.length).toBeLessThanOrEqual(4);
    });

    it("a frame made before goes as it is", () => {
      for (const length of [3, 5000]) {
        const writer = make();
        const made = frame({ opcode: 2, payload: patterned(length) });
        writer.writeBytes(0x89, bytes());
        writer.writeFramed(made);
        writer.writeBytes(0x8a, bytes());
        expect(writer.output.size).toBe(made.length + 2 * headerSize(0, masked));
        const wire = concat(writer.take() ?? []);
        const at = headerSize(0, masked);
        expect(Buffer.compare(wire.subarray(at, at + made.length), made)).toBe(0);
      }
    });
  });
}

describe("FrameWriter's keys (RFC 6455 5.3)", () => {
  it("are fresh for every frame, empty ones too, and stand lowest byte first", () => {
    const keys = [0x04030201, 0x80000000, -1, 5.0];
    const writer = new FrameWriter({ random: () => keys.shift() ?? 0 });
    writer.writeBytes(0x82, bytes());
    writer.writeText(0x81, "");
    writer.writeBytes(0x89, bytes("x"));
    writer.writeText(0x81, "x");
    expect(parseFrames(concat(writer.take() ?? [])).map(({ key }) => key)).toEqual([
      "01020304",
      "00000080",
      "ffffffff",
      "05000000",
    ]);
  });

  it("that cannot be had leave nothing behind", () => {
    let fails = true;
    const output = new Output();
    const writer = new FrameWriter({
      output,
      random: () => {
        if (fails) throw new Error("no entropy");
        return 0;
      },
    });
    for (const size of [3, 20_000]) {
      expect(() => writer.writeBytes(0x82, new Uint8Array(size))).toThrow("no entropy");
      expect(() => writer.writeText(0x81, "x".repeat(size))).toThrow("no entropy");
    }
    expect(output.size).toBe(0);
    fails = false;
    writer.writeBytes(0x82, bytes("abc"));
    expect(parseFrames(concat(writer.take() ?? [])).map(({ payload }) => payload)).toEqual([bytes("abc")]);
  });

  it("are used by the platform's kernel where there is one", () => {
    const calls: number[] = [];
    const writer = new FrameWriter({
      random: () => 1,
      mask: (_, start, end, key) => {
        calls.push(end - start, key);
        return undefined;
      },
    });
    writer.writeBytes(0x82, new Uint8Array(31));
    writer.writeText(0x81, "x".repeat(24));
    expect(calls).toEqual([]); // a few bytes are masked while they are copied, short ASCII while it is encoded
    writer.writeBytes(0x82, new Uint8Array(32));
    writer.writeText(0x81, "x".repeat(25));
    writer.writeText(0x81, "\u00e9e");
    expect(calls).toEqual([32, 1, 25, 1, 3, 1]);
  });
});

describe("a server's large payload", () => {
  it("is passed through, a small one and a client's are copied", () => {
    for (const [length, random, passed] of [
      [1023, undefined, false],
      [1024, undefined, true],
      [1024, repeatable(), false],
    ] as const) {
      const writer = new FrameWriter({ random });
      const payload = patterned(length);
      writer.writeBytes(0x82, payload);
      expect((writer.take() ?? []).some((chunk) => chunk.buffer === payload.buffer)).toBe(passed);
    }
  });
});

describe("writeHeader", () => {
  for (const [length, hex] of [
    [0, "8200"],
    [125, "827d"],
    [126, "827e007e"],
    [65535, "827effff"],
    [65536, "827f0000000000010000"],
    [2 ** 32 - 1, "827f00000000ffffffff"],
    [2 ** 32, "827f0000000100000000"],
    [2 ** 32 + 2 ** 31 + 3, "827f0000000180000003"],
    [2 ** 53 - 1, "827f001fffffffffffff"],
  ] as const) {
    it(`5.2: of ${length} bytes`, () => {
      const target = new Uint8Array(16);
      const data = new DataView(target.buffer);
      const end = writeHeader(data, 1, 0x82, length, undefined);
      expect(end).toBe(1 + headerSize(length, false));
      expect(toHex(target.subarray(1, end))).toBe(hex);
      const maskedEnd = writeHeader(data, 0, 0x82, length, 0x04030201);
      expect(maskedEnd).toBe(headerSize(length, true));
      expect(toHex(target.subarray(maskedEnd - 4, maskedEnd))).toBe("01020304");
      expect(target[1]).toBe((parseInt(hex.slice(2, 4), 16) | 0x80) & 0xff);
    });
  }
});
