import { createHash } from "node:crypto";

import fc from "fast-check";
import { describe, expect } from "vitest";

import type { Options, Role } from "../../src/index.js";
import { ClientConnection, Connection, ServerConnection } from "../../src/index.js";
import { seededRandom, VirtualClock } from "../../src/testing/index.js";
import {
  anyChunking,
  anyOptions,
  chunksOf,
  frameStream,
  headStream,
  other,
  requestStream,
} from "../support/arbitraries.js";
import type { PlainEvent } from "../support/observe.js";
import { hex, joined, pull, takeAll } from "../support/observe.js";
import { holds } from "../support/property.js";

// DESIGN "Chunking never matters": the same events once adjacent pieces of a message are joined, the same output.

interface Seen {
  readonly events: PlainEvent[];
  readonly output: string;
  readonly last: string;
}

/** What a connection makes of `chunks` and then the end; how events are pulled in between is part of the chunking. */
function observe(make: Make, chunks: readonly Uint8Array[], how: How): Seen {
  const clock = new VirtualClock();
  const connection = make(clock);
  const events: PlainEvent[] = [];
  const look = (): void => {
    for (const event of pull(connection)) {
      events.push(event);
      if (event.type === "request" && connection instanceof ServerConnection) {
        connection.accept();
        look();
      }
    }
  };
  if (how.lookBefore) look();
  chunks.forEach((chunk, index) => {
    if (how.owned) connection.receive(chunk.slice(), true);
    else {
      const lent = chunk.slice();
      connection.receive(lent);
      lent.fill(0xee); // it was copied
    }
    if (index % how.lookEvery === 0) look();
  });
  look();
  const output = hex(takeAll(connection));
  connection.receiveEnd();
  look();
  const last = hex(takeAll(connection));
  look();
  // A transport that cannot be half closed is given time to write.
  while (connection.deadline !== undefined) {
    clock.advanceTo(Math.max(clock.now(), connection.deadline));
    connection.handleTimeout();
    look();
  }
  return { events: joined(events), output, last };
}

interface How {
  readonly owned: boolean;
  readonly lookBefore: boolean;
  /** Events are pulled after every so many chunks. */
  readonly lookEvery: number;
}

const anyHow: fc.Arbitrary<How> = fc.record({
  owned: fc.boolean(),
  lookBefore: fc.boolean(),
  lookEvery: fc.constantFrom(1, 1, 2, 5, 1000),
});
const WHOLE: How = { owned: false, lookBefore: true, lookEvery: 1 };

type Make = (clock: VirtualClock) => Connection;

function compares(make: Make, stream: Uint8Array, sizes: readonly number[], how: How): void {
  const whole = observe(make, [stream], WHOLE);
  expect(observe(make, chunksOf(stream, sizes), how)).toEqual(whole);
  expect(whole.events.filter(({ type }) => type === "closed")).toHaveLength(1);
}

function withPlatform(options: Options, clock = new VirtualClock()): Options {
  return { ...options, platform: { random: seededRandom(7), clock: clock.now } };
}

/** What a server answers to the client that `withPlatform` makes. */
function responseLines(): readonly string[] {
  const request = new ClientConnection("ws://example.com/", withPlatform({})).request;
  const key = request.headers.find(([name]) => name === "Sec-WebSocket-Key")?.[1] ?? "";
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
  ];
}

const FURTHER = [
  "X-More: \u00e9",
  "Sec-WebSocket-Protocol: a",
  "Upgrade: h2c",
  "Content-Length: 3",
  "X Bad: 1",
];

const responseStream: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: headStream(responseLines(), FURTHER, frameStream("server")) },
  {
    weight: 1,
    arbitrary: headStream(
      ["HTTP/1.1 100 Continue"],
      ["X: y"],
      headStream(responseLines(), FURTHER, frameStream("server")),
    ),
  },
  {
    weight: 1,
    arbitrary: headStream(
      ["HTTP/1.1 404 Not Found", "Content-Length: 20"],
      FURTHER,
      fc.uint8Array({ maxLength: 40 }),
    ),
  },
  {
    weight: 1,
    arbitrary: headStream(
      ["HTTP/1.1 503 Service Unavailable", "Transfer-Encoding: chunked"],
      ["Retry-After: 5"],
      fc
        .array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 3 })
        .map((parts) =>
          Buffer.from(
            [
              ...parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`),
              "0\r\n\r\n",
            ].join(""),
          ),
        ),
    ),
  },
);

describe.each<Role>(["server", "client"])("chunking never matters to a %s", (side) => {
  describe.each([false, true])("with streaming: %s", (streaming) => {
    describe.each(["string", "bytes"] as const)('and text: "%s"', (text) => {
      holds(
        "once open: any chunks of any frames give the same events and the same output",
        150,
        fc.property(
          frameStream(other(side)),
          anyChunking,
          anyHow,
          anyOptions,
          (stream, sizes, how, options) => {
            const full = { ...options, streaming, text };
            compares((clock) => new Connection(side, withPlatform(full, clock)), stream, sizes, how);
          },
        ),
      );
    });
  });

  holds(
    "from the opening handshake on: any chunks of any head and frames give the same events and the same output",
    300,
    fc.property(
      side === "server" ? requestStream : responseStream,
      anyChunking,
      anyHow,
      anyOptions,
      (stream, sizes, how, options) => {
        const make = (clock: VirtualClock): Connection =>
          side === "server"
            ? new ServerConnection(withPlatform(options, clock))
            : new ClientConnection("ws://example.com/", withPlatform(options, clock));
        compares(make, stream, sizes, how);
      },
    ),
  );
});
