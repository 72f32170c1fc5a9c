import { describe, expect, it } from "vitest";

import type { Options } from "../../src/index.js";
import { ClientConnection, Connection, ServerConnection } from "../../src/index.js";
import { concat, frameBytes } from "../support/arbitraries.js";
import { hex, joined, pull, takeAll } from "../support/observe.js";
import { parseMessages } from "../support/parser.js";
import { reachableBytes } from "../support/snapshot.js";

// What the properties found once, shrunk: each row is a case that went wrong.

const PLATFORM = { random: () => 0x01020304, clock: () => 0 };

function openServer(options: Options = {}): Connection {
  return new Connection("server", { ...options, platform: PLATFORM });
}

function fromClient(firstByte: number, payload: Uint8Array | string = ""): Uint8Array {
  return frameBytes(
    { firstByte, payload: typeof payload === "string" ? Buffer.from(payload) : payload },
    "client",
  );
}

const ROWS: readonly (readonly [name: string, check: () => void])[] = [
  [
    "65 pings that wait for their pongs, then close(): no pong follows the Close (RFC 6455 5.5.1)",
    () => {
      const server = openServer();
      server.receive(concat(Array.from({ length: 65 }, () => fromClient(0x89, "p"))));
      pull(server);
      server.close(1000);
      expect(parseMessages(takeAll(server), "server").at(-1)?.type).toBe("close");
    },
  ],
  [
    "a Buffer that is received, not owned, is copied: it is not unmasked in place, and may be filled again",
    () => {
      const server = openServer();
      const buffer = Buffer.from(fromClient(0x82, "hello"));
      const before = hex(buffer);
      server.receive(buffer);
      const event = pull(server)[1];
      expect(hex(buffer)).toBe(before);
      buffer.fill(0);
      expect(event?.["payload"]).toBe(hex(Buffer.from("hello")));
    },
  ],
  [
    "a Buffer's view as an event's payload stays as it is when the Buffer is filled again",
    () => {
      const server = openServer();
      const buffer = Buffer.from(fromClient(0x82, "hello"));
      server.receive(buffer);
      server.nextEvent();
      const event = server.nextEvent();
      buffer.fill(0);
      expect(event?.type === "binary" && Buffer.from(event.payload).toString()).toBe("hello");
    },
  ],
  [
    "the latest of too many pings, received in a Buffer, is answered with its own payload",
    () => {
      const server = openServer();
      const owned = Buffer.from(
        concat(Array.from({ length: 65 }, (_, index) => fromClient(0x89, `${index}`))),
      );
      server.receive(owned, true);
      pull(server);
      owned.fill(0);
      const last = parseMessages(takeAll(server), "server").at(-1);
      expect(Buffer.from(last?.payload ?? []).toString()).toBe("64");
    },
  ],
  [
    "a ping's payload, a Buffer that is filled again, is still known when its pong comes",
    () => {
      const server = openServer();
      const payload = Buffer.from("abc");
      server.ping(payload);
      payload.fill(0);
      server.takeOutput();
      server.receive(fromClient(0x8a, "abc"));
      expect(pull(server).at(-1)).toMatchObject({ type: "pong", roundTripTime: 0 });
    },
  ],
  [
    "streaming text with a byte that is not UTF-8: what is right before it is told, whole and byte by byte",
    () => {
      const seen = [1, 1000].map((size) => {
        const server = openServer({ streaming: true });
        const stream = fromClient(0x81, Buffer.from([0x61, 0xc3, 0xa9, 0xff, 0x62]));
        const events = [];
        for (let at = 0; at < stream.length; at += size) {
          server.receive(stream.slice(at, at + size));
          events.push(...pull(server));
        }
        return joined(events).map(({ type, text, code }) => ({ type, text, code }));
      });
      expect(seen[0]).toEqual([
        { type: "open", text: undefined, code: undefined },
        { type: "text", text: "a\u00e9", code: undefined },
        { type: "closing", text: undefined, code: 1007 },
      ]);
      expect(seen[1]).toEqual(seen[0]);
    },
  ],
  [
    "a client's connection that fails in the response's head is 1006, not an HTTP status",
    () => {
      const client = new ClientConnection("ws://h/", { platform: PLATFORM });
      client.receive(Buffer.from("HTTP/1.1 101 Ok\r\nbad header: x\r\n"));
      expect(pull(client).at(0)).toMatchObject({ type: "closing", code: 1006 });
    },
  ],
  [
    "close() after the transport was lost, before `open`, is too late",
    () => {
      const client = new ClientConnection("ws://h/", { platform: PLATFORM });
      client.transportLost();
      expect(client.close()).toBe(false);
    },
  ],
  [
    "receiveRequest() with a request that is none throws and keeps nothing of its head",
    () => {
      const server = new ServerConnection({ platform: PLATFORM });
      const size = reachableBytes(server);
      expect(() => {
        Reflect.apply(server.receiveRequest.bind(server), server, [{ method: "GET" }, new Uint8Array(100)]);
      }).toThrow();
      expect(reachableBytes(server)).toBe(size);
    },
  ],
  ...["loss", "end"].map((how): readonly [string, () => void] => [
    `closed by the transport's ${how} in the middle of a message, a connection holds nothing of it`,
    () => {
      const server = openServer();
      server.receive(fromClient(0x02, new Uint8Array(300_000)));
      pull(server);
      if (how === "loss") server.transportLost();
      else server.receiveEnd();
      expect(pull(server).at(-1)?.type).toBe("closed");
      expect(reachableBytes(server)).toBeLessThan(20_000);
    },
  ]),
];

describe("what the properties found", () => {
  it.each(ROWS)("%s", (_, check) => {
    check();
  });
});
