import { describe, expect, it } from "vitest";
import type { ConnectionEvent, Options } from "../../src/index.js";
import { RULES } from "../../src/index.js";
import { fromPeer, framesFromPeer, opened, ROLES, takeFrames } from "../support/opened.js";
import { INVALID, VALID } from "../../src/conformance/utf8.js";
import type { FrameSpec } from "../support/wire.js";
import {
  bytes,
  closePayload,
  concat,
  feedings,
  fromHex,
  pull,
  queued,
  summarize,
  toHex,
} from "../support/wire.js";

const MODES: readonly Options[] = [
  {},
  { streaming: true },
  { text: "bytes" },
  { text: "bytes", streaming: true },
];

function nameOf({ streaming = false, text = "string" }: Options): string {
  return `text: ${text}${streaming ? ", streaming" : ""}`;
}

function decode(data: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
}

/** A payload as a message of fragments that end at `cuts`. */
function fragments(payload: Uint8Array, cuts: readonly number[]): FrameSpec[] {
  const ends = [...cuts, payload.length];
  return ends.map((end, index) => ({
    opcode: index === 0 ? 1 : 0,
    fin: index === ends.length - 1,
    payload: payload.slice(ends[index - 1] ?? 0, end),
  }));
}

/** The longest beginning of `payload`, of `end` bytes at the most, that is UTF-8. */
function wholeUpTo(payload: Uint8Array, end: number): number {
  for (; ; end--) {
    try {
      decode(payload.slice(0, end));
      return end;
    } catch {
      // it ends inside a code point
    }
  }
}

/** Throws where a piece is what no piece may be. */
function checkPieces(events: readonly ConnectionEvent[], streaming: boolean): void {
  for (const event of events) {
    if (event.type !== "text") continue;
    if (!event.final && !streaming) throw new Error("a piece, where whole messages were asked for");
    if (!event.final && event.text === "") throw new Error("an empty piece that is not final");
    if (toHex(bytes(event.text)) !== toHex(event.payload))
      throw new Error("a piece is cut inside a code point");
    decode(event.payload);
  }
}

const failure = (offset: number): unknown => ({
  type: "closing",
  code: 1007,
  reason: RULES["invalid-utf8"].says,
  cause: { by: "peer", rule: "invalid-utf8", offset },
});

it.each(MODES)("%j: a message says how many bytes it has", (mode) => {
  const connection = opened("client", mode);
  const texts = ["", "a", "gr\u00fc\u00dfe", "\u4e2d\u{1f600}"];
  connection.receive(
    framesFromPeer(
      "client",
      texts.map((payload) => ({ opcode: 1, payload })),
    ),
  );
  const sizes = pull(connection).map((event) => event.type === "text" && event.size);
  expect(sizes).toEqual(texts.map((text) => bytes(text).length));
});

for (const role of ROLES) {
  for (const mode of MODES) {
    describe(`a ${role} reads texts, ${nameOf(mode)}`, () => {
      const streaming = mode.streaming === true;

      for (const [name, hex] of VALID) {
        it(`5.6: UTF-8 in one frame and cut anywhere: ${name}`, () => {
          const payload = fromHex(hex);
          const cutSets = [
            [],
            [0],
            [payload.length],
            ...Array.from(payload, (_, index) => [index]),
            Array.from(payload, (_, index) => index),
          ];
          for (const cuts of cutSets) {
            const wire = framesFromPeer(role, fragments(payload, cuts));
            for (const way of [...feedings, queued]) {
              const events = way.feed(opened(role, mode), wire);
              checkPieces(events, streaming);
              expect(summarize(events)).toEqual([{ type: "text", text: decode(payload), final: true }]);
            }
          }
        });
      }

      for (const [name, hex, at] of INVALID) {
        it(`8.1: 1007 at the offending byte: ${name}`, () => {
          const payload = bytes("ok€", fromHex(hex));
          const wrongAt = 5 + at;
          for (const cuts of [[], [2, 3, 4, 5, 6], [wrongAt], [0, payload.length]]) {
            const specs = fragments(
              payload,
              cuts.filter((cut) => cut <= payload.length),
            );
            const wire = framesFromPeer(role, specs);
            // The offset counts the headers of the frames up to the one that holds the byte.
            let start = 0;
            let offset = 0;
            let at = 0;
            for (const spec of specs) {
              const size = spec.payload?.length ?? 0;
              const header = role === "server" ? 6 : 2;
              if (start <= wrongAt && (wrongAt < start + size || spec.fin === true))
                offset = at + header + wrongAt - start;
              at += header + size;
              start += size;
            }
            const after = framesFromPeer(role, [{ opcode: 1, payload: "late" }, { opcode: 9 }]);
            for (const way of [...feedings, queued]) {
              const connection = opened(role, mode);
              const events = way.feed(connection, concat([wire, after]));
              checkPieces(events, streaming);
              const told = summarize(events);
              expect(told.at(-1), `${way.name}, cut at ${cuts.join()}`).toEqual(failure(offset));
              // Streamed text comes up to the code point at fault, however it was cut.
              const text = decode(payload.slice(0, wholeUpTo(payload, wrongAt)));
              expect(told.slice(0, -1)).toEqual(streaming ? [{ type: "text", text, final: false }] : []);
              expect(takeFrames(connection).map(({ opcode, payload }) => [opcode, toHex(payload)])).toEqual([
                [8, toHex(closePayload(1007, RULES["invalid-utf8"].says))],
              ]);
            }
          }
        });

        if (name.startsWith("cut")) continue;
        it(`8.1: 1007 as soon as the byte is there, long before the message ends: ${name}`, () => {
          const payload = bytes("ok€", fromHex(hex)).slice(0, 5 + at + 1);
          for (const spec of [
            { opcode: 1, payload, claimedLength: 1000 },
            { opcode: 1, payload, claimedLength: 1_000_000, fin: false },
          ]) {
            const wire = fromPeer(role, spec);
            const connection = opened(role, mode);
            connection.receive(wire.slice(0, -1));
            expect(pull(connection).filter(({ type }) => type !== "text")).toEqual([]);
            expect(connection.state).toBe("open");
            connection.receive(wire.slice(-1));
            expect(summarize(pull(connection))).toEqual([failure(wire.length - 1)]);
          }
        });
      }

      it("a text's ping in between: its answer and event come before the text's end, the text is whole", () => {
        const euro = bytes("€");
        const wire = framesFromPeer(role, [
          { opcode: 1, fin: false, payload: bytes("a", euro.slice(0, 1)) },
          { opcode: 9, payload: "?" },
          { opcode: 0, fin: false, payload: euro.slice(1, 2) },
          { opcode: 10, payload: "!" },
          { opcode: 0, payload: bytes(euro.slice(2), "b") },
        ]);
        for (const way of [...feedings, queued]) {
          const events = way.feed(opened(role, mode), wire);
          checkPieces(events, streaming);
          expect(summarize(events).filter(({ type }) => type !== "text")).toEqual([
            { type: "ping", payload: "3f" },
            { type: "pong", payload: "21", roundTripTime: undefined },
          ]);
          expect(events.map((event) => (event.type === "text" ? event.text : "")).join("")).toBe("a€b");
          expect(events.at(-1)).toMatchObject({ type: "text", final: true });
        }
      });

      for (const unit of ["a", "é", "€", "😀", "a€😀é"]) {
        it(`long texts of ${unit}, in chunks and fragments that cut anywhere`, () => {
          const text = unit.repeat(Math.ceil(20_000 / bytes(unit).length));
          const payload = bytes(text);
          for (const size of [100, 1023, 1024, 1025, 1027, 4095, 4097, 16383, 16385, 70_000]) {
            const cuts = Array.from({ length: Math.floor(payload.length / size) }, (_, i) => (i + 1) * size);
            const fragmented = framesFromPeer(role, fragments(payload, cuts));
            const events = feedings[0]?.feed(opened(role, mode), fragmented) ?? [];
            checkPieces(events, streaming);
            expect(isText(events, text)).toBe(true);

            const connection = opened(role, mode);
            const wire = fromPeer(role, { opcode: 1, payload });
            const inChunks: ConnectionEvent[] = [];
            for (let at = 0; at < wire.length; at += size) {
              connection.receive(wire.slice(at, at + size), true);
              inChunks.push(...pull(connection));
            }
            checkPieces(inChunks, streaming);
            expect(isText(inChunks, text)).toBe(true);
          }
        });
      }

      // What was gathered is decoded in room that is kept and grows, or, where that would be too much, in room of its own.
      for (const length of [65_535, 65_537, 1_048_576, 1_048_577]) {
        it(`texts of ${length} bytes in chunks of 64 KiB, the last of them wrong in its last byte`, () => {
          const texts = ["é", "€😀"].map((unit) => {
            const size = bytes(unit).length;
            return unit.repeat(Math.floor(length / size)) + "z".repeat(length % size);
          });
          const right = texts.map((text) => bytes(text));
          const wrong = right.map((payload) => payload.slice()).slice(1);
          wrong[0]?.fill(0xff, -1);
          const wire = framesFromPeer(
            role,
            [...right, ...wrong].map((payload) => ({ opcode: 1, payload })),
          );
          const connection = opened(role, mode);
          const events: ConnectionEvent[] = [];
          for (let at = 0; at < wire.length; at += 65_536) {
            connection.receive(wire.slice(at, at + 65_536), true);
            events.push(...pull(connection));
          }
          checkPieces(events, streaming);
          const finals = events.filter((event) => event.type === "text" && event.final);
          expect(finals).toHaveLength(2);
          const told = events.map((event) => (event.type === "text" ? event.text : "")).join("");
          expect(told.startsWith(texts.join(""))).toBe(true);
          expect(told.length > texts.join("").length).toBe(streaming);
          expect(summarize(events).at(-1)).toEqual(failure(wire.length - 1));
        });
      }

      // Chunks of a frame are copied as they arrive where they are short, held where they lie where they are not.
      for (const size of [1, 7, 31, 32, 33, 100, 300]) {
        for (const hex of ["ff", "e282e2", "f09f98f0"]) {
          it(`8.1: 1007 for ${hex} in chunks of ${size} bytes, looked at after each and not before the last`, () => {
            const payload = bytes("a€😀é".repeat(60), fromHex(hex));
            const wire = fromPeer(role, { opcode: 1, payload, claimedLength: 10_000 });
            const seen = opened(role, mode);
            const unseen = opened(role, mode);
            const events: ConnectionEvent[] = [];
            for (let at = 0; at < wire.length; at += size) {
              const isLast = at + size >= wire.length;
              seen.receive(wire.slice(at, at + size));
              unseen.receive(wire.slice(at, at + size), true);
              events.push(...pull(seen));
              if (at < 20) pull(unseen);
              if (!isLast) expect(seen.state).toBe("open");
            }
            unseen.receive(Uint8Array.of(0x80, 0x80, 0x80));
            checkPieces(events, streaming);
            expect(summarize(events).at(-1)).toEqual(failure(wire.length - 1));
            expect(summarize(pull(unseen)).at(-1)).toEqual(failure(wire.length - 1));
          });
        }
      }

      // A piece that ends in a cut code point with another one begun behind it, in pieces of every way of decoding.
      for (const size of [10, 1000, 1024, 1030, 5000, 17_000]) {
        for (const [hex, at] of [
          ["e282e2", 2],
          ["e2e2", 1],
          ["c3c3", 1],
          ["f09f98f0", 3],
          ["f09f98e282", 3],
          ["f0f09f98", 1],
          ["e282f09f98", 2],
          ["ff", 0],
          ["c0", 0],
          ["f880808080", 0],
        ] as const) {
          it(`8.1: 1007 for ${hex} at the end of a piece of ${size} bytes`, () => {
            const text = "é".repeat(size / 2);
            for (const fin of [true, false]) {
              const payload = bytes(text, fromHex(hex));
              // As a fragment, and as the first chunk of a long frame.
              for (const spec of [
                { opcode: 1, fin, payload },
                { opcode: 1, fin, payload, claimedLength: payload.length + 1 },
              ]) {
                const connection = opened(role, mode);
                const wire = fromPeer(role, { ...spec, lengthForm: payload.length < 126 ? 7 : 16 });
                connection.receive(wire);
                const events = pull(connection);
                checkPieces(events, streaming);
                expect(summarize(events).at(-1)).toEqual(failure(wire.length - payload.length + size + at));
              }
            }
          });
        }
      }
    });
  }

  it(`a ${role}'s streamed text comes as it arrives, never cut inside a pair`, () => {
    const connection = opened(role, { streaming: true });
    const wire = fromPeer(role, { opcode: 1, payload: "a😀b" });
    const header = wire.length - 6;
    const arrived: string[] = [];
    for (let at = 0; at < wire.length; at++) {
      connection.receive(wire.slice(at, at + 1));
      for (const event of pull(connection))
        if (event.type === "text") arrived.push(`${at - header} ${event.text}`);
    }
    expect(arrived).toEqual(["0 a", "4 😀", "5 b"]);
  });

  it(`5.6: a ${role} with text "bytes" gives the bytes undecoded, and the text when it is asked for`, () => {
    const connection = opened(role, { text: "bytes" });
    connection.receive(fromPeer(role, { opcode: 1, payload: "\ufeffé" }));
    const event = connection.nextEvent();
    expect(event).toMatchObject({ type: "text", final: true, text: "\ufeffé", data: "\ufeffé" });
    expect(event?.type === "text" && toHex(event.payload)).toBe("efbbbfc3a9");
  });

  it(`a ${role} gives a text's bytes when they are asked for`, () => {
    const connection = opened(role);
    connection.receive(fromPeer(role, { opcode: 1, payload: "é" }));
    const event = connection.nextEvent();
    expect(event?.type === "text" && [toHex(event.payload), event.text]).toEqual(["c3a9", "é"]);
  });

  it.each([
    ["at its first byte", "e2", 0],
    ["at its second", "e282", 0],
    ["after it was finished, at the next", "e282", 1],
  ])(
    `a ${role} reads a long piece behind an open code point: the fault is found %s (RFC 6455 8.1)`,
    (_name, open, valid) => {
      const first = fromPeer(role, { opcode: 1, fin: false, payload: fromHex(open) });
      const missing = valid === 0 ? [] : [0xac, 0xff];
      const piece = concat([new Uint8Array(missing), new Uint8Array(2000).fill(0x61)]);
      const connection = opened(role);
      connection.receive(first);
      connection.receive(fromPeer(role, { opcode: 0, fin: true, payload: piece }));
      const [closing] = pull(connection);
      const start = first.length + 4 + (role === "server" ? 4 : 0);
      expect(closing).toMatchObject({ type: "closing", code: 1007, cause: { offset: start + valid } });
    },
  );

  it(`a ${role}'s platform decodes and encodes where it has a coding`, () => {
    const asked: string[] = [];
    const connection = opened(role, {
      platform: {
        random: () => 0,
        utf8: {
          decode: (data, start, end) => {
            asked.push("decode");
            return decode(data.subarray(start, end));
          },
          encodeInto: (text, target, offset) => {
            asked.push("encodeInto");
            return offset + new TextEncoder().encodeInto(text, target.subarray(offset)).written;
          },
          byteLength: (text) => {
            asked.push("byteLength");
            return bytes(text).length;
          },
        },
      },
    });
    connection.receive(fromPeer(role, { opcode: 1, payload: "é" }));
    expect(summarize(pull(connection))).toEqual([{ type: "text", text: "é", final: true }]);
    const misleading = `a${"é".repeat(2499)}`.repeat(8); // its bytes are guessed by what looks ASCII
    connection.sendText(misleading);
    expect(takeFrames(connection).map(({ payload }) => decode(payload))).toEqual([misleading]);
    expect(new Set(asked)).toEqual(new Set(["decode", "encodeInto", "byteLength"]));
  });
}

function isText(events: readonly ConnectionEvent[], text: string): boolean {
  const [summary, ...more] = summarize(events);
  return more.length === 0 && summary?.type === "text" && summary.final && summary.text === text;
}
