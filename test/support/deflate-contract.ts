// What every DEFLATE codec must do, as plain checks that throw: vitest runs them on Node, and a script on the other runtimes.

import * as zlib from "node:zlib";

import type { DeflateCodec, Deflator, Inflator } from "../../src/deflate/codec.js";

export interface Check {
  readonly name: string;
  run(codec: DeflateCodec): void;
}

const WINDOWS = [8, 9, 10, 11, 12, 13, 14, 15] as const;
const ROOMS = [1, 4, 5, 6, 7, 15, 16, 17, 1000, 65536] as const;
const CHUNKS = [1, 3, 100, Infinity] as const;

export function bytesOf(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** Bytes without pattern, always the same. */
export function noise(length: number, seed = 1): Uint8Array {
  let word = seed;
  return Uint8Array.from({ length }, () => {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    return word >>> 24;
  });
}

/** Something like the JSON that applications send. */
export function prose(length: number, seed = 1): Uint8Array {
  const words = ["id", "name", "price", "updatedAt", "symbol", "true", "null", "order", "buy", "sell"];
  let text = "";
  for (const byte of noise(length, seed)) text += `"${words[byte % words.length] ?? ""}":${byte},`;
  return new TextEncoder().encode(text).slice(0, length);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function expectThat(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

export function expectSame(actual: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  expectThat(actual !== undefined, `${what}: not DEFLATE, or cut off`);
  expectThat(
    actual.length === expected.length,
    `${what}: ${actual.length} bytes in place of ${expected.length}`,
  );
  const wrong = expected.findIndex((byte, at) => actual[at] !== byte);
  expectThat(wrong === -1, `${what}: differs at ${wrong}`);
}

/** Pulls until it gives nothing; undefined: not DEFLATE. Nothing but the room asked for may be written. */
function pullAll(
  codec: { pull(target: Uint8Array, start: number, end: number): number },
  room: number,
): Uint8Array[] | undefined {
  const parts: Uint8Array[] = [];
  const target = new Uint8Array(room + 2);
  for (;;) {
    target[0] = target[room + 1] = 0xa5;
    const end = codec.pull(target, 1, 1 + room);
    expectThat(target[0] === 0xa5 && target[room + 1] === 0xa5, "it wrote outside of its room");
    if (end === -1) return undefined;
    expectThat(end >= 1 && end <= 1 + room, `the offset ${end} lies outside of the room`);
    if (end === 1) return parts;
    parts.push(target.slice(1, end));
  }
}

/** One message's payload inflated; undefined where it is not DEFLATE, or was cut off. */
export function inflate(
  inflator: Inflator,
  payload: Uint8Array,
  chunk = Infinity,
  room = 65536,
): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < payload.length; start += chunk) {
    inflator.push(payload, start, Math.min(start + chunk, payload.length));
    const pulled = pullAll(inflator, room);
    if (pulled === undefined) return undefined;
    for (const part of pulled) parts.push(part);
  }
  return inflator.end() ? concat(parts) : undefined;
}

/** One message deflated, as it goes on the wire: without the four bytes at its end. */
export function deflate(deflator: Deflator, message: Uint8Array, chunk = Infinity, room = 65536): Uint8Array {
  const parts: Uint8Array[] = [];
  let start = 0;
  do {
    const end = Math.min(start + chunk, message.length);
    deflator.push(message, start, end, end === message.length);
    const pulled = pullAll(deflator, room);
    expectThat(pulled !== undefined, "deflating failed");
    for (const part of pulled) parts.push(part);
    start = end;
  } while (start < message.length);
  const output = concat(parts);
  if (output.length === 0) return bytesOf(0); // RFC 7692 7.2.3.6
  expectSame(output.slice(-4), bytesOf(0, 0, 255, 255), "the end of a message");
  return output.slice(0, -4);
}

/** A block that says that it is the last. */
function finalBlock(message: Uint8Array): Uint8Array {
  return new Uint8Array(zlib.deflateRawSync(message));
}

/** Bun counts only what its collector has seen. */
function externalMemory(): number {
  (globalThis as { readonly Bun?: { gc(force: boolean): void } }).Bun?.gc(true);
  return process.memoryUsage().external;
}

const HELLO = new TextEncoder().encode("Hello");

/** RFC 7692 7.2.3.1 to 7.2.3.5 */
const EXAMPLES: readonly { readonly name: string; readonly payload: Uint8Array }[] = [
  { name: "one block", payload: bytesOf(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00) },
  { name: "stored", payload: bytesOf(0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00) },
  { name: "BFINAL", payload: bytesOf(0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00) },
  {
    name: "two blocks",
    payload: bytesOf(0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00),
  },
];
const HELLO_AGAIN = bytesOf(0xf2, 0x00, 0x11, 0x00, 0x00);

export const CONTRACT: readonly Check[] = [
  ...EXAMPLES.map(({ name, payload }) => ({
    name: `RFC 7692 7.2.3, ${name}: inflated, byte by byte too, and followed by a look back`,
    run(codec: DeflateCodec): void {
      for (const chunk of [1, Infinity]) {
        const inflator = codec.inflator(15);
        expectSame(inflate(inflator, payload, chunk), HELLO, "the message");
        expectSame(inflate(inflator, HELLO_AGAIN, chunk), HELLO, "its repetition");
        inflator.release();
      }
    },
  })),
  ...WINDOWS.map((windowBits) => ({
    name: `window ${windowBits}: messages of all sizes go through both, on any input and output limit`,
    run(codec: DeflateCodec): void {
      const messages = [0, 1, 5, 200, 600, 5000, 40_000].map((size, seed) =>
        seed % 2 === 0 ? prose(size, seed + 1) : noise(size, seed + 1),
      );
      for (const chunk of CHUNKS) {
        for (const room of ROOMS) {
          const [deflator, inflator] = [codec.deflator(windowBits, 6), codec.inflator(windowBits)];
          for (const message of messages) {
            if (message.length * Math.max(1, 100 / Math.min(room, chunk)) > 100_000) continue;
            const what = `${message.length} bytes, chunks of ${chunk}, room of ${room}`;
            const payload = deflate(deflator, message, chunk, room);
            expectSame(inflate(inflator, payload, chunk, room), message, what);
          }
          deflator.release();
          inflator.release();
        }
      }
    },
  })),
  ...WINDOWS.map((windowBits) => ({
    name: `window ${windowBits}: nothing that is sent looks back further`,
    run(codec: DeflateCodec): void {
      const size = 1 << windowBits;
      for (const level of [1, 6, 9]) {
        const [deflator, inflator] = [codec.deflator(windowBits, level), codec.inflator(windowBits)];
        for (const distance of [
          size - 300,
          size - 262,
          size - 1,
          size,
          size + 1,
          size + 100,
          size * 2 - 300,
        ]) {
          if (distance < 1) continue;
          const piece = noise(distance, distance);
          const message = concat([piece, piece]);
          // Byte by byte, so that only the window can be looked back at.
          expectSame(inflate(inflator, deflate(deflator, message), Infinity, 1), message, `${distance}`);
        }
        deflator.release();
        inflator.release();
      }
    },
  })),
  {
    name: "all that the bytes inflate to is given before more are asked for",
    run(codec) {
      const payload = concat([prose(200), new Uint8Array(3000), prose(200)].map(finalBlock));
      const [wide, narrow] = [codec.inflator(15), codec.inflator(15)];
      for (let at = 0; at < payload.length; at++) {
        wide.push(payload, at, at + 1);
        narrow.push(payload, at, at + 1);
        const given = concat(pullAll(wide, 65536) ?? []);
        expectSame(concat(pullAll(narrow, 1) ?? []), given, `byte ${at}`);
      }
      wide.release();
      narrow.release();
    },
  },
  {
    name: "what is known is not sent again, until a reset",
    run(codec) {
      const message = noise(1000);
      const [deflator, inflator] = [codec.deflator(15, 6), codec.inflator(15)];
      const first = deflate(deflator, message);
      const second = deflate(deflator, message);
      expectThat(second.length < first.length / 10, `${second.length} bytes after ${first.length}`);
      deflator.reset();
      expectSame(deflate(deflator, message), first, "after a reset");
      expectSame(inflate(inflator, first), message, "first");
      expectSame(inflate(inflator, second), message, "second");
      inflator.reset();
      expectThat(inflate(inflator, second) === undefined, "it looked back past a reset");
      inflator.reset();
      expectSame(inflate(inflator, first), message, "after a reset");
      deflator.release();
      inflator.release();
    },
  },
  {
    name: "a message that was begun is forgotten by a reset",
    run(codec) {
      const [deflator, inflator] = [codec.deflator(15, 6), codec.inflator(15)];
      const first = deflate(deflator, prose(300));
      deflator.push(noise(5000), 0, 5000, false);
      deflator.pull(new Uint8Array(10), 0, 10);
      deflator.reset();
      inflator.push(first, 0, 50);
      inflator.pull(new Uint8Array(10), 0, 10);
      inflator.reset();
      expectSame(inflate(inflator, deflate(deflator, prose(300))), prose(300), "the next one");
      deflator.release();
      inflator.release();
    },
  },
  {
    name: "deflated bytes are the same whatever the room",
    run(codec) {
      for (const size of [0, 1, 200, 3000, 6000]) {
        for (const make of [noise, prose]) {
          const expected = deflate(codec.deflator(15, 6), make(size));
          for (const room of ROOMS) {
            const deflator = codec.deflator(15, 6);
            expectSame(
              deflate(deflator, make(size), Infinity, room),
              expected,
              `${size} with room of ${room}`,
            );
            deflator.release();
          }
        }
      }
    },
  },
  {
    name: "many deflators in turns, from their first bytes to beyond their windows",
    run(codec) {
      const pairs = Array.from({ length: 5 }, (_, index) => ({
        deflator: codec.deflator(index === 4 ? 9 : 15, 6),
        inflator: codec.inflator(index === 4 ? 9 : 15),
      }));
      for (let turn = 0; turn < 60; turn++) {
        for (const [index, { deflator, inflator }] of pairs.entries()) {
          const message = prose(((turn * 37 + index * 101) % 300) + (turn % 20 === 19 ? 5000 : 0), turn);
          if (index === 3 && turn % 7 === 0) {
            deflator.reset();
            inflator.reset();
          }
          const room = (turn + index) % 3 === 0 ? 10 : 65536;
          expectSame(inflate(inflator, deflate(deflator, message, Infinity, room)), message, `turn ${turn}`);
        }
      }
      for (const { deflator, inflator } of pairs) {
        deflator.release();
        inflator.release();
      }
    },
  },
  {
    name: "an empty message, twice (RFC 7692 7.2.3.6)",
    run(codec) {
      const [deflator, inflator] = [codec.deflator(15, 6), codec.inflator(15)];
      for (const message of [HELLO, bytesOf(), bytesOf(), HELLO, bytesOf(), HELLO]) {
        expectSame(inflate(inflator, deflate(deflator, message)), message, `${message.length} bytes`);
      }
      for (let times = 0; times < 3; times++) {
        expectSame(inflate(inflator, bytesOf(0)), bytesOf(), "the byte 00");
      }
      deflator.release();
      inflator.release();
    },
  },
  {
    name: "an empty payload is cut off, at first and later",
    run(codec) {
      const inflator = codec.inflator(15);
      expectThat(!inflator.end(), "at first");
      inflator.reset();
      expectSame(inflate(inflator, bytesOf(0)), bytesOf(), "the byte 00");
      expectThat(!inflator.end(), "after a message");
      inflator.release();
    },
  },
  {
    name: "a message that is cut off anywhere is not one",
    run(codec) {
      const payloads = [prose(300), concat([noise(100), noise(100)]), noise(300), prose(3)].map((message) =>
        deflate(codec.deflator(15, 6), message),
      );
      const inflator = codec.inflator(15);
      for (const payload of payloads) {
        // The first byte of a stored block alone is an empty message.
        const least = ((payload[0] as number) & 6) === 0 ? 2 : 0;
        for (let length = least; length < payload.length; length++) {
          inflator.reset();
          expectThat(inflate(inflator, payload.slice(0, length)) === undefined, `${length} bytes`);
        }
        inflator.reset();
        expectThat(inflate(inflator, payload) !== undefined, "all of it");
      }
      inflator.release();
    },
  },
  {
    name: "final blocks: the window goes on, whatever the chunks (RFC 7692 7.2.3.4)",
    run(codec) {
      const message = noise(1000);
      const deflator = codec.deflator(15, 6);
      deflate(deflator, concat([message, HELLO]));
      const again = deflate(deflator, message);
      const payload = concat([finalBlock(message), finalBlock(HELLO), finalBlock(bytesOf()), again]);
      const expected = concat([message, HELLO, message]);
      for (const chunk of CHUNKS) {
        for (const room of ROOMS) {
          const inflator = codec.inflator(15);
          // The second time the window has come round.
          for (let times = 0; times < 2; times++) {
            expectSame(inflate(inflator, payload, chunk, room), expected, `chunk ${chunk}, room ${room}`);
          }
          inflator.release();
        }
      }
      deflator.release();
    },
  },
  {
    name: "final blocks: a window that has come round is whole",
    run(codec) {
      for (const windowBits of WINDOWS) {
        const [deflator, inflator] = [codec.deflator(windowBits, 6), codec.inflator(windowBits)];
        const message = noise(Math.min(200, 1 << (windowBits - 1)), windowBits);
        for (let turn = 0; turn < 12; turn++) {
          const filler = noise(((1 << windowBits) * 3) / 7 + turn, turn);
          for (const sent of [filler, message]) {
            const payload = concat([finalBlock(bytesOf()), deflate(deflator, sent)]);
            expectSame(inflate(inflator, payload), sent, `window ${windowBits}, turn ${turn}`);
          }
        }
        deflator.release();
        inflator.release();
      }
    },
  },
  {
    name: "final blocks: one without the byte 00 after it leaves the end open (RFC 7692 7.2.3.4)",
    run(codec) {
      const inflator = codec.inflator(15);
      expectThat(inflate(inflator, finalBlock(HELLO)) === undefined, "without");
      inflator.reset();
      expectSame(inflate(inflator, concat([finalBlock(HELLO), bytesOf(0)])), HELLO, "with");
      inflator.release();
    },
  },
  {
    name: "final blocks without end come to an end",
    run(codec) {
      const inflator = codec.inflator(15);
      expectThat(inflate(inflator, deflate(codec.deflator(15, 6), noise(40_000))) !== undefined, "a window");
      // Both are lawful answers: to give up, and to read them all.
      const read = inflate(
        inflator,
        concat([...new Array<Uint8Array>(50_000).fill(bytesOf(3, 0)), bytesOf(0)]),
      );
      expectThat(read === undefined || read.length === 0, "bytes out of nothing");
      inflator.reset();
      expectSame(inflate(inflator, bytesOf(0)), bytesOf(), "after a reset");
      inflator.release();
    },
  },
  {
    name: "a distance that leads before the first byte, on any limit",
    run(codec) {
      for (const room of ROOMS) {
        const inflator = codec.inflator(15);
        expectThat(inflate(inflator, HELLO_AGAIN, Infinity, room) === undefined, `room of ${room}`);
        inflator.release();
      }
    },
  },
  {
    name: "after an error nothing is DEFLATE, until a reset; released at any time, and twice",
    run(codec) {
      const inflator = codec.inflator(15);
      const good = bytesOf(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
      for (const bad of [bytesOf(7), bytesOf(0, 1, 2, 3, 4), bytesOf(0xff, 0xff, 0xff)]) {
        expectThat(inflate(inflator, bad) === undefined, "bad");
        inflator.push(good, 0, good.length);
        expectThat(inflator.pull(new Uint8Array(9), 0, 9) === -1, "good after bad");
        expectThat(!inflator.end(), "an end after bad");
        inflator.reset();
        expectSame(inflate(inflator, good), HELLO, "after a reset");
      }
      inflate(inflator, bytesOf(7));
      inflator.release();
      inflator.release();
      const begun = codec.inflator(15);
      begun.push(good, 0, 3);
      begun.pull(new Uint8Array(1), 0, 1);
      begun.release();
      begun.release();
      for (const room of [1, 1000]) {
        const deflator = codec.deflator(15, 6);
        deflator.push(noise(room * 200), 0, room * 200, room === 1);
        deflator.pull(new Uint8Array(room), 0, room);
        deflator.release();
        deflator.release();
      }
      codec.deflator(15, 6).release();
      codec.inflator(15).release();
    },
  },
  {
    name: "every corruption of a byte: an answer, and the same on any limit",
    run(codec) {
      const [whole, single] = [codec.inflator(15), codec.inflator(15)];
      for (const message of [prose(120), concat([noise(20), noise(20)])]) {
        const payload = deflate(codec.deflator(15, 6), message);
        for (let at = 0; at < payload.length; at++) {
          for (let flip = 1; flip < 256; flip++) {
            const corrupt = payload.slice();
            corrupt[at] = (corrupt[at] as number) ^ flip;
            whole.reset();
            single.reset();
            const one = inflate(whole, corrupt);
            const other = inflate(single, corrupt, 1, 7);
            const what = `byte ${at} ^ ${flip}`;
            if (one === undefined) expectThat(other === undefined, what);
            else expectSame(other, one, what);
          }
        }
      }
      whole.release();
      single.release();
    },
  },
  {
    name: "a bomb of 1 GiB of zeros is pulled in parts of 64 KiB, in less than 1 MiB",
    run(codec) {
      const mega = 1 << 20;
      const deflator = codec.deflator(15, 9);
      const first = deflate(deflator, new Uint8Array(mega));
      const next = concat([bytesOf(0, 0, 255, 255), deflate(deflator, new Uint8Array(mega))]);
      const bomb = concat([first, ...new Array<Uint8Array>(1023).fill(next)]);
      const inflator = codec.inflator(15);
      const target = new Uint8Array(65536);
      const before = externalMemory();
      inflator.push(bomb, 0, bomb.length);
      let total = 0;
      for (let end = target.length; end === target.length; total += end) {
        end = inflator.pull(target, 0, target.length);
      }
      const after = externalMemory();
      expectThat(inflator.end() && total === 1024 * mega, `${total} bytes`);
      expectThat(after - before < mega, "external memory grew");
      inflator.release();
      deflator.release();
    },
  },
];
