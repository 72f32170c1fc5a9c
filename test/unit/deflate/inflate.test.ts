import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

import { describe, expect, it } from "vitest";

import { portableDeflate } from "../../../src/deflate/portable.js";
import type { Steps } from "../../support/deflate.js";
import { Bits, BYTE_BY_BYTE, inflate, WHOLE } from "../../support/deflate.js";

const WAYS: readonly (readonly [name: string, steps: Steps])[] = [
  ["whole", WHOLE],
  ["byte by byte", BYTE_BY_BYTE],
  ["three bytes in, two out", { input: 3, output: 2 }],
];

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const inflator = (windowBits = 15) => portableDeflate.inflator(windowBits);
const syncFlush = { finishFlush: constants.Z_SYNC_FLUSH };

/** An empty stored block without its last four bytes: what a payload ends with (RFC 7692 7.2.1). */
const ending = (bits: Bits): Bits => bits.block("stored").align();

describe("the examples of RFC 7692 7.2.3", () => {
  const EXAMPLES: readonly (readonly [
    section: string,
    payloads: readonly string[],
    messages: readonly string[],
  ])[] = [
    ["7.2.3.1, one block", ["f2 48 cd c9 c9 07 00"], ["Hello"]],
    ["7.2.3.2, a shared window", ["f2 48 cd c9 c9 07 00", "f2 00 11 00 00"], ["Hello", "Hello"]],
    ["7.2.3.3, no compression", ["00 05 00 fa ff 48 65 6c 6c 6f 00"], ["Hello"]],
    ["7.2.3.4, BFINAL", ["f3 48 cd c9 c9 07 00 00"], ["Hello"]],
    ["7.2.3.5, two blocks", ["f2 48 05 00 00 00 ff ff ca c9 c9 07 00"], ["Hello"]],
    ["7.2.3.6, an empty message", ["00"], [""]],
    ["7.2.3.6, twice and between others", ["00", "00", "f2 48 cd c9 c9 07 00", "00"], ["", "", "Hello", ""]],
    ["7.2.3.4, then a shared window", ["f3 48 cd c9 c9 07 00 00", "f2 00 11 00 00"], ["Hello", "Hello"]],
  ];
  describe.each(WAYS)("%s", (_, steps) => {
    it.each(EXAMPLES)("%s", (_, payloads, messages) => {
      const codec = inflator();
      expect(payloads.map((payload) => String(inflate(codec, hex(payload), steps)))).toEqual(messages);
    });
  });
});

/** The code of lengths 1 and 18, and what makes a code of `a` and the end of the block of it. */
const ONE_OR_ZEROS = { 1: 1, 18: 1 };
const A_AND_END = [[18, 86], 1, [18, 127], [18, 9], 1] as const;

describe("lawful streams", () => {
  const ROWS: readonly (readonly [rule: string, bits: Bits, output: string])[] = [
    [
      "a final block is padded, the next one begins with a byte, and looks back past it (RFC 7692 7.2.1)",
      new Bits()
        .block("fixed", true)
        .fixed(97)
        .fixed(98)
        .fixed(99)
        .fixed(256)
        .align()
        .block("fixed")
        .fixedMatch(3)
        .fixed(256),
      "abcabc",
    ],
    [
      "the padding behind a final block is not looked at",
      new Bits().block("fixed", true).fixed(97).fixed(256).align(1).block("fixed").fixed(98).fixed(256),
      "ab",
    ],
    [
      "a final stored block, then another final block",
      new Bits()
        .block("stored", true)
        .align()
        .number(1, 16)
        .number(0xfffe, 16)
        .number(97, 8)
        .block("fixed", true)
        .fixed(98)
        .fixed(256)
        .align(),
      "ab",
    ],
    [
      "the padding in a stored block's header is not looked at (RFC 1951 3.2.4)",
      new Bits().block("stored").align(1).number(1, 16).number(0xfffe, 16).number(97, 8),
      "a",
    ],
    [
      "empty blocks of each kind",
      new Bits()
        .block("fixed")
        .fixed(256)
        .block("stored")
        .align()
        .number(0, 16)
        .number(0xffff, 16)
        .head(257, 1, ONE_OR_ZEROS, [[18, 127], [18, 107], 1, 1])
        .code("0"),
      "",
    ],
    [
      "no code of distances at all (RFC 1951 3.2.7)",
      new Bits().head(257, 1, { 0: 2, 1: 2, 18: 1 }, [...A_AND_END, 0]).code("0 0 1"),
      "aa",
    ],
    [
      "a single distance, of one bit (RFC 1951 3.2.7)",
      new Bits()
        .head(258, 1, { 0: 3, 1: 2, 2: 3, 18: 1 }, [[18, 86], 1, [18, 127], [18, 9], 2, 2, 1])
        .code("0 11 0 10"),
      "aaaa",
    ],
    [
      "a literal/length code of a single bit: nothing but the block's end",
      new Bits().head(257, 1, { 0: 2, 1: 2, 18: 1 }, [[18, 127], [18, 107], 1, 0]).code("0"),
      "",
    ],
    [
      "lengths are repeated across the end of the literals",
      // 257 lengths of 9 or 8 would do as well; here the last literal's is repeated into the distances.
      new Bits().head(257, 2, { 1: 2, 16: 3, 17: 3, 18: 1 }, [[18, 127], [18, 106], 1, 1, 1, 1]).code("1"),
      "",
    ],
    [
      "length 258 has two forms (RFC 1951 3.2.5)",
      new Bits()
        .block("fixed")
        .fixed(97)
        .fixed(285)
        .code("00000")
        .fixed(284)
        .number(31, 5)
        .code("00000")
        .fixed(256),
      "a".repeat(517),
    ],
  ];
  const PAYLOADS = ROWS.map(([rule, bits, output]) => [rule, ending(bits).bytes, output] as const);
  describe.each(WAYS)("%s", (_, steps) => {
    it.each(PAYLOADS)("%s", (_, payload, output) => {
      expect(String(inflate(inflator(), payload, steps))).toBe(output);
    });
  });
});

describe("what is not DEFLATE", () => {
  const ZEROS: readonly (readonly [number, number])[] = [
    [18, 127],
    [18, 107],
  ];
  /** Each ends with the byte that shows it, so that it is not something behind that is found. */
  const ROWS: readonly (readonly [rule: string, bits: Bits, zlib: string])[] = [
    ["a reserved type (RFC 1951 3.2.3)", new Bits().block("reserved"), "invalid block type"],
    [
      "a stored length and its complement that are not (RFC 1951 3.2.4)",
      new Bits().block("stored").align().number(5, 16).number(0xfffb, 16),
      "invalid stored block lengths",
    ],
    [
      "a final block's successor read at the next bit, not byte: the other reading of 7.2.3.4",
      new Bits().block("stored").align().number(0, 16).number(0xff00, 16),
      "invalid stored block lengths",
    ],
    [
      "287 literals and lengths",
      new Bits().block("dynamic").number(30, 5).number(0, 5).number(15, 4),
      "too many length or distance symbols",
    ],
    [
      "31 distances",
      new Bits().block("dynamic").number(0, 5).number(30, 5).number(15, 4),
      "too many length or distance symbols",
    ],
    ["no code for lengths", new Bits().head(257, 1, {}, []), "invalid code -- missing end-of-block"],
    ["a code for lengths with one code", new Bits().head(257, 1, { 18: 1 }, []), "invalid code lengths set"],
    [
      "a code for lengths that leaves room",
      new Bits().head(257, 1, { 1: 1, 18: 2 }, []),
      "invalid code lengths set",
    ],
    [
      "a code for lengths with more than there is room for",
      new Bits().head(257, 1, { 0: 1, 1: 1, 18: 1 }, []),
      "invalid code lengths set",
    ],
    [
      "a repetition before any length",
      new Bits().head(257, 1, { 1: 1, 16: 1 }, [[16, 0]]),
      "invalid bit length repeat",
    ],
    [
      "a repetition of a length past the last one",
      new Bits().head(257, 1, { 1: 1, 16: 2, 18: 2 }, [...ZEROS, 1, [16, 0]]),
      "invalid bit length repeat",
    ],
    [
      "zeros past the last length",
      new Bits().head(257, 1, ONE_OR_ZEROS, [
        [18, 127],
        [18, 127],
      ]),
      "invalid bit length repeat",
    ],
    [
      "no code for the block's end",
      new Bits().head(257, 1, ONE_OR_ZEROS, [1, 1, [18, 127], [18, 107]]),
      "invalid code -- missing end-of-block",
    ],
    [
      "literals and lengths that leave room",
      new Bits().head(257, 1, { 1: 2, 2: 2, 18: 1 }, [...ZEROS, 2, 1]),
      "invalid literal/lengths set",
    ],
    [
      "literals and lengths with more than there is room for",
      new Bits().head(257, 1, ONE_OR_ZEROS, [1, 1, [18, 127], [18, 105], 1, 1]),
      "invalid literal/lengths set",
    ],
    [
      "distances that leave room",
      new Bits().head(257, 2, { 1: 2, 2: 2, 18: 1 }, [...ZEROS, 1, 2, 2]),
      "invalid distances set",
    ],
    [
      "distances with more than there is room for",
      new Bits().head(257, 3, ONE_OR_ZEROS, [...ZEROS, 1, 1, 1, 1]),
      "invalid distances set",
    ],
    [
      "length symbol 286 (RFC 1951 3.2.6)",
      new Bits().block("fixed").fixed(286),
      "invalid literal/length code",
    ],
    ["length symbol 287", new Bits().block("fixed").fixed(287), "invalid literal/length code"],
    [
      "distance symbol 30 (RFC 1951 3.2.6)",
      new Bits().block("fixed").fixed(97).fixed(257).code("11110"),
      "invalid distance code",
    ],
    [
      "distance symbol 31",
      new Bits().block("fixed").fixed(97).fixed(257).code("11111"),
      "invalid distance code",
    ],
    [
      "a code that stands for nothing, of literals and lengths",
      new Bits().head(257, 1, { 0: 2, 1: 2, 18: 1 }, [...ZEROS, 1, 0]).code("1"),
      "invalid literal/length code",
    ],
    [
      "a code that stands for nothing, of distances",
      new Bits()
        .head(258, 1, { 0: 3, 1: 2, 2: 3, 18: 1 }, [[18, 86], 1, [18, 127], [18, 9], 2, 2, 1])
        .code("0 11 1"),
      "invalid distance code",
    ],
    [
      "a distance in a block without distances",
      new Bits()
        .head(258, 1, { 0: 3, 1: 2, 2: 3, 18: 1 }, [[18, 86], 1, [18, 127], [18, 9], 2, 2, 0])
        .code("0 11 0"),
      "invalid distance code",
    ],
    [
      "a distance past the beginning",
      new Bits().block("fixed").fixed(97).fixed(98).fixedMatch(3),
      "invalid distance too far back",
    ],
    [
      "a distance with nothing before it",
      new Bits().block("fixed").fixedMatch(1),
      "invalid distance too far back",
    ],
  ];
  describe.each(WAYS)("%s", (_, steps) => {
    it.each(ROWS)("%s", (_, bits) => {
      expect(inflate(inflator(), bits.bytes, steps)).toBe("fault");
    });
  });
  it.each(ROWS)("zlib says so, too: %s", (_, bits, message) => {
    expect(() => inflateRawSync(Buffer.concat([bits.bytes, Buffer.alloc(64)]), syncFlush)).toThrow(message);
  });

  it("stays so until the reset, whatever comes", () => {
    const codec = inflator();
    expect(inflate(codec, hex("07"))).toBe("fault");
    expect(inflate(codec, hex("f2 48 cd c9 c9 07 00"))).toBe("fault");
    expect(codec.end()).toBe(false);
    codec.reset();
    expect(String(inflate(codec, hex("f2 48 cd c9 c9 07 00")))).toBe("Hello");
  });
});

describe("a message that is cut off", () => {
  // 16 bits of 0 are lengths of literals; 14 of 1 are three more, eight of distances, and the block's end: two are left.
  const FIVE_LITERALS = Array.from({ length: 238 }, (_, symbol) => (symbol < 5 ? 3 : 0));
  const ENDS_EARLY = new Bits().head(257, 8, { 0: 1, 3: 1 }, FIVE_LITERALS).bytes;

  it("every beginning of a payload, but those that end with a block", () => {
    const text = "to be or not to be, that is the question: ".repeat(3) + "0123456789".repeat(40);
    const first = deflateRawSync(text, syncFlush); // its head tells of codes
    const second = new Bits().block("stored").align().number(2, 16).number(0xfffd, 16).number(0x4141, 16);
    const payload = Buffer.concat([first, ending(second).bytes]);
    // The first block is followed by an empty stored one; the first byte of the second is that of an empty one, too.
    const lawful = [first.length - 4, first.length + 1, payload.length];
    for (let length = 0; length <= payload.length; length++) {
      for (const [name, steps] of WAYS) {
        const result = inflate(inflator(), payload.subarray(0, length), steps);
        const expected = lawful.includes(length);
        if (Buffer.isBuffer(result) !== expected) {
          expect.fail(`${length} of ${payload.length} bytes, ${name}: ${String(result)}`);
        }
      }
    }
  });

  it.each([
    ["no payload at all", ""],
    ["a final block with nothing behind it (RFC 7692 7.2.3.4)", "f3 48 cd c9 c9 07 00"],
    ["the four bytes that should have been left out", "f2 48 cd c9 c9 07 00 00 00 ff ff"],
    ["a block that ends within the last of the four bytes", ENDS_EARLY.toString("hex")],
    ["a stored block that the four bytes fill", "00 04 00 fb ff"],
    ["a stored block that goes on behind them", "00 05 00 fa ff"],
  ])("%s", (_, payload) => {
    const codec = inflator();
    expect(inflate(codec, hex(payload))).toBe("cut off");
    expect(codec.pull(new Uint8Array(9), 0, 9)).toBe(-1);
    codec.reset();
    expect(String(inflate(codec, hex("00")))).toBe("");
  });
});

describe("the window", () => {
  const bytes = (count: number): Buffer =>
    Buffer.from(Array.from({ length: count }, (_, i) => (i * 31) ^ (i >> 8)));
  const stored = (data: Uint8Array): Buffer =>
    Buffer.concat([
      new Bits().block("stored").align().number(data.length, 16).number(~data.length, 16).bytes,
      data,
      hex("00"),
    ]);
  const match = (distance: number): Buffer =>
    ending(new Bits().block("fixed").fixedMatch(distance).fixed(256)).bytes;

  describe.each([8, 9, 10, 11, 12, 13, 14, 15])("%i bits", (windowBits) => {
    const size = 1 << windowBits;
    it.each(WAYS)("reaches as far as it is large and no further, %s", (_, steps) => {
      // Before the window was full, when it is, and anywhere behind that.
      for (const count of [size - 1, size, size + 1, size + size / 2, 50_000]) {
        const data = bytes(count);
        // There is no distance over 32768 (RFC 1951 3.2.5).
        for (const distance of [1, 2, 3, size - 1, size, size + 1].filter((value) => value <= 32768)) {
          const codec = inflator(windowBits);
          inflate(codec, stored(data));
          const far = Buffer.from([0, 1, 2].map((i) => data[count - distance + (i % distance)] ?? 0));
          expect(inflate(codec, match(distance), steps)).toEqual(
            distance > Math.min(size, count) ? "fault" : far,
          );
        }
      }
    });
  });

  it("is forgotten at the reset", () => {
    const codec = inflator();
    expect(String(inflate(codec, hex("f2 48 cd c9 c9 07 00")))).toBe("Hello");
    codec.reset();
    expect(inflate(codec, hex("f2 00 11 00 00"))).toBe("fault");
    codec.reset();
    inflate(codec, stored(bytes(50_000)));
    codec.reset();
    expect(inflate(codec, match(1))).toBe("fault");
  });

  it("is as large as what has come, to a power of two, and no larger than negotiated", () => {
    const windowOf = (codec: object): number => (codec as { window: Uint8Array }).window.length;
    for (const windowBits of [8, 10, 15]) {
      const codec = inflator(windowBits);
      expect(windowOf(codec)).toBe(0);
      for (let count = 100; count < 200_000; count *= 2) {
        codec.reset();
        expect(inflate(codec, deflateRawSync(Buffer.alloc(count), syncFlush).subarray(0, -4))).toHaveLength(
          count,
        );
        expect(windowOf(codec)).toBeLessThanOrEqual(Math.min(1 << windowBits, Math.max(1024, 2 * count)));
      }
      expect(windowOf(codec)).toBe(1 << windowBits);
      codec.release();
      codec.release();
      expect(windowOf(codec)).toBe(0);
    }
  });
});

describe("many at once", () => {
  // Tables are lent from block to block: two that stand inside of one must not share them.
  it("messages that are read in turns do not mix", () => {
    const messages = [
      "abcd".repeat(99) + "0123456789".repeat(9),
      "wxyz".repeat(80) + "ABCDEFG".repeat(30),
      "efgh",
    ].map((text, index) =>
      Buffer.concat([Buffer.from(text), Buffer.from(text).sort(), Buffer.from(`${index}`)]),
    );
    const payloads = messages.map((message) =>
      deflateRawSync(message, { ...syncFlush, strategy: constants.Z_HUFFMAN_ONLY }).subarray(0, -4),
    );
    const codecs = payloads.map(() => inflator());
    const outputs = payloads.map((): number[] => []);
    const target = new Uint8Array(1000);
    for (let at = 0; at < Math.max(...payloads.map(({ length }) => length)); at++) {
      payloads.forEach((payload, index) => {
        if (at >= payload.length) return;
        codecs[index]?.push(payload, at, at + 1);
        const end = codecs[index]?.pull(target, 0, target.length) ?? 0;
        outputs[index]?.push(...target.subarray(0, end));
      });
    }
    expect(codecs.map((codec) => codec.end())).toEqual([true, true, true]);
    expect(outputs.map((output) => Buffer.from(output))).toEqual(messages);
  });

  it("a reset in the middle of a block gives its tables back, and takes none that are lent", () => {
    const message = Buffer.from("abcdefgh0123".repeat(4) + "the rest is silence, and more of it");
    const payload = deflateRawSync(message, { ...syncFlush, strategy: constants.Z_HUFFMAN_ONLY }).subarray(
      0,
      -4,
    );
    const [one, two] = [inflator(), inflator()];
    const target = new Uint8Array(1000);
    for (const codec of [one, two]) {
      codec.push(payload, 0, payload.length - 9);
      codec.pull(target, 0, 1000);
    }
    one.reset();
    expect(inflate(one, payload)).toEqual(message);
    two.push(payload, payload.length - 9, payload.length);
    const end = two.pull(target, 0, 1000);
    expect(two.end()).toBe(true);
    expect(message.subarray(-end)).toEqual(Buffer.from(target.subarray(0, end)));
  });
});

it("a bomb is inflated no further than asked for, in a window's memory", () => {
  const codec = inflator();
  const bomb = deflateRawSync(Buffer.alloc(1 << 24), syncFlush).subarray(0, -4);
  const target = new Uint8Array(1000);
  codec.push(bomb, 0, bomb.length);
  for (let i = 0; i < 100; i++) expect(codec.pull(target, 0, 1000)).toBe(1000);
  codec.reset();
  expect(String(inflate(codec, hex("f2 48 cd c9 c9 07 00")))).toBe("Hello");
});

it("blocks without output end nothing and take no memory, however many there are", () => {
  const codec = inflator();
  const rows = [
    new Bits().block("stored").align().number(0, 16).number(0xffff, 16).bytes,
    new Bits().block("fixed", true).fixed(256).align().bytes,
    new Bits()
      .head(257, 1, ONE_OR_ZEROS, [[18, 127], [18, 107], 1, 1])
      .code("0")
      .block("stored")
      .align().bytes,
  ];
  for (const row of rows) {
    // The last of them, a stored block, goes on with its length.
    const one = row.length > 10 ? Buffer.concat([row, hex("00 00 ff ff")]) : row;
    const many = Buffer.concat([...Array.from({ length: 20_000 }, () => one), hex("f2 48 cd c9 c9 07 00")]);
    expect(String(inflate(codec, many))).toBe("Hello");
  }
  expect((codec as unknown as { window: Uint8Array }).window).toHaveLength(1024);
});
