import { createHash } from "node:crypto";

import fc from "fast-check";
import { describe, expect } from "vitest";

import { checkUtf8, codePointSeam } from "../../src/bytes/utf8.js";
import { rotateKey } from "../../src/frame/masking.js";
import { formatHead, HeadParser, judgeRequestLine } from "../../src/handshake/head.js";
import { base64, sha1 } from "../../src/handshake/key.js";
import { FrameReader, FrameWriter, mask, portableUtf8 } from "../../src/index.js";
import { nodeUtf8 } from "../../src/adapters/node-utf8.js";
import { TextAssembly } from "../../src/message/assembly.js";
import { seededRandom } from "../../src/testing/index.js";
import { anyChunking, anyPayload, anyText, chunksOf, concat } from "../support/arbitraries.js";
import { hex } from "../support/observe.js";
import { holds } from "../support/property.js";

/** UTF-8, and near misses: the bytes at the edges of its table (RFC 3629 4). */
const nearlyUtf8: fc.Arbitrary<Uint8Array> = fc.oneof(
  anyText.map((text) => new Uint8Array(Buffer.from(text))),
  fc
    .array(
      fc.constantFrom(
        0x00,
        0x41,
        0x7f,
        0x80,
        0x8f,
        0x90,
        0x9f,
        0xa0,
        0xbf,
        0xc0,
        0xc1,
        0xc2,
        0xdf,
        0xe0,
        0xe1,
        0xec,
        0xed,
        0xee,
        0xef,
        0xf0,
        0xf1,
        0xf3,
        0xf4,
        0xf5,
        0xff,
      ),
      { maxLength: 8 },
    )
    .map((bytes) => Uint8Array.from(bytes)),
  fc.uint8Array({ maxLength: 12 }),
);

function platformDecode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Where the platform's decoder, fed byte by byte, first finds a fault; -1: nowhere, but the end may cut a code point. */
function platformFault(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let at = 0; at < bytes.length; at++) {
    try {
      decoder.decode(bytes.subarray(at, at + 1), { stream: true });
    } catch {
      return at;
    }
  }
  return -1;
}

describe("UTF-8 against the platform's", () => {
  holds(
    "decoding says the same of any bytes, in any place of a buffer",
    1000,
    fc.property(nearlyUtf8, fc.nat(5), (bytes, before) => {
      const buffer = concat([new Uint8Array(before).fill(0xf0), bytes, Uint8Array.of(0x80)]);
      expect(portableUtf8.decode(buffer, before, before + bytes.length)).toBe(platformDecode(bytes));
    }),
  );

  holds(
    "decoding long text too, across the sizes at which it is decoded in parts",
    40,
    fc.property(anyText, fc.constantFrom(1, 500, 4090, 4096, 9000), fc.nat(8), (unit, times, before) => {
      const bytes = new Uint8Array(Buffer.from("x".repeat(before) + unit.slice(0, 20).repeat(times)));
      expect(portableUtf8.decode(bytes, 0, bytes.length)).toBe(platformDecode(bytes));
    }),
  );

  holds(
    "a fault is found at the same byte, whatever the chunks",
    1000,
    fc.property(nearlyUtf8, anyChunking, (bytes, sizes) => {
      let state = 0;
      let at = 0;
      let fault = -1;
      for (const chunk of chunksOf(bytes, sizes)) {
        state = checkUtf8(state, chunk, 0, chunk.length);
        if (state < 0) {
          fault = at + ~state;
          break;
        }
        at += chunk.length;
      }
      expect(fault).toBe(platformFault(bytes));
      if (fault < 0) expect(state === 0).toBe(platformDecode(bytes) !== undefined);
    }),
  );

  holds(
    "a text in pieces: what is whole so far, what is at fault, in strings and in bytes",
    300,
    fc.property(nearlyUtf8, anyChunking, fc.boolean(), fc.boolean(), (bytes, sizes, decoded, takes) => {
      const assembly = new TextAssembly(sizes.length % 2 === 0 ? portableUtf8 : nodeUtf8, decoded);
      const taken: Uint8Array[] = [];
      const take = (): void => {
        taken.push(decoded ? Buffer.from(assembly.takeText()) : assembly.takeBytes());
      };
      let at = 0;
      let fault = -1;
      for (const chunk of chunksOf(bytes, sizes)) {
        const wrong = assembly.append(
          chunk,
          0,
          chunk.length,
          Infinity,
          chunk.every((byte) => byte < 0x80),
        );
        if (takes && wrong < 0) take();
        if (wrong >= 0) {
          fault = at + wrong;
          break;
        }
        at += chunk.length;
      }
      expect(fault).toBe(platformFault(bytes));
      if (fault >= 0) return;
      take();
      const whole = concat(taken);
      expect(assembly.whole).toBe(platformDecode(bytes) !== undefined);
      expect(hex(whole)).toBe(hex(bytes.subarray(0, codePointSeam(bytes, 0, bytes.length))));
    }),
  );

  holds(
    "encoding any string, lone surrogates too, gives the same bytes and the length foretold (RFC 6455 8.1)",
    1000,
    fc.property(
      fc.oneof(anyText, fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) })),
      (text) => {
        const expected = new Uint8Array(Buffer.from(text));
        const target = new Uint8Array(expected.length + 6);
        expect(portableUtf8.byteLength(text)).toBe(expected.length);
        expect(portableUtf8.encodeInto(text, target, 3)).toBe(expected.length + 3);
        expect(hex(target)).toBe(`000000${hex(expected)}000000`);
      },
    ),
  );
});

describe("masking (RFC 6455 5.3)", () => {
  const plainMask = (bytes: Uint8Array, start: number, end: number, key: number): Uint8Array =>
    bytes.map((byte, index) =>
      index < start || index >= end ? byte : byte ^ ((key >>> (8 * ((index - start) % 4))) & 255),
    );

  holds(
    "the kernel does what the loop in the RFC does, at every alignment, and nothing outside of its range",
    500,
    fc.property(
      anyPayload,
      fc.integer(),
      fc.nat(7),
      fc.nat(9),
      fc.nat(9),
      (payload, key, offset, from, less) => {
        const bytes = new Uint8Array(new ArrayBuffer(payload.length + offset), offset);
        bytes.set(payload);
        const start = Math.min(from, bytes.length);
        const end = Math.max(start, bytes.length - less);
        const expected = plainMask(bytes, start, end, key);
        mask(bytes, start, end, key);
        expect(hex(bytes)).toBe(hex(expected));
      },
    ),
  );

  holds(
    "masking in pieces with the key turned on is masking at once",
    300,
    fc.property(anyPayload, fc.integer(), anyChunking, (payload, key, sizes) => {
      const expected = plainMask(payload, 0, payload.length, key);
      const copy = payload.slice();
      let turned = key;
      for (const chunk of chunksOf(copy, sizes)) {
        mask(chunk, 0, chunk.length, turned);
        turned = rotateKey(turned, chunk.length);
      }
      expect(hex(copy)).toBe(hex(expected));
    }),
  );
});

describe("the frame writer and the frame reader", () => {
  holds(
    "what one wrote the other reads, whatever the chunks, masked and not",
    200,
    fc.property(
      fc.boolean(),
      fc.array(fc.oneof(anyText, anyPayload), { maxLength: 6 }),
      anyChunking,
      fc.boolean(),
      (masked, payloads, sizes, owned) => {
        const writer = new FrameWriter(masked ? { random: seededRandom(3) } : {});
        for (const payload of payloads) {
          if (typeof payload === "string") writer.writeText(0x81, payload);
          else writer.writeBytes(0x82, payload);
        }
        const reader = new FrameReader({ masked });
        const read: Uint8Array[][] = [];
        for (const chunk of chunksOf(concat(writer.take() ?? []), sizes)) {
          reader.receive(chunk.slice(), owned);
          while (reader.next()) {
            if (reader.first) read.push([]);
            read.at(-1)?.push(reader.bytes.slice(reader.start, reader.end));
          }
        }
        expect(reader.fault).toBeUndefined();
        expect(read.map((pieces) => hex(concat(pieces)))).toEqual(
          payloads.map((payload) => hex(typeof payload === "string" ? Buffer.from(payload) : payload)),
        );
      },
    ),
  );
});

describe("the opening handshake's parts", () => {
  holds(
    "SHA-1 and base64 against the platform's",
    300,
    fc.property(fc.oneof(anyPayload, fc.uint8Array({ minLength: 50, maxLength: 70 })), (bytes) => {
      expect(Buffer.from(sha1(bytes)).toString("hex")).toBe(createHash("sha1").update(bytes).digest("hex"));
      expect(base64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
    }),
  );

  holds(
    "an HTTP head that was written is read as it was, whatever the chunks",
    300,
    fc.property(
      fc.array(
        fc.tuple(
          fc.string({
            unit: fc.constantFrom(..."aZ09!#$%&'*+-.^_`|~".split("")),
            minLength: 1,
            maxLength: 10,
          }),
          fc
            .string({
              unit: fc
                .oneof(
                  fc.integer({ min: 0x20, max: 0x7e }),
                  fc.integer({ min: 0x80, max: 0xff }),
                  fc.constant(9),
                )
                .map((unit) => String.fromCharCode(unit)),
              maxLength: 30,
            })
            .map((value) => value.replace(/^[ \t]+|[ \t]+$/g, "")),
        ),
        { maxLength: 10 },
      ),
      anyChunking,
      fc.uint8Array({ maxLength: 10 }),
      (headers, sizes, after) => {
        const head = Buffer.from(formatHead("GET /a?b HTTP/1.1", headers), "latin1");
        const parser = new HeadParser({ head: 16_384, headers: 100 }, judgeRequestLine);
        let read = 0;
        for (const chunk of chunksOf(concat([head, after]), sizes)) {
          if (parser.done) break;
          read += parser.read(chunk, 0, chunk.length);
        }
        expect(parser.fault).toBeUndefined();
        expect(parser.done).toBe(true);
        expect(read).toBe(head.length);
        expect(parser.startLine).toBe("GET /a?b HTTP/1.1");
        expect(parser.headers).toEqual(headers);
      },
    ),
  );
});
