// Messages through every way in and out of the Node adapter, with ourselves and with `ws` at the other end.

import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";

import type { ConnectOptions } from "../../src/adapters/node.js";
import { connect } from "../../src/adapters/node.js";
import {
  ECHO,
  ENTRIES,
  listen,
  next,
  nextText,
  SERVE,
  socketPath,
  TCP_ENTRIES,
  TEST_TLS,
  UPGRADE,
} from "../support/entries.js";
import { noLooseEnds } from "../support/loose-ends.js";

noLooseEnds();

const MIB = 1024 * 1024;
const SIZES = [0, 1, 125, 126, 127, 65535, 65536, 65537, MIB, 16 * MIB];

function binary(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 7) ^ (i >> 8);
  return bytes;
}

/** A text of `size` bytes of UTF-8, one to four bytes a character, so that chunks cut characters. */
function text(size: number): string {
  const pattern = "aé漢😀"; // 1 + 2 + 3 + 4 bytes
  return pattern.repeat(Math.floor(size / 10)) + "z".repeat(size % 10);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

describe.each(ENTRIES)("$name", (entry) => {
  it("echoes text and binary to connect(), and both see a clean close", async () => {
    const closes: [number, string, boolean][] = [];
    const server = await entry.start({
      ...ECHO,
      close: (_, { code, reason, clean }) => void closes.push([code, reason, clean]),
    });
    const peer = await connect(server.url, server.options);
    expect(server.peers.size).toBe(1);
    const messages = peer[Symbol.asyncIterator]();
    expect(peer.send("grüße 😀")).toBe(true);
    expect(peer.send(Uint8Array.of(1, 2, 3))).toBe(true);
    expect(await next(messages)).toMatchObject({ type: "text", text: "grüße 😀", final: true });
    expect(await next(messages)).toMatchObject({ type: "binary", payload: Uint8Array.of(1, 2, 3) });
    expect(peer.close(4001, "bye")).toBe(true);
    expect(await messages.next()).toEqual({ done: true, value: undefined });
    const closed = await peer.closed;
    expect(closed).toMatchObject({ code: 4001, clean: true, sent: { code: 4001, reason: "bye" } });
    expect(closed.cause).toMatchObject({ by: "local", rule: "closed" });
    await expect.poll(() => server.peers.size).toBe(0);
    expect(closes).toEqual([[4001, "bye", true]]);
  });

  it("echoes text and binary to ws", async () => {
    const server = await entry.start(ECHO);
    const client = server.ws();
    const got: unknown[] = [];
    const code = await new Promise<number>((resolve, reject) => {
      client.on("error", reject);
      client.on("open", () => {
        client.send("grüße 😀");
        client.send(Uint8Array.of(1, 2, 3));
      });
      client.on("message", (data: Buffer, isBinary) => {
        got.push(isBinary ? [...data] : data.toString());
        if (got.length === 2) client.close(4001, "bye");
      });
      client.on("close", resolve);
    });
    expect(got).toEqual(["grüße 😀", [1, 2, 3]]);
    expect(code).toBe(4001);
  });
});

interface Ws {
  readonly name: string;
  readonly secure: boolean;
  readonly unix: boolean;
}

describe.each<Ws>([
  { name: "ws:", secure: false, unix: false },
  { name: "wss:", secure: true, unix: false },
  { name: "a unix socket", secure: false, unix: true },
  { name: "TLS on a unix socket", secure: true, unix: true },
])("connect() to a server of ws by $name", ({ secure, unix }) => {
  it("sends, receives and is closed by the server", async () => {
    const server = secure ? https.createServer(TEST_TLS) : http.createServer();
    const wss = new WebSocketServer({ server });
    wss.on("connection", (client) => {
      client.on("message", (data: Buffer, isBinary) => {
        client.send(data, { binary: isBinary });
        if (isBinary) client.close(4002, "enough");
      });
    });
    const path = unix ? socketPath() : undefined;
    await listen(server, path);
    onTestFinished(() => {
      for (const client of wss.clients) client.terminate();
      wss.close();
      server.close();
    });
    const port = unix ? 80 : (server.address() as AddressInfo).port;
    const options: ConnectOptions = { socketPath: path, ...(secure && { tls: { ca: TEST_TLS.cert } }) };
    const peer = await connect(`${secure ? "wss" : "ws"}://127.0.0.1:${port}`, options);
    peer.send("grüße 😀");
    peer.send(Uint8Array.of(1, 2, 3));
    const got: unknown[] = [];
    for await (const message of peer) got.push(message.data);
    expect(got).toEqual(["grüße 😀", Uint8Array.of(1, 2, 3)]);
    expect(await peer.closed).toMatchObject({ code: 4002, reason: "enough", clean: true });
  });
});

describe.each(TCP_ENTRIES)("$name, every length form (RFC 6455 5.2)", (entry) => {
  it.each(SIZES)("binary and text of %i bytes come back as they were", async (size) => {
    const server = await entry.start(ECHO);
    const peer = await connect(server.url, server.options);
    const messages = peer[Symbol.asyncIterator]();
    peer.send(binary(size));
    const first = await next(messages);
    expect(first.type).toBe("binary");
    expect(sameBytes(first.payload, binary(size))).toBe(true);
    const sent = text(size);
    peer.send(sent);
    expect((await nextText(messages)) === sent).toBe(true);
  });
});

describe.each([SERVE, UPGRADE])("$name, the message's limit (RFC 6455 10.4)", (entry) => {
  it.each(["text", "binary"] as const)("%s at the limit passes, one byte more is 1009", async (kind) => {
    const limit = 70_000;
    const server = await entry.start({ ...ECHO, limits: { message: limit } });
    const peer = await connect(server.url, server.options);
    const messages = peer[Symbol.asyncIterator]();
    const of = (size: number): string | Uint8Array => (kind === "text" ? text(size) : binary(size));
    peer.send(of(limit));
    expect((await next(messages)).payload.length).toBe(limit);
    peer.send(of(limit + 1));
    expect((await messages.next()).done).toBe(true);
    expect(await peer.closed).toMatchObject({ code: 1009, clean: true });
  });

  it("holds for what a client receives, too", async () => {
    const codes: number[] = [];
    const server = await entry.start({
      open: (peer) => void peer.send(binary(1001)),
      close: (_, { code }) => void codes.push(code),
    });
    const peer = await connect(server.url, { ...server.options, limits: { message: 1000 } });
    expect(await peer.closed).toMatchObject({
      cause: { by: "peer", rule: "message-limit" },
      sent: { code: 1009 },
    });
    await expect.poll(() => codes).toEqual([1009]);
  });

  it("16 MiB is the default", async () => {
    const server = await entry.start(ECHO);
    const peer = await connect(server.url, server.options);
    peer.send(new Uint8Array(16 * MIB + 1));
    expect(await peer.closed).toMatchObject({ code: 1009 });
  });
});

describe("many at once", () => {
  it("1,000 connections, each with an echo of its own", async () => {
    const server = await SERVE.start(ECHO);
    const got = await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        const peer = await connect(server.url);
        const messages = peer[Symbol.asyncIterator]();
        peer.send(`I am ${index}`);
        const answer = await nextText(messages);
        peer.close();
        await peer.closed;
        return answer;
      }),
    );
    expect(got).toEqual(Array.from({ length: 1000 }, (_, index) => `I am ${index}`));
    await expect.poll(() => server.peers.size).toBe(0);
  });
});
