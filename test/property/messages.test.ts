import fc from "fast-check";
import { describe, expect } from "vitest";

import { nodePlatform } from "../../src/adapters/node.js";
import type { Options } from "../../src/index.js";
import { Connection } from "../../src/index.js";
import { seededRandom } from "../../src/testing/index.js";
import type { DrawnFrame } from "../support/arbitraries.js";
import {
  anyChunking,
  anyOptions,
  chunksOf,
  concat,
  frameBytes,
  lawfulFrames,
  other,
  pingFrame,
  pongFrame,
  role,
} from "../support/arbitraries.js";
import type { PlainEvent } from "../support/observe.js";
import { hex, joined, pull } from "../support/observe.js";
import { holds } from "../support/property.js";

/** The events without the control frames' and without places in the stream, which move. */
function messageEvents(events: readonly PlainEvent[]): PlainEvent[] {
  const kept = events.filter(({ type }) => type !== "ping" && type !== "pong");
  return joined(kept).map((event) => {
    const { cause, ...rest } = event;
    return typeof cause === "object" ? { ...rest, cause: { ...cause, offset: 0 } } : event;
  });
}

function run(
  side: "client" | "server",
  options: Options,
  frames: readonly DrawnFrame[],
  sizes: readonly number[],
): PlainEvent[] {
  const connection = new Connection(side, { ...options, platform: { random: seededRandom(1) } });
  const stream = concat(frames.map((frame) => frameBytes(frame, other(side))));
  const events = pull(connection);
  for (const chunk of chunksOf(stream, sizes)) {
    connection.receive(chunk);
    events.push(...pull(connection));
    connection.takeOutput();
  }
  connection.receiveEnd();
  events.push(...pull(connection));
  connection.takeOutput();
  events.push(...pull(connection));
  return events;
}

describe("control frames and messages (RFC 6455 5.4, 5.5)", () => {
  holds(
    "a ping or a pong put in at any frame boundary changes no message, and is told itself where the connection still reads",
    400,
    fc.property(
      role,
      anyOptions,
      lawfulFrames,
      fc.array(fc.tuple(fc.nat(1000), fc.oneof(pingFrame, pongFrame)), { minLength: 1, maxLength: 6 }),
      anyChunking,
      (side, options, frames, more, sizes) => {
        const mixed = [...frames];
        for (const [place, frame] of more)
          mixed.splice(Math.floor(((mixed.length + 1) * place) / 1001), 0, frame);
        const before = run(side, options, frames, [1_000_000]);
        const after = run(side, options, mixed, sizes);
        expect(messageEvents(after)).toEqual(messageEvents(before));
        if (before.some(({ type }) => type === "closing")) return;
        const controls = mixed.filter(({ firstByte }) => firstByte === 0x89 || firstByte === 0x8a);
        expect(
          after.filter(({ type }) => type === "ping" || type === "pong").map(({ payload }) => payload),
        ).toEqual(controls.map(({ payload }) => hex(payload)));
      },
    ),
  );

  holds(
    "however a message is fragmented, empty fragments too, it is the same message",
    300,
    fc.property(
      role,
      fc.constantFrom("string" as const, "bytes" as const),
      fc.boolean(),
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.array(fc.nat(240), { maxLength: 10 }),
      anyChunking,
      fc.boolean(),
      (side, text, streaming, content, cuts, sizes, binary) => {
        const payload = new Uint8Array(Buffer.from(content));
        const opcode = binary ? 2 : 1;
        const places = [0, ...cuts.map((cut) => cut % (payload.length + 1)), payload.length].sort(
          (a, b) => a - b,
        );
        const fragments = places.slice(1).map((end, index): DrawnFrame => ({
          firstByte: (index === 0 ? opcode : 0) | (index === places.length - 2 ? 0x80 : 0),
          payload: payload.subarray(places[index], end),
        }));
        const [, ...events] = run(side, { text, streaming }, fragments, sizes);
        const [message, ...rest] = joined(events);
        expect(message).toEqual({
          type: binary ? "binary" : "text",
          ...(binary ? {} : { text: content }),
          payload: hex(payload),
          final: true,
        });
        expect(rest.map(({ type }) => type)).toEqual(["closed"]);
      },
    ),
  );

  holds(
    "a long text is the same however it is cut: into chunks, pieces of any size among them, and into fragments",
    60,
    fc.property(
      role,
      fc.record({
        streaming: fc.boolean(),
        text: fc.constantFrom("string" as const, "bytes" as const),
        limits: fc.constant({ message: Infinity }),
      }),
      fc.constantFrom("a", "\u00e9", "\u4e2d", "\u{1f600}", "ab\u4e2d"),
      fc.oneof(
        fc.integer({ min: 1, max: 70_000 }),
        fc.constantFrom(131_072, 1_048_576, 1_048_577, 1_300_000),
      ),
      fc.array(fc.integer({ min: 1, max: 1000 }), { maxLength: 3 }),
      fc.array(fc.constantFrom(31, 300, 1460, 5000, 20_000, 65_536, 400_000), { minLength: 1, maxLength: 6 }),
      (side, options, unit, size, cuts, sizes) => {
        const width = Buffer.byteLength(unit);
        const text = "x".repeat(size % width) + unit.repeat(Math.floor(size / width));
        const payload = new Uint8Array(Buffer.from(text));
        const ends = [...cuts.map((part) => Math.floor((size * part) / 1000)).sort((a, b) => a - b), size];
        const frames = ends.map((end, index) => ({
          firstByte: (index === 0 ? 1 : 0) | (index === cuts.length ? 0x80 : 0),
          payload: payload.subarray(ends[index - 1] ?? 0, end),
        }));
        const connection = new Connection(side, {
          ...options,
          platform: { ...nodePlatform, random: seededRandom(1) },
        });
        let told = "";
        for (const chunk of chunksOf(concat(frames.map((frame) => frameBytes(frame, other(side)))), sizes)) {
          connection.receive(new Uint8Array(chunk), true);
          for (const event of connection.events()) if (event.type === "text") told += event.text;
        }
        expect(told === text).toBe(true); // a difference would be printed for minutes
      },
    ),
  );

  holds(
    "with streaming a piece is never empty unless it is final, and a text is never cut inside a surrogate pair",
    300,
    fc.property(role, anyOptions, lawfulFrames, anyChunking, (side, options, frames, sizes) => {
      const events = run(side, { ...options, streaming: true }, frames, sizes);
      const wrong = events.filter(({ type, payload, text, final }) => {
        if (type !== "text" && type !== "binary") return false;
        if (final === false && payload === "") return true;
        return type === "text" && Buffer.from(String(text)).toString("hex") !== payload;
      });
      expect(wrong).toEqual([]);
    }),
  );

  holds(
    "events stay as they were, whatever comes after them",
    200,
    fc.property(
      role,
      anyOptions,
      lawfulFrames,
      anyChunking,
      fc.boolean(),
      (side, options, frames, sizes, owned) => {
        const connection = new Connection(side, { ...options, platform: { random: seededRandom(1) } });
        const kept: Uint8Array[] = [];
        const copies: string[] = [];
        const look = (): void => {
          for (const event of connection.events()) {
            if (!("payload" in event)) continue;
            kept.push(event.payload);
            copies.push(hex(event.payload));
          }
        };
        for (const chunk of chunksOf(concat(frames.map((frame) => frameBytes(frame, other(side)))), sizes)) {
          // A host that reads into one buffer again and again.
          const lent = chunk.slice();
          connection.receive(lent, owned);
          look();
          if (!owned) lent.fill(0xee);
          for (const taken of connection.takeOutput() ?? []) taken.fill(0xdd);
        }
        expect(kept.map(hex)).toEqual(copies);
      },
    ),
  );
});
