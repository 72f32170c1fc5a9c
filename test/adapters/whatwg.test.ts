// The WHATWG classes where no browser can be compared: options, why something failed, backpressure, other transports. What
// browsers do, too, is in test/browser/whatwg.test.ts.

import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { Duplex } from "node:stream";
import type { ReadableStream, WritableStream } from "node:stream/web";
import { TransformStream } from "node:stream/web";

import { describe, expect, it, onTestFinished } from "vitest";

import { connect as connectOverHttp2, http2Endpoint } from "../../src/adapters/http2.js";
import { connect, permessageDeflate } from "../../src/adapters/node.js";
import type { ConnectOptions, EndpointOptions, Message, Peer } from "../../src/adapters/node.js";
import type { ByteStreams } from "../../src/adapters/streams.js";
import { connect as connectOverStreams, streamsEndpoint } from "../../src/adapters/streams.js";
import type { ErrorEventLike, WebSocket } from "../../src/whatwg/index.js";
import { makeWebSocket, makeWebSocketStream, WebSocketError } from "../../src/whatwg/index.js";
import { ReferenceSender } from "../support/deflated.js";
import { deferred, ECHO, eventually, listen, SERVE, UPGRADE_TLS, wait } from "../support/entries.js";
import { upgradeResponse } from "../support/http.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { acceptByHand, rawServer } from "../support/raw-peer.js";
import { bytes, closePayload, concat, frame } from "../support/wire.js";

noLooseEnds();

const MIB = 1024 * 1024;

const OverNode = makeWebSocket(connect);
const StreamOverNode = makeWebSocketStream(connect);

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.onopen = () => {
      resolve();
    };
    socket.onerror = ({ error }) => {
      reject(new Error("it failed", { cause: error }));
    };
  });
}

function closed(socket: WebSocket): Promise<readonly [number, string, boolean]> {
  return new Promise((resolve) => {
    socket.addEventListener("close", ({ code, reason, wasClean }) => {
      resolve([code, reason, wasClean]);
    });
  });
}

function failed(socket: WebSocket): Promise<ErrorEventLike> {
  return new Promise((resolve) => {
    socket.addEventListener("error", resolve, { once: true });
  });
}

function nextData(socket: WebSocket): Promise<unknown> {
  return new Promise((resolve) => {
    socket.addEventListener(
      "message",
      ({ data }) => {
        resolve(data);
      },
      { once: true },
    );
  });
}

/** What iterates over a peer's messages, one of which cannot be had. */
function failsAtB(peer: Peer): () => AsyncIterableIterator<Message> {
  const messages = peer[Symbol.asyncIterator]();
  const failing: AsyncIterableIterator<Message> = {
    ...messages,
    next: async () => {
      const next = await messages.next();
      if (next.done !== true && next.value.data === "b") throw new Error("no memory");
      return next;
    },
  };
  return () => failing;
}

describe("makeWebSocket()", () => {
  it("options: the class's own and each socket's, protocols among them", async () => {
    const seen: (string | undefined)[] = [];
    const { url } = await SERVE.start({
      upgrade(request) {
        seen.push(request.header("x-a"), request.header("x-b"), request.origin);
        return { subprotocol: request.subprotocols[1] };
      },
    });
    const origin = new URL(url.replace("ws", "http")).origin;
    const WithOrigin = makeWebSocket(connect, { origin, headers: { "x-a": "1" } });
    const first = new WithOrigin(url, ["a", "b"]);
    await opened(first);
    const second = new WithOrigin(new URL(url), { protocols: ["a", "c"], headers: { "x-b": "2" } });
    await opened(second);
    expect([first.protocol, second.protocol]).toEqual(["b", "c"]);
    expect(seen).toEqual(["1", undefined, origin, undefined, "2", origin]);
    const ends = [closed(first), closed(second)];
    first.close();
    second.close(4000);
    expect(await Promise.all(ends)).toEqual([
      [1005, "", true],
      [4000, "", true],
    ]);
  });

  it.each<[unknown, string | undefined]>([
    [undefined, undefined],
    [[], undefined],
    [{}, undefined],
    [null, "null"],
    [5, "5"],
    [true, "true"],
    [new Set(["a", 1, null]), "a, 1, null"],
    [{ protocols: [null] }, "null"],
  ])("subprotocols, by WebIDL: %o", async (second, offered) => {
    const seen = deferred<string | undefined>();
    const { url } = await SERVE.start({
      upgrade(request) {
        seen.resolve(request.header("sec-websocket-protocol"));
        return { subprotocol: request.subprotocols[0] };
      },
    });
    const socket = new OverNode(url, second as string);
    await opened(socket);
    expect(await seen.promise).toBe(offered);
    const end = closed(socket);
    socket.close();
    await end;
  });

  it("TLS", async () => {
    const { url, options } = await UPGRADE_TLS.start(ECHO);
    const socket = new OverNode(url, { ...options });
    await opened(socket);
    socket.send("hi");
    expect(await nextData(socket)).toBe("hi");
    socket.close();
    await closed(socket);
  });

  it.each<[string, EndpointOptions, object, object]>([
    [
      "the server rejects",
      { upgrade: () => ({ status: 401, body: "who are you?" }) },
      {},
      { name: "HandshakeError", response: { status: 401 } },
    ],
    [
      "a header that cannot be sent",
      {},
      { headers: { "a b": "c" } },
      { name: "UsageError", code: "bad-header" },
    ],
    [
      "none of the subprotocols is taken",
      {},
      { protocols: ["a"] },
      { cause: { by: "local", rule: "transport-lost" } },
    ],
    [
      "nobody is there",
      {},
      {
        createConnection: () => {
          throw new Error("mine");
        },
      },
      { name: "HandshakeError", cause: { error: new Error("mine") } },
    ],
  ])("the error event tells why: %s", async (_, serverOptions, options, error) => {
    const { url } = await SERVE.start(serverOptions);
    const socket = new OverNode(url, options);
    const [event, end] = await Promise.all([failed(socket), closed(socket)]);
    expect(event.error).toMatchObject(error);
    expect([event.target, socket.readyState, end]).toEqual([socket, 3, [1006, "", false]]);
  });

  it("a message over the limit fails it", async () => {
    const { url } = await SERVE.start({ open: (peer) => void peer.send("x".repeat(11)) });
    const socket = new OverNode(url, { limits: { message: 10 } });
    const [event, end] = await Promise.all([failed(socket), closed(socket)]);
    expect(event.error).toMatchObject({ cause: { rule: "message-limit" }, sent: { code: 1009 } });
    expect(end).toEqual([1006, "", false]);
  });

  it.each<[string, readonly [(number | undefined)?, string?], string | undefined]>([
    ["2999.5 rounds to 3000", [2999.5], undefined],
    ["3000.5 rounds to 3000", [3000.5], undefined],
    ["1000.6 rounds to 1001", [1000.6], "InvalidAccessError"],
    ["4999.5 rounds to 5000", [4999.5], "InvalidAccessError"],
    ["no code, and a reason", [undefined, "x"], undefined],
    ["no code, and a reason that is too long", [undefined, "x".repeat(124)], "SyntaxError"],
    ["CR", [1000, "a\rb"], "SyntaxError"],
    ["LF", [1000, "a\nb"], "SyntaxError"],
    ["NUL", [1000, "a\0b"], "SyntaxError"],
  ])("close(), by WebIDL: %s", async (_, args, name) => {
    const { url } = await SERVE.start({});
    const socket = new OverNode(url);
    const end = closed(socket);
    if (name === undefined) socket.close(...args);
    else expect(() => socket.close(...args)).toThrow(expect.objectContaining({ name }) as Error);
    expect(socket.readyState).toBe(name === undefined ? 2 : 0);
    socket.close();
    expect(await end).toEqual([1006, "", false]);
  });

  it.each(["", "/path", "host:80"])("a URL that is not absolute: %s", (url) => {
    expect(() => new OverNode(url)).toThrow(expect.objectContaining({ name: "SyntaxError" }) as Error);
  });

  it("bufferedAmount counts what a slow peer has not read", async () => {
    const opens = deferred<Peer>();
    const { url } = await SERVE.start({ open: opens.resolve });
    const socket = new OverNode(url);
    await opened(socket);
    let sent = 0;
    for (let index = 0; index < 400; index++) {
      socket.send(new Uint8Array(65_536));
      sent += 65_536;
    }
    expect(socket.bufferedAmount).toBe(sent);
    await wait(1);
    expect(socket.bufferedAmount).toBeGreaterThan(0);
    expect(socket.bufferedAmount).toBeLessThanOrEqual(sent);
    let count = 0;
    for await (const message of await opens.promise) {
      expect(message.payload.length).toBe(65_536);
      if (++count === 400) break;
    }
    await eventually(() => socket.bufferedAmount === 0);
    socket.close();
    await closed(socket);
  });
});

describe("makeWebSocketStream()", () => {
  it("writing waits for a peer that does not read, reading makes the sender wait", async () => {
    const opens = deferred<Peer>();
    const { url } = await SERVE.start({ open: opens.resolve });
    const stream = new StreamOverNode(url);
    const { readable, writable } = await stream.opened;
    const peer = await opens.promise;
    const [reader, writer] = [readable.getReader(), writable.getWriter()];
    const chunk = new Uint8Array(100_000);

    // Far more than fits between the two.
    let written = 0;
    const writing = (async () => {
      while (written < 300) {
        await writer.write(chunk);
        written++;
      }
    })();
    for (let turn = 0; turn < 400; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(written).toBeLessThan(300);
    let count = 0;
    for await (const message of peer) {
      expect(message.payload.length).toBe(chunk.length);
      if (++count === 300) break;
    }
    await writing;

    let sent = 0;
    while (peer.send(chunk)) {
      await new Promise((resolve) => setImmediate(resolve));
      if (++sent === 1000) throw new Error("nobody reads, and there is no end to sending");
    }
    const drained = peer.drained();
    for (let index = 0; index <= sent; index++) {
      const { value } = await reader.read();
      expect((value as ArrayBuffer).byteLength).toBe(chunk.length);
    }
    expect(await drained).toBe(true);
    peer.terminate();
    await expect(stream.closed).rejects.toMatchObject({
      name: "WebSocketError",
      closeCode: 1006,
      cause: { section: "RFC 6455 7.1.5" },
    });
  });

  it.each<[string, (peer: Peer) => unknown, "resolves" | "rejects"]>([
    ["closed in order", (peer) => peer.close(4000), "resolves"],
    ["failed by the server", (peer) => peer.close(1011), "resolves"],
    ["lost", (peer) => peer.terminate(), "rejects"],
  ])("messages that came before the end are not lost: %s", async (_, end, outcome) => {
    const { url } = await SERVE.start({
      open(peer) {
        for (let index = 0; index < 5; index++) peer.send(`${index}`);
        setImmediate(() => end(peer)); // what was sent has left
      },
    });
    const stream = new StreamOverNode(url);
    const { readable } = await stream.opened;
    if (outcome === "rejects") await stream.closed.catch(() => undefined); // it is over, and nobody has read
    const texts: unknown[] = [];
    const reading = (async () => {
      for await (const text of readable) texts.push(text);
    })();
    if (outcome === "resolves") await reading;
    else await expect(reading).rejects.toMatchObject({ name: "WebSocketError", closeCode: 1006 });
    expect(texts).toEqual(["0", "1", "2", "3", "4"]);
    await (outcome === "resolves" ? stream.closed : expect(stream.closed).rejects.toThrow());
  });

  it.each([
    ["in order", 4000],
    ["not in order", undefined],
  ])("more than 16 MiB unread as it is closed, %s: an error, behind what was kept", async (_, code) => {
    const payload = new ReferenceSender({ takeover: false }).message(new Uint8Array(8 * MIB));
    const { url } = await rawServer(async (raw) => {
      const key = (await raw.head()).header("sec-websocket-key") ?? "";
      raw.send(upgradeResponse(key, { "Sec-WebSocket-Extensions": "permessage-deflate" }));
      raw.send(frame({ opcode: 1, payload: "unread" }));
      for (let index = 0; index < 6; index++) raw.send(frame({ opcode: 2, rsv: 4, payload }));
      if (code !== undefined) raw.send(frame({ opcode: 8, payload: closePayload(code) }));
      raw.stream.end();
    });
    const stream = new StreamOverNode(url, { extensions: [permessageDeflate()] });
    const reader = (await stream.opened).readable.getReader();
    if (code === undefined) await expect(stream.closed).rejects.toMatchObject({ closeCode: 1006 });
    else expect(await stream.closed).toEqual({ closeCode: code, reason: "" });
    const sizes: number[] = [];
    const reading = async (): Promise<void> => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        sizes.push(typeof value === "string" ? value.length : (value as ArrayBuffer).byteLength);
      }
    };
    await expect(reading()).rejects.toMatchObject({
      name: "WebSocketError",
      cause: { message: expect.stringContaining("messages were dropped") as string },
    });
    expect(sizes).toEqual([6, 8 * MIB, 8 * MIB]);
  });

  it.each(["open", "closed"])(
    "a message that cannot be had, once it is %s: an error in its place",
    async (state) => {
      const { url } = await rawServer(async (raw) => {
        const texts = ["a", "b", "c"].map((payload) => frame({ opcode: 1, payload }));
        await acceptByHand(raw, concat(texts));
        if (state === "open") await raw.close();
        raw.send(frame({ opcode: 8, payload: closePayload(4000) }));
        raw.stream.end();
      });
      const Failing = makeWebSocketStream((to: string | URL, options: ConnectOptions = {}) => {
        const open = (peer: Peer): void => {
          peer[Symbol.asyncIterator] = failsAtB(peer);
          options.open?.(peer);
        };
        return connect(to, { ...options, open });
      });
      const stream = new Failing(url);
      const reader = (await stream.opened).readable.getReader();
      if (state === "closed") await stream.closed;
      expect(await reader.read()).toEqual({ done: false, value: "a" });
      for (let again = 0; again < 2; again++) {
        await expect(reader.read()).rejects.toMatchObject({
          name: "WebSocketError",
          cause: { message: "no memory" },
        });
      }
      stream.close();
      expect(await stream.closed).toEqual({ closeCode: 4000, reason: "" });
    },
  );

  it("what came is told in order where the transport is lost amid a call for a message", async () => {
    const opens = deferred();
    let fails = false;
    const wire = new Duplex({
      read: () => undefined,
      write(chunk: Uint8Array, _encoding, done) {
        const key = /^sec-websocket-key: (\S+)/im.exec(Buffer.from(chunk).toString("latin1"))?.[1];
        if (key !== undefined) {
          const frames = ["1", "2", "3"].map((payload) => frame({ opcode: 1, payload }));
          frames.splice(1, 0, frame({ opcode: 9 })); // to be answered, which fails
          this.push(concat([bytes(upgradeResponse(key)), ...frames]));
          opens.resolve();
        }
        done();
      },
    });
    const write = wire.write.bind(wire) as (chunk: unknown) => boolean;
    wire.write = (chunk: unknown) => {
      if (fails) throw new Error("cannot be written");
      return write(chunk);
    };
    const stream = new StreamOverNode("ws://localhost/", { createConnection: () => wire });
    const reader = (await stream.opened).readable.getReader();
    await opens.promise;
    await wait(20);
    fails = true;
    for (const value of ["1", "2", "3"]) expect(await reader.read()).toEqual({ done: false, value });
    await expect(reader.read()).rejects.toMatchObject({ name: "WebSocketError", closeCode: 1006 });
    await expect(stream.closed).rejects.toMatchObject({ closeCode: 1006 });
  });

  it("abort() closes while a write waits for a peer that does not read", async () => {
    const opens = deferred<Peer>();
    const { url } = await SERVE.start({ open: opens.resolve });
    const stream = new StreamOverNode(url, { timeouts: { closing: 20, linger: 20 } });
    const writer = (await stream.opened).writable.getWriter();
    const writes = Array.from({ length: 400 }, () => writer.write(new Uint8Array(100_000)));
    const outcomes = Promise.allSettled([...writes, writer.closed]);
    let written = 0;
    for (const write of writes) {
      write.then(
        () => written++,
        () => undefined,
      );
    }
    const peer = await opens.promise;
    for (let before = -1; before < written;) {
      before = written;
      await wait(50); // until nothing moves any more
    }
    expect(written).toBeLessThan(writes.length);
    await writer.abort(new WebSocketError("enough", { closeCode: 3000, reason: "enough" }));
    await expect(stream.closed).rejects.toMatchObject({ closeCode: 1006 }); // the peer's Close did not come in time
    expect((await outcomes).at(-1)).toMatchObject({ status: "rejected" });
    peer.terminate();
  });

  it("why it could not be opened is the error's cause", async () => {
    const { url } = await SERVE.start({ upgrade: () => ({ status: 403 }) });
    const stream = new StreamOverNode(url, { headers: { "x-a": "1" } });
    await expect(stream.opened).rejects.toMatchObject({
      name: "WebSocketError",
      closeCode: null,
      cause: { name: "HandshakeError", response: { status: 403 } },
    });
    await expect(stream.closed).rejects.toMatchObject({ closeCode: 1006 });
  });

  it("a subprotocol that the server does not take", async () => {
    const { url } = await SERVE.start({});
    const stream = new StreamOverNode(url, { protocols: ["a"] });
    await expect(stream.opened).rejects.toMatchObject({ name: "WebSocketError" });
    await expect(stream.closed).rejects.toMatchObject({ name: "WebSocketError" });
  });
});

describe("over other transports", () => {
  it("HTTP/2: several on one session", async () => {
    const endpoint = http2Endpoint(ECHO);
    const server = http2.createServer({ settings: { enableConnectProtocol: true } });
    server.on("stream", endpoint.handleStream);
    await listen(server);
    const { port } = server.address() as AddressInfo;
    const session = http2.connect(`http://127.0.0.1:${port}`);
    onTestFinished(() => {
      session.destroy();
      server.close();
    });
    const OverHttp2 = makeWebSocket(connectOverHttp2, { session });
    const sockets = [1, 2].map(() => new OverHttp2(`ws://127.0.0.1:${port}/`));
    await Promise.all(sockets.map(opened));
    for (const [index, socket] of sockets.entries()) {
      socket.send(`${index}`);
      expect(await nextData(socket)).toBe(`${index}`);
      const end = closed(socket);
      socket.close(3000, "bye");
      expect(await end).toEqual([3000, "bye", true]);
    }
  });

  it("a pair of streams", async () => {
    const endpoint = streamsEndpoint(ECHO);
    const createConnection = (): ByteStreams => {
      const [up, down] = [
        new TransformStream<Uint8Array, Uint8Array>(),
        new TransformStream<Uint8Array, Uint8Array>(),
      ];
      endpoint.accept({ readable: up.readable, writable: down.writable });
      return { readable: down.readable, writable: up.writable };
    };
    const socket = new (makeWebSocket(connectOverStreams, { createConnection }))("ws://example.com/");
    socket.binaryType = "arraybuffer";
    await opened(socket);
    socket.send(new Uint8Array([1, 2]));
    expect(await nextData(socket)).toEqual(new Uint8Array([1, 2]).buffer);
    socket.close();
    await closed(socket);
    const stream = new (makeWebSocketStream(connectOverStreams, { createConnection }))("ws://example.com/");
    const connection = await stream.opened;
    // The streams are the engine's own: they pipe.
    const readable = connection.readable as unknown as ReadableStream<string>;
    const writable = connection.writable as unknown as WritableStream<string>;
    const shout = new TransformStream<string, string>({
      transform(text, controller) {
        controller.enqueue(`${text}!`);
      },
    });
    const source = shout.writable.getWriter();
    const piping = shout.readable.pipeTo(writable, { preventClose: true });
    await source.write("hi");
    const reader = readable.getReader();
    expect(await reader.read()).toEqual({ done: false, value: "hi!" });
    await source.close();
    await piping;
    stream.close({ closeCode: 3000 });
    expect(await stream.closed).toEqual({ closeCode: 3000, reason: "" });
  });
});
