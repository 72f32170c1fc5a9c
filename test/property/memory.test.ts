import fc from "fast-check";
import { describe, expect } from "vitest";

import type { Options, Role } from "../../src/index.js";
import { ClientConnection, Connection, ServerConnection } from "../../src/index.js";
import { seededRandom, VirtualClock } from "../../src/testing/index.js";
import { chunksOf, concat, frameBytes, other, role } from "../support/arbitraries.js";
import { holds } from "../support/property.js";
import { reachableBytes } from "../support/snapshot.js";

// DESIGN "Bounded": memory grows with bytes received and kept. What is measured is every buffer and string that can be reached
// from the connection, each buffer whole, however little of it is in use.

/**
 * What a connection may hold: three times what it has to keep (buffers grow by doubling, and text is held twice while it is
 * decoded), the last chunk, two of the 16 KiB slabs that connections share, and small change.
 */
function bound(kept: number, chunk = 0): number {
  return 3 * kept + chunk + 2 * 16_384 + 24_576;
}

function open(side: Role, options: Options = {}): Connection {
  return new Connection(side, { ...options, platform: { random: seededRandom(1), clock: () => 0 } });
}

const anyKind: fc.Arbitrary<Options> = fc.record({
  streaming: fc.boolean(),
  text: fc.constantFrom("string" as const, "bytes" as const),
});
const anySize = fc.constantFrom(1, 2, 7, 100, 5000, 100_000);

function feed(
  connection: Connection,
  stream: Uint8Array,
  size: number,
  limit: (received: number) => number,
): void {
  let received = 0;
  chunksOf(stream, [size]).forEach((chunk, index, { length }) => {
    connection.receive(chunk);
    received += chunk.length;
    while (connection.nextEvent() !== undefined);
    if (index % Math.ceil(length / 20) === 0 || index === length - 1) {
      expect(reachableBytes(connection)).toBeLessThanOrEqual(limit(received));
    }
  });
}

describe("memory is bounded by what was received and kept", () => {
  holds(
    "a flood of pings whose pongs nobody takes",
    20,
    fc.property(role, anyKind, anySize, fc.nat(125), (side, options, size, length) => {
      const ping = frameBytes({ firstByte: 0x89, payload: new Uint8Array(length) }, other(side));
      const connection = open(side, options);
      feed(connection, concat(Array.from({ length: 2000 }, () => ping)), size, () => bound(65 * 131, size));
      expect(connection.outputSize).toBeLessThanOrEqual(64 * 131);
    }),
  );

  holds(
    "a flood of pongs, of our own pings never answered, and of pings taken but never answered",
    20,
    fc.property(role, fc.boolean(), fc.nat(125), (side, takes, length) => {
      const connection = open(side);
      const payload = new Uint8Array(length);
      const pong = frameBytes({ firstByte: 0x8a, payload }, other(side));
      for (let i = 0; i < 1000; i++) {
        if (takes) connection.ping(payload.fill(i));
        connection.takeOutput();
        connection.receive(pong);
        while (connection.nextEvent() !== undefined);
      }
      expect(reachableBytes(connection)).toBeLessThanOrEqual(bound(16 * 125, 200));
    }),
  );

  holds(
    "a message in one-byte fragments costs what its bytes cost",
    20,
    fc.property(role, anyKind, anySize, fc.constantFrom(1, 2), (side, options, size, opcode) => {
      const frames = Array.from({ length: 20_000 }, (_, index) => ({
        firstByte: index === 0 ? opcode : 0,
        payload: Uint8Array.of(0x61),
      }));
      const stream = concat(frames.map((frame) => frameBytes(frame, other(side))));
      const perByte = stream.length / 20_000;
      const kept = (received: number): number => (options.streaming === true ? 0 : received / perByte);
      feed(open(side, options), stream, size, (received) => bound(kept(received), size));
    }),
  );

  holds(
    "empty fragments cost nothing",
    20,
    fc.property(role, anyKind, anySize, fc.constantFrom(1, 2), (side, options, size, opcode) => {
      const first = frameBytes({ firstByte: opcode, payload: new Uint8Array(0) }, other(side));
      const next = frameBytes({ firstByte: 0, payload: new Uint8Array(0) }, other(side));
      const stream = concat([first, ...Array.from({ length: 20_000 }, () => next)]);
      feed(open(side, options), stream, size, () => bound(0, size));
    }),
  );

  holds(
    "a header that claims a huge length costs what has arrived",
    40,
    fc.property(
      role,
      anyKind,
      fc.constantFrom(1, 2),
      fc.boolean(),
      fc.constantFrom(2 ** 24, 2 ** 31, 2 ** 32 + 5, 2 ** 40, Number.MAX_SAFE_INTEGER),
      fc.nat(20_000),
      anySize,
      (side, options, opcode, fin, claims, arrived, size) => {
        const firstByte = opcode | (fin ? 0x80 : 0);
        const stream = frameBytes({ firstByte, claims, payload: new Uint8Array(arrived) }, other(side));
        const connection = open(side, { ...options, limits: { message: Infinity } });
        const kept = (received: number): number => (options.streaming === true ? 0 : received);
        feed(connection, stream, size, (received) => bound(kept(received), size));
        // Delivered whole, it would be longer than a string can be.
        expect(connection.state).toBe(
          options.streaming === true || claims < 2 ** 29 - 24 ? "open" : "closing",
        );
      },
    ),
  );

  holds(
    "many small chunks that nobody parses cost what their bytes cost",
    20,
    fc.property(role, fc.integer({ min: 1, max: 2000 }), fc.nat(3000), (side, size, count) => {
      const connection = open(side);
      const bytes = Math.min(count * size, 200_000);
      for (const chunk of chunksOf(new Uint8Array(bytes), [size])) connection.receive(chunk);
      expect(reachableBytes(connection)).toBeLessThanOrEqual(bound(bytes, size));
      expect(connection.wantsInput).toBe(bytes < 65_536);
    }),
  );

  holds(
    "a head, whatever its lines, costs its limit",
    20,
    fc.property(
      fc.boolean(),
      anySize,
      fc.constantFrom("\r\n", "x", "a: b\r\n", `long: ${"y".repeat(100)}\r\n`, ":", "a:\r\n"),
      (server, size, line) => {
        const options = { platform: { random: () => 1 } };
        const connection = server ? new ServerConnection(options) : new ClientConnection("ws://h/", options);
        const start = server ? "GET / HTTP/1.1\r\n" : "HTTP/1.1 101 Ok\r\n";
        const stream = Buffer.from(start + line.repeat(Math.ceil(60_000 / line.length)));
        feed(connection, stream, size, () => bound(2 * 16_384, size));
      },
    ),
  );

  holds(
    "a rejection's body costs its limit, however it comes",
    20,
    fc.property(
      anySize,
      fc.constantFrom("length", "chunked", "tiny chunks", "trailers", "end"),
      (size, how) => {
        const client = new ClientConnection("ws://h/", {
          platform: { random: () => 1 },
          limits: { body: 10_000 },
        });
        const data = "z".repeat(60_000);
        const rest = {
          length: `Content-Length: 900000000\r\n\r\n${data}`,
          chunked: `Transfer-Encoding: chunked\r\n\r\nffffff\r\n${data}`,
          "tiny chunks": `Transfer-Encoding: chunked\r\n\r\n${"1\r\nz\r\n".repeat(9_000)}`,
          trailers: `Transfer-Encoding: chunked\r\n\r\n0\r\n${"a: b\r\n".repeat(9_000)}`,
          end: `\r\n${data}`,
        };
        feed(client, Buffer.from(`HTTP/1.1 500 No\r\n${rest[how]}`), size, () => bound(10_000, size));
      },
    ),
  );

  holds(
    "once closed, a connection holds nothing of what came",
    30,
    fc.property(role, anyKind, fc.constantFrom("Close", "fault", "end", "loss"), (side, options, how) => {
      const clock = new VirtualClock();
      const platform = { random: seededRandom(1), clock: clock.now };
      const connection = new Connection(side, { ...options, platform });
      const part = frameBytes({ firstByte: 2, payload: new Uint8Array(300_000) }, other(side));
      connection.receive(part);
      while (connection.nextEvent() !== undefined);
      connection.sendBinary(new Uint8Array(300_000));
      const last = how === "Close" ? [0x88] : [0x8f];
      if (how === "Close" || how === "fault") {
        connection.receive(frameBytes({ firstByte: last[0] ?? 0, payload: new Uint8Array(0) }, other(side)));
      }
      if (how === "loss") connection.transportLost();
      else connection.receiveEnd();
      while (connection.nextEvent() !== undefined);
      connection.takeOutput();
      while (connection.nextEvent() !== undefined);
      // A transport that cannot be half closed is given time to write.
      if (connection.deadline !== undefined) clock.advanceTo(connection.deadline);
      connection.handleTimeout();
      while (connection.nextEvent() !== undefined);
      expect(connection.state).toBe("closed");
      expect(reachableBytes(connection)).toBeLessThanOrEqual(bound(0));
    }),
  );
});
