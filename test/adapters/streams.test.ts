// Connections over pairs of WHATWG streams.

import * as net from "node:net";
import type { QueuingStrategy, UnderlyingSink, UnderlyingSource } from "node:stream/web";
import { ReadableStream, TransformStream, WritableStream } from "node:stream/web";
import { MessageChannel } from "node:worker_threads";

import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";

import type { ByteStreams, EndpointOptions, Handlers, Peer } from "../../src/adapters/streams.js";
import {
  attach,
  connect,
  HandshakeError,
  streamsEndpoint,
  UsageError,
  webPlatform,
} from "../../src/adapters/streams.js";
import { connect as connectOnNode } from "../../src/adapters/node.js";
import type { Options, ResponseData } from "../../src/index.js";
import { Connection } from "../../src/index.js";
import { deferred, ECHO, eventually, listen, next, nextText } from "../support/entries.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { bytes, concat, frame, parseFrames } from "../support/wire.js";

noLooseEnds();

type Pipe = TransformStream<Uint8Array, Uint8Array>;
type Pipes = [ByteStreams, ByteStreams];

function crossed(a: Pipe, b: Pipe): Pipes {
  return [
    { readable: a.readable, writable: b.writable },
    { readable: b.readable, writable: a.writable },
  ];
}

/** A stream as it comes out of a port that it was sent through. */
async function transferred<S extends ReadableStream | WritableStream>(stream: S): Promise<S> {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => {
    port1.close();
  });
  const arrived = deferred<S>();
  port2.once("message", arrived.resolve);
  // A stream may be transferred, which the types do not know.
  port1.postMessage(stream, [stream]);
  return arrived.promise;
}

/** Writes what it gets into the other side as somebody else's buffers: transferred, as to a worker. */
function transferring(): Pipe {
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      controller.enqueue(structuredClone(chunk, { transfer: [chunk.buffer as ArrayBuffer] }));
    },
  });
}

const size = (chunk: Uint8Array): number => chunk.byteLength;

/** Two pairs of streams, each the other's far side. */
const PAIRS: readonly (readonly [string, () => Pipes | Promise<Pipes>])[] = [
  ["pipes", () => crossed(new TransformStream(), new TransformStream())],
  [
    "pipes that queue by bytes",
    () => {
      const pipe = (): Pipe =>
        new TransformStream<Uint8Array, Uint8Array>(
          {},
          { highWaterMark: 1000, size },
          { highWaterMark: 1000, size },
        );
      return crossed(pipe(), pipe());
    },
  ],
  ["pipes that transfer the buffers that they are given", () => crossed(transferring(), transferring())],
  [
    "streams that went through a MessagePort",
    async () => {
      const [here, there] = crossed(new TransformStream(), new TransformStream()) as [
        ByteStreams,
        { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> },
      ];
      return [
        here,
        { readable: await transferred(there.readable), writable: await transferred(there.writable) },
      ];
    },
  ],
];

function open(role: "server" | "client", options: Options = {}): Connection {
  return new Connection(role, { platform: webPlatform, halfClose: true, ...options });
}

/** A body as long as `length`, no two alike. */
function body(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index * 31 + (index >> 8) + length);
}

describe.each(PAIRS)("attach() over %s", (_, pipes) => {
  async function pair(server: Handlers = {}, client: Handlers = {}): Promise<[Peer, Peer]> {
    const [left, right] = await pipes();
    return [attach(left, open("server"), server), attach(right, open("client"), client)];
  }

  it("messages of every length form come back, texts and pings too", async () => {
    const [server, client] = await pair(ECHO);
    const messages = client[Symbol.asyncIterator]();
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
      const sent = body(length);
      client.send(sent);
      expect(Buffer.compare((await next(messages)).payload, sent)).toBe(0);
    }
    client.send("grüße 中 😀".repeat(100));
    expect(await nextText(messages)).toBe("grüße 中 😀".repeat(100));
    expect(await client.ping()).toBeTypeOf("number");
    client.close(4000, "bye");
    expect(await server.closed).toMatchObject({ code: 4000, reason: "bye", clean: true });
    expect(await client.closed).toMatchObject({ code: 4000, clean: true });
  });

  it("closed by the server", async () => {
    const [server, client] = await pair();
    server.close(4001);
    expect(await client.closed).toMatchObject({ code: 4001, clean: true });
    expect(await server.closed).toMatchObject({ code: 4001, clean: true });
  });

  it("dropped: the other side sees 1006", async () => {
    const [server, client] = await pair();
    client.terminate();
    expect(await server.closed).toMatchObject({ code: 1006, clean: false });
  });

  it("a sender is as fast as who reads, and no more is under way than fits", async () => {
    const [server, client] = await pair();
    const whole = body(50_000);
    let count = 0;
    while (client.send(whole)) {
      await new Promise((resolve) => setImmediate(resolve));
      if (++count === 100) throw new Error("nobody reads, and there is no end to sending");
    }
    const drained = client.drained();
    const messages = server[Symbol.asyncIterator]();
    for (let index = 0; index <= count; index++) {
      expect((await next(messages)).payload.length).toBe(whole.length);
    }
    expect(await drained).toBe(true);
    expect(client.bufferedAmount).toBe(0);
  });
});

/** A connection over streams that the test itself is the far side of. */
function held(handlers: Handlers = {}, role: "server" | "client" = "server") {
  const incoming = new TransformStream<Uint8Array, Uint8Array>();
  const writes: { chunk: Uint8Array; done: () => void }[] = [];
  let aborted: unknown;
  const writable = new WritableStream<Uint8Array>({
    write: (chunk) =>
      new Promise((resolve) => {
        writes.push({ chunk, done: resolve });
      }),
    abort(reason) {
      aborted = reason;
    },
  });
  const peer = attach({ readable: incoming.readable, writable }, open(role), handlers);
  return { peer, writes, into: incoming.writable.getWriter(), aborted: () => aborted };
}

describe("what is written", () => {
  it("all of a turn is one chunk, with a buffer of its own", async () => {
    const { peer, writes } = held();
    const large = body(5000);
    peer.send("a");
    peer.send(large);
    peer.send("b");
    await eventually(() => writes.length > 0);
    expect(writes).toHaveLength(1);
    const chunk = writes[0]?.chunk ?? bytes();
    expect(chunk.buffer.byteLength).toBe(chunk.length);
    expect(parseFrames(chunk).map(({ payload }) => payload.length)).toEqual([1, 5000, 1]);
    expect(large).toEqual(body(5000)); // passed through by the core, and not the stream's to change
    peer.terminate();
  });

  it("a stream that takes its time holds output back: `send` says so, and `drained` when it moved", async () => {
    const { peer, writes } = held();
    expect(peer.send(body(70_000))).toBe(false);
    expect(peer.bufferedAmount).toBeGreaterThan(70_000);
    expect(peer.send("more")).toBe(false);
    const drained = peer.drained();
    await eventually(() => writes.length === 1);
    writes[0]?.done();
    expect(await drained).toBe(true);
    await eventually(() => writes.length === 2);
    expect(parseFrames(writes[1]?.chunk ?? bytes())).toMatchObject([{ opcode: 1 }]);
    peer.terminate();
  });

  it.each<[string, QueuingStrategy<Uint8Array>]>([
    ["no queue", { highWaterMark: 0 }],
    ["no queue, counted in bytes", { highWaterMark: 0, size }],
    ["a queue of one chunk", { highWaterMark: 1 }],
    ["a queue of bytes", { highWaterMark: 100_000, size }],
  ])("all leaves a stream with %s, and `send` and `drained` tell when there is room", async (_, strategy) => {
    const taken: Uint8Array[] = [];
    const writable = new WritableStream<Uint8Array>(
      {
        async write(chunk) {
          await new Promise((resolve) => setImmediate(resolve));
          taken.push(chunk);
        },
      },
      strategy,
    );
    const peer = attach({ readable: new ReadableStream(), writable }, open("server"));
    let waits = 0;
    for (let index = 0; index < 30; index++) {
      if (peer.send(body(20_000 + index))) continue;
      waits++;
      expect(await peer.drained()).toBe(true);
    }
    expect(waits).toBeGreaterThan(0);
    await eventually(() => peer.bufferedAmount === 0);
    const lengths = parseFrames(concat(taken)).map(({ payload }) => payload.length);
    expect(lengths).toEqual(Array.from({ length: 30 }, (_, index) => 20_000 + index));
    peer.terminate();
  });

  it("a stream that is dropped is aborted, and what reads it cancelled", async () => {
    const { peer, into, aborted } = held();
    peer.terminate();
    expect(await peer.closed).toMatchObject({ cause: { by: "local", rule: "transport-lost" } });
    await expect(into.closed).rejects.toThrow("the connection was dropped");
    expect(aborted()).toEqual(new Error("the connection was dropped"));
  });
});

describe("what is read", () => {
  it("nothing more, once nobody reads messages and 64 KiB are stored", async () => {
    let pulled = 0;
    const whole = frame({ opcode: 2, payload: new Uint8Array(1000), masked: true });
    const readable = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += whole.length;
          controller.enqueue(whole);
        },
      },
      { highWaterMark: 0 },
    );
    const peer = attach({ readable, writable: new WritableStream() }, open("server"));
    await eventually(() => pulled > 65_536);
    const before = pulled;
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(pulled).toBe(before);
    expect(pulled).toBeLessThan(80_000);
    let count = 0;
    for await (const message of peer) {
      expect(message.payload).toHaveLength(1000);
      if (++count === 200) break;
    }
    expect(pulled).toBeGreaterThan(before);
    peer.terminate();
  });

  it("chunks are copied: who wrote them may go on using them", async () => {
    const { peer, into } = held();
    const sent = frame({ opcode: 1, payload: "hello", masked: true });
    const copy = sent.slice();
    await into.write(sent);
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("hello");
    expect(sent).toEqual(copy);
    peer.terminate();
  });

  it.each<[string, (into: WritableStreamDefaultWriter) => Promise<void>, object]>([
    ["ends without a Close", (into) => into.close(), { by: "peer", rule: "no-close" }],
    [
      "breaks",
      (into) => into.abort(new Error("mine")),
      { by: "transport", rule: "transport-lost", error: new Error("mine") },
    ],
    [
      "gives strings",
      (into) => into.write("text"),
      { by: "transport", rule: "transport-lost", error: expect.any(TypeError) as unknown },
    ],
    [
      "gives ArrayBuffers",
      (into) => into.write(new ArrayBuffer(3)),
      { by: "transport", rule: "transport-lost", error: expect.any(TypeError) as unknown },
    ],
  ])("a stream that %s", async (_, act, cause) => {
    const { peer, into } = held();
    await act(into);
    expect(await peer.closed).toMatchObject({ code: 1006, clean: false, cause });
  });
});

it("a writable that breaks loses the connection, and its error is told", async () => {
  const writable = new WritableStream({
    write() {
      throw new Error("mine");
    },
  });
  const { readable } = new TransformStream<Uint8Array, Uint8Array>();
  const peer = attach({ readable, writable }, open("server"));
  peer.send("x");
  expect(await peer.closed).toMatchObject({
    code: 1006,
    cause: { by: "transport", error: new Error("mine") },
  });
});

describe("where one of the two streams is lost, the other is given up", () => {
  const mine = new Error("mine");

  it.each<[string, UnderlyingSource<Uint8Array>, UnderlyingSink<Uint8Array>]>([
    ["the readable, at once", { pull: () => Promise.reject(mine) }, {}],
    ["the readable, later", { start: (on) => void setImmediate(() => on.error(mine)) }, {}],
    ["the writable, later", {}, { start: (on) => void setImmediate(() => on.error(mine)) }],
    ["a write", {}, { write: () => Promise.reject(mine) }],
    ["a write that throws", {}, { write: throwing }],
  ])("%s", async (_, source, sink) => {
    const [cancelled, aborted] = [deferred<unknown>(), deferred<unknown>()];
    const readable = new ReadableStream<Uint8Array>({ cancel: cancelled.resolve, ...source });
    const writable = new WritableStream<Uint8Array>({ abort: aborted.resolve, ...sink });
    const peer = attach({ readable, writable }, open("server"));
    peer.send("x");
    expect(await peer.closed).toMatchObject({ code: 1006, cause: { by: "transport", error: mine } });
    const isReadable = "start" in source || "pull" in source;
    expect(await (isReadable ? aborted : cancelled).promise).toBe(mine);
    expect(peer.bufferedAmount).toBe(0);
  });

  it("strings: both", async () => {
    const [cancelled, aborted] = [deferred<unknown>(), deferred<unknown>()];
    const readable = new ReadableStream({
      start(controller) {
        controller.enqueue("text");
      },
      cancel: cancelled.resolve,
    });
    const peer = attach(
      { readable, writable: new WritableStream({ abort: aborted.resolve }) },
      open("server"),
    );
    await Promise.all([cancelled.promise, aborted.promise]);
    expect((await peer.closed).code).toBe(1006);
  });

  function throwing(): never {
    throw mine;
  }
});

it.each(["readable", "writable"])(
  "a %s that is locked: attach() and accept() throw, and lock nothing",
  (which) => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    if (which === "readable") readable.getReader();
    else writable.getWriter();
    expect(() => attach({ readable, writable }, open("server"))).toThrow(TypeError);
    const endpoint = streamsEndpoint({});
    expect(() => {
      endpoint.accept({ readable, writable });
    }).toThrow(TypeError);
    expect(endpoint.peers.size).toBe(0);
    expect([readable.locked, writable.locked]).toEqual([which === "readable", which === "writable"]);
  },
);

/** Both ends of an opening handshake over pipes. */
function meet<Context>(options: EndpointOptions<Context>) {
  const endpoint = streamsEndpoint(options);
  onTestFinished(() => endpoint.close({ timeout: 1 }));
  const createConnection = (): ByteStreams => {
    const [left, right] = crossed(new TransformStream(), new TransformStream());
    endpoint.accept(left, { remoteAddress: "somewhere" });
    return right;
  };
  return { endpoint, createConnection };
}

describe("streamsEndpoint() and connect()", () => {
  it("path, subprotocol, headers, context, address, messages, a clean end", async () => {
    const opened = deferred<Peer<{ user: string }>>();
    const { createConnection } = meet<{ user: string }>({
      path: "/chat",
      upgrade: (request, { remoteAddress }) => ({
        context: { user: `${request.header("x-user") ?? ""} from ${remoteAddress ?? ""}` },
        subprotocol: "b",
        headers: { "x-answer": "yes" },
      }),
      open: opened.resolve,
      ...(ECHO as Handlers<{ user: string }>),
    });
    const peer = await connect("ws://example.com/chat?x", {
      createConnection,
      subprotocols: ["a", "b"],
      headers: { "x-user": "ann" },
    });
    const there = await opened.promise;
    expect([there.context.user, there.remoteAddress, there.request?.authority]).toEqual([
      "ann from somewhere",
      "somewhere",
      "example.com",
    ]);
    expect([peer.subprotocol, new Map(peer.headers).get("x-answer")]).toEqual(["b", "yes"]);
    peer.send("hi");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("hi");
    peer.close();
    expect(await there.closed).toMatchObject({ code: 1000, clean: true });
  });

  it.each<[string, EndpointOptions, object, number]>([
    ["another path", { path: "/chat" }, {}, 404],
    ["a page from elsewhere", {}, { origin: "https://evil.example" }, 403],
    ["the application", { upgrade: () => ({ status: 401 }) }, {}, 401],
  ])("%s is rejected", async (_, options, asked, status) => {
    const { createConnection, endpoint } = meet(options);
    const failed = connect("ws://example.com/", { createConnection, ...asked });
    await expect(failed).rejects.toMatchObject({ name: "HandshakeError", response: { status } });
    await eventually(() => endpoint.peers.size === 0);
  });

  it("close(): 1001 to everyone, nobody new", async () => {
    const { createConnection, endpoint } = meet({});
    const peer = await connect("ws://example.com/", { createConnection });
    await endpoint.close();
    expect(await peer.closed).toMatchObject({ code: 1001, clean: true });
    await expect(connect("ws://example.com/", { createConnection })).rejects.toMatchObject({
      response: { status: 503 },
    });
  });

  it("createConnection is told where to, and what it throws is the cause", async () => {
    const seen: unknown[] = [];
    const error = new Error("mine");
    const failed = connect("wss://example.com:444/x?y", {
      createConnection(url) {
        seen.push(url);
        throw error;
      },
    });
    await expect(failed).rejects.toBeInstanceOf(HandshakeError);
    await expect(failed).rejects.toMatchObject({ cause: { by: "transport", error } });
    expect(seen).toEqual([
      { secure: true, host: "example.com", port: 444, authority: "example.com:444", target: "/x?y" },
    ]);
  });

  it("streams that come too late are dropped: at the time-out, and after an abort", async () => {
    const late = deferred<ByteStreams>();
    const controller = new AbortController();
    const createConnection = (): Promise<ByteStreams> => late.promise;
    const slow = connect("ws://example.com/", { createConnection, timeout: 5 });
    const aborted = connect("ws://example.com/", { createConnection, signal: controller.signal });
    const reason = new Error("changed my mind");
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(slow).rejects.toMatchObject({ cause: { by: "transport" } });
    const dropped = deferred();
    const readable = new ReadableStream<Uint8Array>({ cancel: () => dropped.resolve() });
    // Both get the same, and only one can lock it: the other's failure is nobody's business any more.
    late.resolve({ readable, writable: new WritableStream() });
    await dropped.promise;
  });

  it("the URL may be in any alphabet", async () => {
    const { createConnection } = meet({ path: "/%C3%BC" });
    const hosts: string[] = [];
    const peer = await connect("ws://bücher.example/ü", {
      createConnection(to) {
        hosts.push(to.host);
        return createConnection();
      },
    });
    expect([peer.state, hosts]).toEqual(["open", ["xn--bcher-kva.example"]]);
  });

  it("aborted by createConnection itself", async () => {
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const createConnection = (): Promise<ByteStreams> => {
      controller.abort(reason);
      return new Promise(() => undefined);
    };
    const { signal } = controller;
    await expect(connect("ws://example.com/", { createConnection, signal })).rejects.toBe(reason);
  });

  it("aborted during the opening handshake, and before", async () => {
    const [left, right] = crossed(new TransformStream(), new TransformStream());
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const asked = connect("ws://example.com/", {
      createConnection: () => right,
      signal: controller.signal,
    });
    await left.readable.getReader().read(); // the request is there, and is not answered
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    const unused = connect("ws://example.com/", {
      createConnection: () => {
        throw new Error("it is not asked");
      },
      signal: controller.signal,
    });
    await expect(unused).rejects.toBe(reason);
  });

  it("a caller's mistake is a UsageError", async () => {
    const createConnection = (): ByteStreams => new TransformStream<Uint8Array, Uint8Array>();
    await expect(connect("ws://a/#b", { createConnection })).rejects.toBeInstanceOf(UsageError);
    expect(() => streamsEndpoint({ path: "chat" })).toThrow(UsageError);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const request = { method: "CONNECT", protocol: "websocket", target: "/", headers: [] };
    expect(() => {
      streamsEndpoint({}).accept({ readable, writable }, { request });
    }).toThrow(UsageError); // there is no `respond`
    expect([readable.locked, writable.locked]).toEqual([false, false]);
  });
});

describe("accept() of a request that was read already", () => {
  const CONNECT = {
    method: "CONNECT",
    protocol: "websocket",
    scheme: "https",
    authority: "example.com",
    target: "/chat",
    httpVersion: "3",
    headers: [
      ["sec-websocket-version", "13"],
      ["origin", "https://example.com"],
    ],
  } as const;

  it("extended CONNECT (RFC 9220): the response is data, and comes before any byte", async () => {
    const order: string[] = [];
    const [left, right] = crossed(new TransformStream(), new TransformStream());
    const endpoint = streamsEndpoint({ path: "/chat", open: (peer) => void peer.send("welcome") });
    const answered = deferred<ResponseData>();
    endpoint.accept(left, {
      request: CONNECT,
      head: frame({ opcode: 8, masked: true }),
      respond(response) {
        order.push("response");
        answered.resolve(response);
      },
    });
    expect(await answered.promise).toMatchObject({ status: 200, headers: [] });
    const received: Uint8Array[] = [];
    for await (const chunk of right.readable as ReadableStream<Uint8Array>) {
      order.push("bytes");
      received.push(chunk);
    }
    expect(order[0]).toBe("response");
    expect(order.filter((each) => each === "response")).toHaveLength(1);
    expect(parseFrames(concat(received))).toMatchObject([{ opcode: 1 }, { opcode: 8 }]);
    await right.writable.getWriter().close();
    await eventually(() => endpoint.peers.size === 0);
  });

  it("`respond` is called once, also where it throws", async () => {
    let calls = 0;
    const [left, right] = crossed(new TransformStream(), new TransformStream());
    const errors: unknown[] = [];
    const endpoint = streamsEndpoint({ path: "/chat", error: (error) => errors.push(error) });
    endpoint.accept(left, {
      request: CONNECT,
      head: frame({ opcode: 8, masked: true }),
      respond() {
        calls++;
        throw new Error("the stream was reset");
      },
    });
    await right.writable.getWriter().close();
    await (right.readable as ReadableStream).pipeTo(new WritableStream());
    await eventually(() => errors.length > 0);
    expect([calls, errors]).toEqual([1, [new Error("the stream was reset")]]);
  });

  it("a dead peer while a message of its waits unread: `closed` is told", async () => {
    const closed = deferred<string>();
    const [left, right] = crossed(new TransformStream(), new TransformStream());
    const timeouts = { ping: 20, pong: 20, linger: 20, closing: Infinity };
    const endpoint = streamsEndpoint({ timeouts, close: (_, { cause }) => closed.resolve(cause.rule) });
    endpoint.accept(left, { request: CONNECT, respond: () => undefined });
    right.writable
      .getWriter()
      .write(frame({ opcode: 1, payload: "unread", masked: true }))
      .catch(() => {}); // it is dropped
    await expect((right.readable as ReadableStream).pipeTo(new WritableStream())).rejects.toThrow(
      "the connection was dropped",
    );
    expect(await closed.promise).toBe("pong-timeout");
    expect(endpoint.peers.size).toBe(0);
  });

  it("rejected: a status, a body, and the end of the stream", async () => {
    const [left, right] = crossed(new TransformStream(), new TransformStream());
    const endpoint = streamsEndpoint({ path: "/elsewhere" });
    const answered = deferred<ResponseData>();
    endpoint.accept(left, { request: CONNECT, respond: answered.resolve });
    expect(await answered.promise).toMatchObject({ status: 404, body: expect.any(Uint8Array) as unknown });
    expect(await (right.readable as ReadableStream).getReader().read()).toMatchObject({ done: true });
  });
});

/** A socket as a pair of streams whose sides end one by one. (Node 20's own tell of an end only once both have.) */
function streamsOf(socket: net.Socket): ByteStreams {
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      socket.on("data", (chunk: Uint8Array) => {
        controller.enqueue(chunk);
        if ((controller.desiredSize ?? 0) <= 0) socket.pause();
      });
      socket.on("end", () => {
        controller.close();
      });
    },
    pull: () => void socket.resume(),
    cancel: () => void socket.destroy(),
  });
  const writable = new WritableStream<Uint8Array>({
    write: (chunk) => new Promise<void>((resolve) => void socket.write(chunk, () => resolve())),
    close: () => void socket.end(),
    abort: () => void socket.destroy(),
  });
  return { readable, writable };
}

describe("over TCP", () => {
  async function serving(): Promise<number> {
    const endpoint = streamsEndpoint(ECHO);
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      endpoint.accept(streamsOf(socket));
    });
    onTestFinished(async () => {
      server.close();
      await endpoint.close({ timeout: 1 });
    });
    await listen(server);
    return (server.address() as net.AddressInfo).port;
  }

  it("a client from npm", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${await serving()}/`, { perMessageDeflate: false });
    const message = deferred<string>();
    const closed = deferred<number>();
    socket.on("open", () => {
      socket.send("x".repeat(200_000));
    });
    socket.on("message", (data: Buffer) => {
      message.resolve(data.toString());
      socket.close(4000);
    });
    socket.on("close", closed.resolve);
    expect(await message.promise).toBe("x".repeat(200_000));
    expect(await closed.promise).toBe(4000);
  });

  it("our own clients, on Node and over its streams", async () => {
    const url = `ws://127.0.0.1:${await serving()}/`;
    const clients = [
      await connectOnNode(url),
      await connect(url, {
        createConnection: ({ host, port }) => streamsOf(net.connect({ host, port, allowHalfOpen: true })),
      }),
    ];
    for (const client of clients) {
      client.send("hi");
      expect(await nextText(client[Symbol.asyncIterator]())).toBe("hi");
      client.close();
      expect(await client.closed).toMatchObject({ code: 1000, clean: true });
    }
  });
});
