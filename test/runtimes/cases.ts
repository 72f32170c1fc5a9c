// The one suite of the adapters: what each of them has to do, on each runtime. A case is a name and a function; nothing here
// knows a runtime or a test runner.

import { deepEqual, equal, ok } from "node:assert/strict";
import * as http from "node:http";

import { WebSocket, WebSocketServer } from "ws";

import { HandshakeError } from "../../src/adapters/dial.js";
import { webPlatform } from "../../src/adapters/engine.js";
import type { EndpointOptions } from "../../src/adapters/endpoint.js";
import type { Message, Peer } from "../../src/adapters/peer.js";
import { systemPlatform } from "../../src/adapters/system.js";
import { UsageError } from "../../src/errors.js";
import type { ClosedEvent } from "../../src/events.js";
import { upgradeRequest } from "../support/http.js";
import { bytes, closePayload, frame } from "../support/wire.js";
import type { Over, RawSocket, Tools } from "./tools.js";
import { acceptByHand, deferred, eventually, pattern, rejection, take, wait } from "./tools.js";

export interface Case {
  readonly name: string;
  run(tools: Tools): Promise<void>;
}

/** Longer than any case may take: a time-out that must not be what ends it. */
const LONG = 3_600_000;
const KIB = 1024;
const MIB = 1024 * KIB;

const OVER: readonly Over[] = ["tcp", "tls", "unix"];

/** Both sides of every length's boundary (RFC 6455 5.2), and one that no socket takes at once. */
const SIZES: readonly number[] = [0, 1, 125, 126, 127, 65535, 65536, 65537, MIB];

const ECHO: EndpointOptions = {
  message(peer, message) {
    peer.send(message.data);
  },
};

/** A text of so many bytes, with characters of every length in it. */
function textOf(size: number): string {
  const mixed = "a\u00e9\u20ac\u{1f600}"; // 1 + 2 + 3 + 4 bytes
  return mixed.repeat(Math.floor(size / 10)) + "z".repeat(size % 10);
}

function echoes(over: Over, size: number): Case {
  return {
    name: `echo over ${over}: text and binary of ${size} bytes`,
    async run(t) {
      const server = await t.serve(ECHO, over);
      const peer = await server.connect();
      const binary = pattern(size);
      const text = textOf(size);
      peer.send(binary);
      peer.send(text);
      const [first, second] = await take(peer, 2);
      ok(first?.type === "binary" && second?.type === "text");
      ok(Buffer.from(binary).equals(first.payload));
      equal(second.text === text, true);
      peer.close();
      equal((await peer.closed).clean, true);
    },
  };
}

/** A client from npm, that waits for what it is sent. */
function wsClient(t: Tools, url: string, options: WebSocket.ClientOptions = {}): WebSocket {
  const client = new WebSocket(url, { ca: t.tls.ca, perMessageDeflate: false, ...options });
  t.atEnd(() => {
    client.terminate();
  });
  return client;
}

function once(client: WebSocket, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    client.once("error", reject);
    client.once(event, (...args: unknown[]) => {
      client.off("error", reject);
      resolve(args);
    });
  });
}

/** A server from npm that sends all messages back; gives its URL. */
async function wsServer(t: Tools, options: object = {}): Promise<string> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, ...options });
  await new Promise((resolve) => server.once("listening", resolve));
  server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => {
      socket.send(data, { binary: isBinary });
    });
  });
  t.atEnd(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}/`;
}

const MESSAGES: readonly (Uint8Array | string)[] = SIZES.flatMap((size) => [pattern(size), textOf(size)]);

const WITH_WS: readonly Case[] = [
  ...(["tcp", "tls"] as const).map((over): Case => ({
    name: `a client from npm on our server over ${over}: every size`,
    async run(t) {
      const server = await t.serve(ECHO, over);
      const client = wsClient(t, server.url);
      await once(client, "open");
      for (const message of MESSAGES) {
        client.send(message);
        const [data, isBinary] = (await once(client, "message")) as [Buffer, boolean];
        equal(isBinary, typeof message !== "string");
        ok(data.equals(Buffer.from(message)));
      }
      client.close(4000, "done");
      const [code, reason] = await once(client, "close");
      deepEqual([code, String(reason)], [4000, "done"]);
      await eventually(() => server.peers.size === 0);
    },
  })),
  {
    name: "our client on a server from npm: every size",
    async run(t) {
      const peer = await t.connect(await wsServer(t));
      for (const message of MESSAGES) {
        peer.send(message);
        const [back] = await take(peer, 1);
        ok(back?.type === (typeof message === "string" ? "text" : "binary"));
        ok(Buffer.from(message).equals(back.payload));
      }
      peer.close(4000, "done");
      const { code, clean } = await peer.closed;
      deepEqual([code, clean], [4000, true]);
    },
  },
];

const MANY = 48;

/** What a server has sent, at most, to someone who reads nothing: what both systems buffer, and a little. */
const UNREAD_AT_MOST = 24 * MIB;

const BACKPRESSURE: readonly Case[] = [
  ...OVER.map((over): Case => ({
    name: `back pressure over ${over}: who waits for drained() fills no memory, and all arrives`,
    async run(t) {
      const sent = deferred();
      let peak = 0;
      let count = 0;
      const server = await t.serve(
        {
          async open(peer) {
            for (; count < MANY; count++) {
              peak = Math.max(peak, peer.bufferedAmount);
              if (!peer.send(pattern(MIB, count))) await peer.drained();
            }
            sent.resolve();
          },
        },
        over,
      );
      const before = process.memoryUsage().rss;
      const client = await server.connect();
      let standstill = -1;
      while (standstill !== count) {
        standstill = count;
        await wait(50); // nothing moves any more
      }
      ok(count * MIB < UNREAD_AT_MOST, `${count} MiB were sent to one who reads none`);
      ok(peak <= 2 * MIB, `${peak} bytes were buffered`);
      let index = 0;
      for (const message of await take(client, MANY)) {
        ok(Buffer.from(pattern(MIB, index++)).equals(message.payload));
      }
      await sent.promise;
      const grown = process.memoryUsage().rss - before;
      ok(grown < 400 * MIB, `the process grew by ${grown} bytes`);
    },
  })),
  ...OVER.map((over): Case => ({
    name: `back pressure over ${over}: who reads slowly slows the sender down`,
    async run(t) {
      const arrived = deferred<Peer>();
      const server = await t.serve({ open: (peer) => arrived.resolve(peer) }, over);
      const client = await server.connect();
      const reader = await arrived.promise;
      let sent = 0;
      const sending = (async () => {
        for (; sent < MANY; sent++) if (!client.send(pattern(MIB, sent))) await client.drained();
      })();
      let standstill = -1;
      while (standstill !== sent) {
        standstill = sent;
        await wait(50);
      }
      ok(sent * MIB < UNREAD_AT_MOST, `${sent} MiB were sent to one who reads none`);
      let index = 0;
      for (const message of await take(reader, MANY)) {
        ok(Buffer.from(pattern(MIB, index++)).equals(message.payload));
      }
      await sending;
    },
  })),
  {
    name: "back pressure: `drain` is told, once there is room",
    async run(t) {
      const drained = deferred();
      let returned: boolean | undefined;
      const server = await t.serve({
        open(peer) {
          returned = peer.send(new Uint8Array(16 * MIB));
        },
        drain: () => drained.resolve(),
      });
      const raw = await t.raw(server.port, { reading: false });
      raw.send(upgradeRequest());
      await eventually(() => returned !== undefined);
      equal(returned, false);
      raw.stream.resume();
      await drained.promise;
    },
  },
  {
    name: "bytes that were received stay as they are, while more come",
    async run(t) {
      const server = await t.serve(ECHO);
      const client = await server.connect();
      const sizes = Array.from({ length: 300 }, (_, i) => (i * 37) % 9000);
      for (const [i, size] of sizes.entries()) if (!client.send(pattern(size, i))) await client.drained();
      const kept = await take(client, sizes.length);
      for (const [i, size] of sizes.entries())
        ok(Buffer.from(pattern(size, i)).equals(kept[i]?.payload ?? bytes()));
    },
  },
  {
    name: "one byte at a time",
    async run(t) {
      const server = await t.serve(ECHO);
      const raw = await t.raw(server.port);
      for (const byte of bytes(upgradeRequest())) raw.send(Uint8Array.of(byte));
      equal((await raw.head()).status, 101);
      for (const byte of frame({ opcode: 2, payload: pattern(300), masked: true }))
        raw.send(Uint8Array.of(byte));
      ok(Buffer.from(pattern(300)).equals((await raw.frame()).payload));
    },
  },
  {
    name: "2,000 messages in one write, all answered, in order",
    async run(t) {
      const server = await t.serve(ECHO);
      const raw = await t.rawClient(server.port);
      const all = Array.from({ length: 2000 }, (_, i) => frame({ opcode: 1, payload: `${i}`, masked: true }));
      raw.send(...all);
      for (let i = 0; i < all.length; i++) equal(Buffer.from((await raw.frame()).payload).toString(), `${i}`);
    },
  },
];

const STREAMING: readonly Case[] = [
  {
    name: "streaming: pieces come as they arrive, and are the message",
    async run(t) {
      const pieces: Message[] = [];
      const server = await t.serve({ streaming: true, message: (_, piece) => void pieces.push(piece) });
      const client = await server.connect();
      const whole = pattern(3 * MIB);
      client.send(whole);
      await eventually(() => pieces.at(-1)?.final === true);
      ok(pieces.length > 1);
      equal(pieces.filter(({ final }) => final).length, 1);
      ok(Buffer.from(whole).equals(Buffer.concat(pieces.map(({ payload }) => payload))));
    },
  },
  {
    name: "streaming: the first piece is there before the rest is sent",
    async run(t) {
      const first = deferred();
      const server = await t.serve({ streaming: true, message: () => first.resolve() });
      const client = await server.connect();
      const writer = client.startMessage("text");
      writer.write("be");
      await first.promise;
      writer.end("gin");
    },
  },
  {
    name: "a message sent in fragments is one message",
    async run(t) {
      const server = await t.serve(ECHO);
      const client = await server.connect();
      const writer = client.startMessage("binary");
      for (let i = 0; i < 10; i++) writer.write(pattern(1000, i));
      writer.end();
      const [back] = await take(client, 1);
      const whole = Buffer.concat(Array.from({ length: 10 }, (_, i) => pattern(1000, i)));
      ok(whole.equals(back?.payload ?? bytes()));
    },
  },
  {
    name: "a ping is answered, and tells the time it took",
    async run(t) {
      const server = await t.serve(ECHO);
      const client = await server.connect({ message: () => undefined });
      const time = await client.ping();
      ok(time !== undefined && time >= 0);
    },
  },
];

/** What a server answers, and what a client makes of it. */
const REJECTIONS: readonly (readonly [string, EndpointOptions, string, number])[] = [
  ["by the hook", { upgrade: () => ({ status: 403, body: "no" }) }, "/", 403],
  ["by the hook, later", { upgrade: async () => wait(5).then(() => ({ status: 401 })) }, "/", 401],
  [
    "by a hook that throws",
    { upgrade: () => Promise.reject(new Error("broken")), error: () => undefined },
    "/",
    500,
  ],
  ["by the path", { path: "/here" }, "/there", 404],
  ["by a redirect", { upgrade: () => ({ status: 302, headers: { location: "/there" } }) }, "/", 302],
];

const HANDSHAKE: readonly Case[] = [
  {
    name: "subprotocols: the server chooses, both know",
    async run(t) {
      let chosen: string | undefined;
      const server = await t.serve({
        upgrade: ({ subprotocols }) => ({ subprotocol: subprotocols[1] }),
        open: (peer) => void (chosen = peer.subprotocol),
      });
      const client = await server.connect({ subprotocols: ["a", "b"] });
      equal(client.subprotocol, "b");
      equal(chosen, "b");
      equal((await server.connect()).subprotocol, undefined);
    },
  },
  {
    name: "headers, target and address of a request; headers of the response; the context",
    async run(t) {
      const seen = deferred<unknown>();
      const server = await t.serve<{ user: string }>({
        upgrade({ headers, target }, { remoteAddress }) {
          const user = headers.find(([name]) => name.toLowerCase() === "x-user")?.[1] ?? "";
          return { context: { user: `${user} ${target} ${remoteAddress}` }, headers: { "X-Answer": "42" } };
        },
        open: (peer) => seen.resolve(peer.context.user),
      });
      const client = await server.connect({ headers: { "X-User": "ada" } }, "/path?query=1");
      equal(await seen.promise, "ada /path?query=1 127.0.0.1");
      equal(client.headers.find(([name]) => name.toLowerCase() === "x-answer")?.[1], "42");
      equal(client.remoteAddress, "127.0.0.1");
    },
  },
  {
    name: "a unix socket has a path for an address, and no URL",
    async run(t) {
      const server = await t.serve(ECHO, "unix");
      equal(typeof server.address, "string");
      equal(server.url, "");
      const { closed } = await server.connect();
      await server.close();
      equal((await closed).code, 1001);
    },
  },
  {
    name: "without a host all addresses are listened on, and the URL leads there",
    async run(t) {
      const server = await t.serve({ ...ECHO, host: undefined });
      const client = await server.connect();
      client.send("hi");
      equal((await take(client, 1))[0]?.data, "hi");
      client.close();
    },
  },
  {
    name: "a port that is taken: the system's error",
    async run(t) {
      const { port } = await t.serve();
      const error = await rejection(t.adapter.serve({ host: "127.0.0.1", port }));
      equal((error as { code?: unknown }).code, "EADDRINUSE");
    },
  },
  ...REJECTIONS.map(([name, options, path, status]): Case => ({
    name: `rejected ${name}: ${status}`,
    async run(t) {
      const server = await t.serve(options);
      const error = await rejection(server.connect({}, path));
      ok(error instanceof HandshakeError);
      equal(error.response?.status, status);
      equal(server.peers.size, 0);
      const raw = await t.raw(server.port);
      raw.send(upgradeRequest({}, { line: `GET ${path} HTTP/1.1` }));
      equal((await raw.response()).status, status);
    },
  })),
  {
    name: "what is no request is answered 400, and the connection ended",
    async run(t) {
      const server = await t.serve();
      const raw = await t.raw(server.port);
      raw.send("NONSENSE\r\n\r\n");
      equal((await raw.response()).status, 400);
    },
  },
  {
    name: "an HTTP server that knows no WebSocket: its response is told",
    async run(t) {
      const server = http.createServer((_, response) => response.writeHead(404).end("nothing here"));
      server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      t.atEnd(() => server.close());
      const { port } = server.address() as { port: number };
      const error = await rejection(t.connect(`ws://127.0.0.1:${port}/`));
      ok(error instanceof HandshakeError);
      equal(error.response?.status, 404);
    },
  },
  ...(["tcp", "unix"] as const).map((over): Case => ({
    name: `nobody listens, over ${over}: a HandshakeError with the system's code`,
    async run(t) {
      const server = await t.serve({}, over);
      await server.close();
      const error = await rejection(server.connect());
      ok(error instanceof HandshakeError);
      equal(error.cause.by, "transport");
      const { code } = error.cause.error as { code?: string };
      ok(code === "ECONNREFUSED" || code === "ENOENT", code);
    },
  })),
  {
    name: "arguments that cannot be sent: a UsageError, on all alike",
    async run(t) {
      const mistakes: readonly (readonly [string, Promise<unknown>])[] = [
        ["bad-url", t.connect("nowhere")],
        ["bad-header", t.connect("ws://127.0.0.1:1/", { headers: { "X-Line": "a\r\nb" } })],
        ["bad-subprotocol", t.connect("ws://127.0.0.1:1/", { subprotocols: ["a b"] })],
        ["bad-option", t.adapter.serve({ path: "x" })],
      ];
      for (const [code, made] of mistakes) {
        const error = await rejection(made);
        ok(error instanceof UsageError);
        equal(error.code, code);
      }
    },
  },
  {
    name: "a connection is open at once where messages come with the response",
    async run(t) {
      const url = await t.rawServer((raw) => acceptByHand(raw, frame({ opcode: 1, payload: "at once" })));
      equal((await take(await t.connect(url), 1))[0]?.data, "at once");
    },
  },
  {
    name: "messages that come with the request are not lost",
    async run(t) {
      const server = await t.serve({ ...ECHO, upgrade: () => wait(5) as Promise<undefined> });
      const raw = await t.rawClient(server.port, frame({ opcode: 1, payload: "at once", masked: true }));
      equal(Buffer.from((await raw.frame()).payload).toString(), "at once");
    },
  },
];

const GIVEN_UP: readonly Case[] = [
  {
    name: "aborted while the transport connects: no socket stays open",
    async run(t) {
      const sockets = new Set<RawSocket>();
      const ended = new Set<RawSocket>();
      const url = await t.rawServer((raw) => {
        sockets.add(raw);
        void raw.over().then(() => ended.add(raw));
        raw.stream.end(); // a client that is there ends, too
      });
      for (let round = 0; round < 20; round++) {
        await Promise.all(
          Array.from({ length: 15 }, async (_, i) => {
            const controller = new AbortController();
            const { signal } = controller;
            const made = rejection(t.connect(url, { signal }));
            await wait(i % 3 === 0 ? 0 : 1);
            controller.abort();
            await made;
          }),
        );
      }
      await eventually(() => ended.size === sockets.size);
    },
  },
];

/** Texts that every way of coding UTF-8 takes part in, and that fit exactly. */
const TEXTS: readonly string[] = [
  "a",
  "\u00e9",
  "\u044f",
  "\u4e2d",
  "\u{1f600}",
  "a\u044f\u4e2d\u{1f600}",
].flatMap((unit) => [1, 63, 64, 65, 500, 1000, 5000, 40_000].map((times) => unit.repeat(times)));

const CODING: readonly Case[] = [
  {
    name: "UTF-8 by the Web's globals: whole texts, into targets without a byte to spare",
    run() {
      const { utf8 } = webPlatform;
      ok(utf8 !== undefined);
      for (const text of TEXTS) {
        const target: Uint8Array = new Uint8Array(utf8.byteLength(text));
        equal(utf8.encodeInto(text, target, 0), target.length);
        ok(Buffer.from(text).equals(target));
        equal(utf8.decode(target, 0, target.length) === text, true);
      }
      return Promise.resolve();
    },
  },
  ...[webPlatform, systemPlatform].map(({ utf8 }, index) => ({
    name: `UTF-8 by ${index === 0 ? "the Web's globals" : "the runtime's modules"}: what does not fit is told by where it ends`,
    run() {
      ok(utf8 !== undefined);
      for (const text of TEXTS) {
        const size = utf8.byteLength(text);
        for (const missing of [1, 2, 3, 4, 5, size >> 1]) {
          const target = new Uint8Array(Math.max(0, size - missing) + 7);
          ok(utf8.encodeInto(text, target, 7) > target.length - 4, `${size} bytes, ${missing} too many`);
        }
      }
      return Promise.resolve();
    },
  })),
];

/** Bytes that nothing repeats in, as digits: DEFLATE halves them, and a message that was sent before leaves hardly any. */
const DIGITS = Buffer.from(pattern(1000)).toString("hex");

/** What is sent both ways: what repeats itself, alike messages, what cannot be compressed, what is too small, and nothing. */
const COMPRESSIBLE: readonly (Uint8Array | string)[] = [
  textOf(200 * KIB),
  ...Array.from({ length: 20 }, () => DIGITS),
  "",
  "small",
  "",
  bytes(DIGITS),
  new Uint8Array(MIB),
];
const INCOMPRESSIBLE: readonly Uint8Array[] = [pattern(100_000), pattern(200_000, 1)];

/** Messages whole, as they were sent. */
async function gather(peer: Peer, count: number): Promise<(Uint8Array | string)[]> {
  const whole: (Uint8Array | string)[] = [];
  let pieces: Uint8Array[] = [];
  for await (const { type, payload, final } of peer) {
    pieces.push(payload);
    if (!final) continue;
    const joined = Buffer.concat(pieces);
    pieces = [];
    whole.push(type === "text" ? joined.toString() : new Uint8Array(joined));
    if (whole.length === count) break;
  }
  return whole;
}

/** Whether two lists of messages are alike, without a picture of a megabyte. */
function alike(got: readonly (Uint8Array | string)[], sent: readonly (Uint8Array | string)[]): void {
  equal(got.length, sent.length);
  for (const [i, message] of sent.entries()) {
    equal(typeof got[i], typeof message);
    ok(Buffer.from(got[i] ?? "").equals(Buffer.from(message)), `message ${i} is another`);
  }
}

/** That what went through a socket was compressed, and with what was sent before where that was agreed on. */
function wereCompressed(size: number, takeover: boolean): void {
  const rough = 20 * KIB; // the text, the megabyte, heads of frames and HTTP
  ok(size < 21 * 1000 * 1.3 + rough, `${size} bytes`);
  equal(size < 12 * 1000, takeover, `${size} bytes, context takeover: ${takeover}`);
}

const TAKEOVER = [true, false] as const;
const takeoverOf = (takeover: boolean): object => ({
  serverNoContextTakeover: !takeover,
  clientNoContextTakeover: !takeover,
});

const DEFLATE: readonly Case[] = [
  ...TAKEOVER.flatMap((takeover) =>
    [false, true].map((streaming): Case => ({
      name: `permessage-deflate, our peers, context takeover: ${takeover}, streaming: ${streaming}`,
      async run(t) {
        const arrived = deferred<Peer>();
        const options = { extensions: [t.adapter.permessageDeflate(takeoverOf(takeover))], streaming };
        const server = await t.serve({ ...options, open: arrived.resolve });
        const relay = await t.relay(server.port);
        const client = await t.connect(relay.url, options);
        const there = await arrived.promise;
        deepEqual(
          [client.extensions, there.extensions].map((list) => list.map(({ name }) => name)),
          [["permessage-deflate"], ["permessage-deflate"]],
        );
        const { bytes: moved } = relay;
        for (const [from, to, way] of [
          [client, there, "toServer"],
          [there, client, "toClient"],
        ] as const) {
          const before = moved[way];
          const received = gather(to, COMPRESSIBLE.length);
          for (const message of COMPRESSIBLE) if (!from.send(message)) await from.drained();
          alike(await received, COMPRESSIBLE);
          wereCompressed(moved[way] - before, takeover);
          const rest = gather(to, INCOMPRESSIBLE.length + 1);
          for (const message of INCOMPRESSIBLE) if (!from.send(message)) await from.drained();
          const writer = from.startMessage("text", { compress: true });
          for (let at = 0; at < DIGITS.length; at += 100) writer.write(DIGITS.slice(at, at + 100));
          writer.end();
          alike(await rest, [...INCOMPRESSIBLE, DIGITS]);
        }
        client.close();
        deepEqual([(await client.closed).clean, (await there.closed).clean], [true, true]);
      },
    })),
  ),
  ...TAKEOVER.map((takeover): Case => ({
    name: `permessage-deflate, a client from npm on our server, context takeover: ${takeover}`,
    async run(t) {
      const extensions = [t.adapter.permessageDeflate(takeoverOf(takeover))];
      const server = await t.serve({ ...ECHO, extensions });
      const relay = await t.relay(server.port);
      const perMessageDeflate = { ...takeoverOf(takeover), threshold: 0 };
      const client = wsClient(t, relay.url, { perMessageDeflate });
      await once(client, "open");
      const got: (Uint8Array | string)[] = [];
      client.on("message", (data: Buffer, isBinary) => {
        got.push(isBinary ? new Uint8Array(data) : data.toString());
      });
      for (const message of COMPRESSIBLE) client.send(message);
      await eventually(() => got.length === COMPRESSIBLE.length);
      alike(got, COMPRESSIBLE);
      wereCompressed(relay.bytes.toServer, takeover);
      wereCompressed(relay.bytes.toClient, takeover);
      client.close(4000);
      equal((await once(client, "close"))[0], 4000);
    },
  })),
  ...TAKEOVER.map((takeover): Case => ({
    name: `permessage-deflate, our client on a server from npm, context takeover: ${takeover}`,
    async run(t) {
      const perMessageDeflate = { ...takeoverOf(takeover), threshold: 0 };
      const { port } = new URL(await wsServer(t, { perMessageDeflate }));
      const relay = await t.relay(Number(port));
      const extensions = [t.adapter.permessageDeflate(takeoverOf(takeover))];
      const peer = await t.connect(relay.url, { extensions });
      const received = gather(peer, COMPRESSIBLE.length);
      for (const message of COMPRESSIBLE) if (!peer.send(message)) await peer.drained();
      alike(await received, COMPRESSIBLE);
      wereCompressed(relay.bytes.toServer, takeover);
      wereCompressed(relay.bytes.toClient, takeover);
      peer.close(4000);
      equal((await peer.closed).clean, true);
    },
  })),
];

const TLS: readonly Case[] = [
  {
    name: "TLS: an authority that is not trusted is refused, and the server never hears a word",
    async run(t) {
      let requests = 0;
      const server = await t.serve(
        {
          upgrade() {
            requests++;
            return undefined;
          },
        },
        "tls",
      );
      const error = await rejection(t.connect(server.url));
      ok(error instanceof HandshakeError);
      equal(error.cause.by, "transport");
      ok(error.cause.error instanceof Error);
      equal(requests, 0);
      await (await server.connect()).ping();
    },
  },
  {
    name: "TLS: a certificate for another name is refused",
    async run(t) {
      const { key, cert, ca } = t.tls;
      const server = await t.adapter.serve({ host: "127.0.0.2", tls: { key, cert } });
      t.atEnd(() => server.close({ timeout: 0 }));
      const error = await rejection(t.connect(server.url, { tls: { ca } }));
      ok(error instanceof HandshakeError);
      equal(error.cause.by, "transport");
    },
  },
  {
    name: "TLS: who speaks none is dropped; the others go on",
    async run(t) {
      const server = await t.serve({ ...ECHO, error: () => undefined }, "tls");
      const raw = await t.raw(server.port);
      raw.send("GET / HTTP/1.1\r\n\r\n");
      await raw.over();
      (await server.connect()).close();
    },
  },
  {
    name: "TLS: who says nothing is dropped in time",
    async run(t) {
      const server = await t.serve({ timeouts: { handshake: 50, linger: 50 } }, "tls");
      const raw = await t.raw(server.port);
      if (t.runtime !== "deno") {
        await raw.over();
        return;
      }
      // Deno finishes TLS before it closes a connection. If it stops to do so, the documentation is to be changed.
      const isDropped = await Promise.race([raw.over().then(() => true), wait(400).then(() => false)]);
      equal(isDropped, false);
      await server.close({ timeout: LONG });
    },
  },
  {
    name: "TLS: a server that never answers is given up in time",
    async run(t) {
      const url = await t.rawServer(() => undefined);
      const error = await rejection(t.connect(url.replace("ws:", "wss:"), { timeout: 50 }));
      ok(error instanceof HandshakeError);
    },
  },
  {
    name: "TLS: an option that the runtime does not have is a UsageError",
    async run(t) {
      const strange = { notAnOption: 1 } as object;
      const isNode = t.runtime === "node";
      const served = t.adapter.serve({ host: "127.0.0.1", tls: { ...t.tls, ...strange } });
      if (isNode) {
        await (await served).close(); // Node takes whatever it is given
        return;
      }
      for (const made of [served, t.connect("wss://127.0.0.1:1/", { tls: strange } as object)]) {
        const error = await rejection(made);
        ok(error instanceof UsageError);
        equal(error.code, "unsupported");
      }
    },
  },
  {
    name: "TLS over a unix socket, or a UsageError that says that there is none",
    async run(t) {
      const { key, cert, ca } = t.tls;
      const socketPath = t.socketPath();
      const serving = t.adapter.serve({ ...ECHO, socketPath, tls: { key, cert } });
      const url = "wss://localhost/";
      if (t.runtime === "deno") {
        for (const made of [serving, t.connect(url, { socketPath })]) {
          const error = await rejection(made);
          ok(error instanceof UsageError);
          equal(error.code, "unsupported");
        }
        return;
      }
      const server = await serving;
      t.atEnd(() => server.close({ timeout: 0 }));
      const client = await t.connect(url, { socketPath, tls: { ca } });
      client.send("hi");
      equal((await take(client, 1))[0]?.data, "hi");
    },
  },
];

/** Who calls close() first; code and reason are the first one's, or each one's own. */
const ORDERS: readonly (readonly [string, { client?: number; server?: number }])[] = [
  ["the client first", { client: 4001 }],
  ["the server first", { server: 4002 }],
  ["both at once", { client: 4001, server: 4002 }],
];

const CLOSING: readonly Case[] = [
  ...OVER.flatMap((over) =>
    ORDERS.map(([who, { client, server }]): Case => ({
      name: `closing over ${over}, ${who}: clean on both sides`,
      async run(t) {
        const arrived = deferred<Peer>();
        const serving = await t.serve({ open: (peer) => arrived.resolve(peer) }, over);
        const there = await serving.connect();
        const here = await arrived.promise;
        if (client !== undefined) there.close(client, "from the client");
        if (server !== undefined) here.close(server, "from the server");
        const [a, b] = await Promise.all([there.closed, here.closed]);
        deepEqual([a.clean, b.clean], [true, true]);
        deepEqual([a.code, b.code], [server ?? client, client ?? server]);
        await eventually(() => serving.peers.size === 0);
      },
    })),
  ),
  ...OVER.map((over): Case => ({
    name: `closing over ${over} behind 4 MiB: all of it arrives first`,
    async run(t) {
      const server = await t.serve(
        {
          open(peer) {
            peer.send(pattern(4 * MIB));
            peer.close(4000);
          },
        },
        over,
      );
      const client = await server.connect();
      ok(Buffer.from(pattern(4 * MIB)).equals((await take(client, 1))[0]?.payload ?? bytes()));
      const { code, clean } = await client.closed;
      deepEqual([code, clean], [4000, true]);
    },
  })),
  {
    name: "the server ends TCP first, and waits for the client's end",
    async run(t) {
      const over = deferred<boolean>();
      const server = await t.serve({ close: (_, { clean }) => over.resolve(clean) });
      const raw = await t.rawClient(server.port);
      raw.send(frame({ opcode: 8, payload: closePayload(4000), masked: true }));
      equal((await raw.close()).code, 4000);
      await raw.end();
      equal(server.peers.size, 1);
      raw.stream.end();
      equal(await over.promise, true);
      await raw.lost();
    },
  },
  {
    name: "the client waits for the server's end, and ends then",
    async run(t) {
      const got = deferred<RawEnd>();
      const url = await t.rawServer(async (raw) => {
        await acceptByHand(raw);
        raw.send(frame({ opcode: 8, payload: closePayload(4000) }));
        const { code } = await raw.close();
        const endedBefore = raw.ended;
        raw.stream.end();
        await raw.end();
        got.resolve({ code, endedBefore });
      });
      const peer = await t.connect(url, { timeouts: { linger: LONG } });
      deepEqual(await got.promise, { code: 4000, endedBefore: false });
      equal((await peer.closed).clean, true);
    },
  },
  {
    name: "what comes between both Close frames is read; what comes after is dropped",
    async run(t) {
      const closes = deferred<boolean>();
      const got: unknown[] = [];
      const server = await t.serve({
        open: (peer) => void peer.close(),
        message: (_, { data }) => void got.push(data),
        close: (_, { clean }) => closes.resolve(clean),
      });
      const raw = await t.rawClient(server.port);
      await raw.close();
      const text = (payload: string): Uint8Array => frame({ opcode: 1, payload, masked: true });
      raw.send(
        text("between"),
        frame({ opcode: 8, payload: closePayload(1000), masked: true }),
        text("after"),
      );
      raw.stream.end();
      equal(await closes.promise, true);
      deepEqual(got, ["between"]);
    },
  },
  ...(["client", "server"] as const).map((side): Case => ({
    name: `terminate() by the ${side}: 1006 on both sides`,
    async run(t) {
      const arrived = deferred<Peer>();
      const server = await t.serve({ open: (peer) => arrived.resolve(peer) });
      const there = await server.connect();
      const here = await arrived.promise;
      (side === "client" ? there : here).terminate();
      const [a, b] = await Promise.all([there.closed, here.closed]);
      deepEqual([a.code, b.code, a.clean, b.clean], [1006, 1006, false, false]);
    },
  })),
  {
    name: "a handler that throws: 1011, and `error` is told",
    async run(t) {
      const errors: unknown[] = [];
      const failure = new Error("the handler failed");
      const server = await t.serve({
        message: () => Promise.reject(failure),
        error: (error) => void errors.push(error),
      });
      const client = await server.connect();
      client.send("x");
      equal((await client.closed).code, 1011);
      deepEqual(errors, [failure]);
    },
  },
  {
    name: "a peer that breaks a rule is told which: 1002",
    async run(t) {
      const server = await t.serve(ECHO);
      const raw = await t.rawClient(server.port);
      raw.send(frame({ opcode: 3, payload: "x", masked: true }));
      equal((await raw.close()).code, 1002);
      await raw.end();
    },
  },
];

interface RawEnd {
  readonly code: number;
  readonly endedBefore: boolean;
}

/** Resets a connection: a socket that is closed with bytes unread is. (`resetAndDestroy` may send FIN before.) */
function reset(raw: RawSocket): void {
  raw.stream.destroy();
}

const LOSSES: readonly Case[] = [
  {
    name: "a reset by the client inside of a message: 1006, by the transport",
    async run(t) {
      const over = deferred<ClosedEvent>();
      const server = await t.serve({
        open: (peer) => void peer.send(new Uint8Array(16 * MIB)),
        close: (_, closed) => over.resolve(closed),
      });
      const raw = await t.raw(server.port, { reading: false });
      const part = frame({ opcode: 2, payload: pattern(1000), masked: true }).subarray(0, 500);
      raw.send(upgradeRequest(), part);
      await eventually(() => [...server.peers].some(({ bufferedAmount }) => bufferedAmount > 0));
      reset(raw);
      const { code, clean, cause } = await over.promise;
      deepEqual([code, clean, cause.by], [1006, false, "transport"]);
      ok(cause.error instanceof Error);
    },
  },
  {
    name: "a reset by the server: 1006, by the transport; who iterates comes to an end",
    async run(t) {
      const accepted = deferred<RawSocket>();
      const url = await t.rawServer(async (raw) => {
        await acceptByHand(raw, frame({ opcode: 1, payload: "last" }));
        raw.stream.pause();
        accepted.resolve(raw);
      });
      const peer = await t.connect(url);
      equal((await take(peer, 1))[0]?.data, "last");
      peer.send(new Uint8Array(16 * MIB));
      const raw = await accepted.promise;
      reset(raw);
      for await (const { data } of peer) throw new Error(`there is ${data.length} more`);
      const { code, cause } = await peer.closed;
      deepEqual([code, cause.by], [1006, "transport"]);
    },
  },
  {
    name: "a reset in the opening handshake: a HandshakeError",
    async run(t) {
      const url = await t.rawServer(async (raw) => {
        await raw.head();
        raw.stream.resetAndDestroy();
      });
      const error = await rejection(t.connect(url));
      ok(error instanceof HandshakeError);
    },
  },
  {
    name: "a reset while 32 MiB are on their way: everything is given up",
    async run(t) {
      const over = deferred<number>();
      const server = await t.serve({
        open: (peer) => void peer.send(new Uint8Array(32 * MIB)),
        close: (peer) => over.resolve(peer.bufferedAmount),
      });
      const raw = await t.raw(server.port, { reading: false });
      raw.send(upgradeRequest());
      await eventually(() => server.peers.size === 1);
      reset(raw);
      equal(await over.promise, 0);
    },
  },
  {
    name: "an end without a Close: 1006, by the peer; our side is ended, too",
    async run(t) {
      const over = deferred<Peer>();
      const server = await t.serve({ close: (peer) => over.resolve(peer) });
      const raw = await t.rawClient(server.port);
      raw.stream.end();
      await raw.end();
      await raw.lost();
      const { code, clean } = await (await over.promise).closed;
      deepEqual([code, clean], [1006, false]);
    },
  },
  ...(["tcp", "tls"] as const).map((over): Case => ({
    name: `half open over ${over}: who has ended its side still gets every answer`,
    async run(t) {
      const server = await t.serve(ECHO, over);
      const raw = await t.rawClient(server.port, bytes(), { secure: over === "tls" });
      const message = pattern(8 * MIB);
      raw.stream.end(frame({ opcode: 2, payload: message, masked: true }));
      ok(Buffer.from(message).equals((await raw.frame()).payload));
      await raw.end();
    },
  })),
  {
    name: "half open: a client ended by its server still says what it has to say",
    async run(t) {
      const got = deferred<number>();
      const url = await t.rawServer(async (raw) => {
        await acceptByHand(raw);
        raw.stream.end(frame({ opcode: 8, payload: closePayload(4000) }));
        got.resolve((await raw.close()).code);
      });
      await t.connect(url);
      equal(await got.promise, 4000);
    },
  },
];

const TIMEOUTS: readonly Case[] = [
  {
    name: "an opening handshake that is never finished: 408",
    async run(t) {
      const server = await t.serve({ timeouts: { handshake: 50 } });
      const raw = await t.raw(server.port);
      raw.send("GET / HTTP/1.1\r\n");
      equal((await raw.response()).status, 408);
    },
  },
  {
    name: "a server that never answers: a HandshakeError, in time",
    async run(t) {
      const url = await t.rawServer(() => undefined);
      const error = await rejection(t.connect(url, { timeout: 50 }));
      ok(error instanceof HandshakeError);
    },
  },
  {
    name: "an aborted signal: its reason, before and while it connects",
    async run(t) {
      const url = await t.rawServer(() => undefined);
      const reason = new Error("changed my mind");
      equal(await rejection(t.connect(url, { signal: AbortSignal.abort(reason) })), reason);
      const controller = new AbortController();
      const connecting = rejection(t.connect(url, { signal: controller.signal }));
      await wait(20);
      controller.abort(reason);
      equal(await connecting, reason);
    },
  },
  {
    name: "a Close that is never answered: dropped",
    async run(t) {
      const server = await t.serve({ open: (peer) => void peer.close(4000), timeouts: { closing: 50 } });
      const raw = await t.rawClient(server.port);
      equal((await raw.close()).code, 4000);
      await raw.over();
      await eventually(() => server.peers.size === 0);
    },
  },
  {
    name: "pings that are never answered: 1011, and dropped",
    async run(t) {
      const server = await t.serve({ timeouts: { ping: 30, pong: 30, closing: 30 } });
      const raw = await t.rawClient(server.port);
      equal((await raw.frame()).opcode, 9);
      equal((await raw.close()).code, 1011);
      await raw.over();
    },
  },
  {
    name: "a dead peer while a message of its waits unread: given up, and told",
    async run(t) {
      const closed = deferred<ClosedEvent>();
      const server = await t.serve({
        timeouts: { ping: 30, pong: 30, linger: 30, closing: LONG },
        close: (_, event) => {
          closed.resolve(event);
        },
      });
      const raw = await t.rawClient(server.port);
      raw.send(frame({ opcode: 1, payload: "unread", masked: true }));
      equal((await closed.promise).cause.rule, "pong-timeout");
      await eventually(() => server.peers.size === 0);
      await raw.over();
    },
  },
  {
    name: "too much output for a peer while a message of its waits unread: dropped, and told",
    async run(t) {
      const closed = deferred<ClosedEvent>();
      const opened = deferred<Peer>();
      const server = await t.serve({
        limits: { output: MIB },
        timeouts: { ping: LONG },
        open: (peer) => {
          opened.resolve(peer);
        },
        close: (_, event) => {
          closed.resolve(event);
        },
      });
      const raw = await t.rawClient(server.port);
      raw.send(frame({ opcode: 1, payload: "unread", masked: true }));
      raw.stream.pause();
      const peer = await opened.promise;
      const message = pattern(MIB);
      for (let i = 0; i < 100; i++) peer.send(message); // the system takes a few of them
      equal((await closed.promise).cause.rule, "output-limit");
      await eventually(() => server.peers.size === 0);
    },
  },
  {
    name: "pings that are answered: the connection stays",
    async run(t) {
      const server = await t.serve({ timeouts: { ping: 10, pong: LONG } });
      const raw = await t.rawClient(server.port);
      for (let i = 0; i < 5; i++) {
        const { opcode, payload } = await raw.frame();
        equal(opcode, 9);
        raw.send(frame({ opcode: 10, payload, masked: true }));
      }
      equal(server.peers.size, 1);
    },
  },
];

const SERVERS: readonly Case[] = [
  {
    name: "graceful shutdown under load: all are told 1001, and nobody comes in any more",
    async run(t) {
      const server = await t.serve(ECHO);
      const peers = await Promise.all(
        Array.from({ length: 50 }, () => server.connect({ message: () => undefined })),
      );
      let busy = true;
      const load = peers.map(async (peer) => {
        while (busy && peer.state === "open") {
          if (!peer.send(pattern(10 * KIB))) await peer.drained();
          await wait(0);
        }
      });
      await wait(50); // it flows
      await server.close({ timeout: LONG });
      busy = false;
      for (const peer of peers) {
        const { code, clean } = await peer.closed;
        deepEqual([code, clean], [1001, true]);
      }
      await Promise.all(load);
      ok((await rejection(server.connect())) instanceof HandshakeError);
    },
  },
  {
    name: "shutdown of those that are deaf, that do not read, and that never finished a request: by force, in time",
    async run(t) {
      const server = await t.serve({ open: (peer) => void peer.send(new Uint8Array(16 * MIB)) });
      const deaf = await t.rawClient(server.port);
      const blind = await t.raw(server.port, { reading: false });
      blind.send(upgradeRequest());
      const silent = await t.raw(server.port);
      await eventually(() => server.peers.size === 2);
      await server.close({ timeout: 50 });
      equal(server.peers.size, 0);
      await Promise.all([deaf.over(), silent.over()]);
    },
  },
  ...(["tcp", "tls"] as const).map((over): Case => ({
    name: `1,000 connections at once over ${over}, each with an echo of its own`,
    async run(t) {
      const server = await t.serve(ECHO, over);
      const peers: Peer[] = [];
      while (peers.length < 1000) {
        peers.push(...(await Promise.all(Array.from({ length: 100 }, () => server.connect()))));
      }
      await eventually(() => server.peers.size === 1000);
      const back = await Promise.all(
        peers.map(async (peer, i) => {
          peer.send(`${i}`);
          return (await take(peer, 1))[0]?.data;
        }),
      );
      deepEqual(
        back,
        Array.from(peers, (_, i) => `${i}`),
      );
      await server.close({ timeout: LONG });
      const codes = await Promise.all(peers.map(async ({ closed }) => (await closed).code));
      deepEqual(new Set(codes), new Set([1001]));
    },
  })),
  {
    name: "500 connections that come and go leave nothing",
    async run(t) {
      const server = await t.serve(ECHO);
      for (let i = 0; i < 10; i++) {
        const peers = await Promise.all(Array.from({ length: 50 }, () => server.connect()));
        await Promise.all(
          peers.map((peer, n) => {
            if (n % 2 === 0) peer.close();
            else peer.terminate();
            return peer.closed;
          }),
        );
      }
      await eventually(() => server.peers.size === 0);
    },
  },
];

export const CASES: readonly Case[] = [
  ...OVER.flatMap((over) => SIZES.map((size) => echoes(over, size))),
  ...WITH_WS,
  ...BACKPRESSURE,
  ...STREAMING,
  ...HANDSHAKE,
  ...GIVEN_UP,
  ...CODING,
  ...DEFLATE,
  ...TLS,
  ...CLOSING,
  ...LOSSES,
  ...TIMEOUTS,
  ...SERVERS,
];
