// How connections end on the Node adapter: the closing handshake over real sockets, and peers that do their part of it badly.

import type * as net from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";

import type { ConnectOptions, EndpointOptions, Peer } from "../../src/adapters/node.js";
import { connect } from "../../src/adapters/node.js";
import type { Running } from "../support/entries.js";
import {
  deferred,
  eventually,
  nextText,
  PLAIN_ENTRIES,
  SERVE,
  TCP_ENTRIES,
  wait,
} from "../support/entries.js";
import { upgradeRequest } from "../support/http.js";
import { noLooseEnds } from "../support/loose-ends.js";
import type { RawPeer } from "../support/raw-peer.js";
import { acceptByHand, rawClient, rawConnection, rawDial, rawServer } from "../support/raw-peer.js";
import { bytes, concat, frame } from "../support/wire.js";

noLooseEnds();

const MIB = 1024 * 1024;
const CLOSE_4000 = bytes(0x0f, 0xa0);

type Closed = Awaited<Peer["closed"]>;

/** A server that keeps what its `close` handler was told. */
async function recording(
  entry: { start(options: EndpointOptions): Promise<Running> },
  options: EndpointOptions = {},
): Promise<Running & { readonly closes: Closed[]; readonly first: Promise<Closed> }> {
  const closes: Closed[] = [];
  const first = deferred<Closed>();
  const server = await entry.start({
    ...options,
    close(_, closed) {
      closes.push(closed);
      first.resolve(closed);
    },
  });
  return { ...server, closes, first: first.promise };
}

describe.each(TCP_ENTRIES)("$name, the closing handshake (RFC 6455 7.1.2)", (entry) => {
  it("begun by the client", async () => {
    const server = await recording(entry);
    const peer = await connect(server.url, server.options);
    expect(peer.close(4001, "bye")).toBe(true);
    expect(peer.close(4002)).toBe(false);
    const ours = await peer.closed;
    expect(ours).toMatchObject({ code: 4001, clean: true, cause: { by: "local", rule: "closed" } });
    const theirs = await server.first;
    expect(theirs).toMatchObject({
      code: 4001,
      reason: "bye",
      clean: true,
      cause: { by: "peer", rule: "closed" },
    });
    expect(peer.state).toBe("closed");
    expect(peer.close()).toBe(false);
    await eventually(() => server.peers.size === 0);
    expect(server.closes).toHaveLength(1);
  });

  it("begun by the server", async () => {
    const server = await recording(entry, { open: (peer) => void peer.close(4001, "bye") });
    const peer = await connect(server.url, server.options);
    expect(await peer.closed).toMatchObject({
      code: 4001,
      reason: "bye",
      clean: true,
      cause: { by: "peer" },
    });
    expect(await server.first).toMatchObject({ code: 4001, clean: true, cause: { by: "local" } });
    expect(server.closes).toHaveLength(1);
  });

  it("begun by both at once: one Close each, both clean", async () => {
    const server = await recording(entry, { open: (peer) => void peer.close(4001) });
    const peer = await connect(server.url, {
      ...server.options,
      open: (client) => void client.close(4002),
    });
    expect(await peer.closed).toMatchObject({ code: 4001, sent: { code: 4002 }, clean: true });
    expect(await server.first).toMatchObject({ code: 4002, sent: { code: 4001 }, clean: true });
    expect(server.closes).toHaveLength(1);
  });

  it("a bare close() says 1000", async () => {
    const server = await recording(entry);
    const peer = await connect(server.url, server.options);
    peer.close();
    expect(await server.first).toMatchObject({ code: 1000, reason: "" });
  });

  it("what was sent before close() arrives", async () => {
    const server = await entry.start({
      open(peer) {
        peer.send(new Uint8Array(8 * MIB));
        peer.send("last");
        peer.close();
      },
    });
    const peer = await connect(server.url, server.options);
    const sizes: number[] = [];
    for await (const message of peer) sizes.push(message.payload.length);
    expect(sizes).toEqual([8 * MIB, 4]);
    expect(await peer.closed).toMatchObject({ code: 1000, clean: true });
  });

  it("sends after it are false, and never arrive", async () => {
    const got: unknown[] = [];
    const server = await recording(entry, { message: (_, message) => void got.push(message.data) });
    const peer = await connect(server.url, server.options);
    peer.close();
    expect(peer.send("late")).toBe(false);
    expect(peer.startMessage("text").end("late")).toBe(false);
    await peer.closed;
    expect(peer.send("late")).toBe(false);
    expect(await peer.drained()).toBe(false);
    await server.first;
    expect(got).toEqual([]);
  });

  it("terminate() drops the transport: the other side sees 1006", async () => {
    const server = await recording(entry);
    const peer = await connect(server.url, server.options);
    peer.terminate();
    expect(await peer.closed).toMatchObject({ code: 1006, clean: false, cause: { rule: "transport-lost" } });
    peer.terminate();
    expect(await server.first).toMatchObject({ code: 1006, clean: false });
    expect(server.closes).toHaveLength(1);
  });

  it("terminate() inside the handlers `open` and `message`", async () => {
    for (const where of ["open", "message"] as const) {
      const server = await recording(entry, { [where]: (peer: Peer) => peer.terminate() });
      // dropped in `open`, the 101 is dropped, too
      const peer = await connect(server.url, server.options).catch(() => undefined);
      expect(peer === undefined).toBe(where === "open");
      peer?.send("x");
      if (peer !== undefined) expect(await peer.closed).toMatchObject({ code: 1006 });
      expect(await server.first).toMatchObject({ code: 1006 });
    }
  });
});

describe("peers that do their part badly, ours being a server", () => {
  it.each(TCP_ENTRIES)("Close and FIN at once: answered, and clean; $name", async (entry) => {
    const server = await recording(entry);
    const raw = rawDial(server);
    raw.send(upgradeRequest());
    expect((await raw.head()).status).toBe(101);
    raw.send(frame({ opcode: 8, payload: CLOSE_4000, masked: true }));
    raw.stream.end();
    expect(await raw.close()).toEqual({ code: 4000, reason: "" });
    await raw.lost();
    expect(raw.error).toBeUndefined();
    expect(await server.first).toMatchObject({ code: 4000, clean: true });
  });

  it.each(PLAIN_ENTRIES)("request, Close and FIN at once; $name", async (entry) => {
    const server = await recording(entry);
    const raw = await rawConnection(server.where);
    raw.stream.end(
      concat([bytes(upgradeRequest()), frame({ opcode: 8, payload: CLOSE_4000, masked: true })]),
    );
    expect((await raw.head()).status).toBe(101);
    expect(await raw.close()).toEqual({ code: 4000, reason: "" });
    expect(await server.first).toMatchObject({ code: 4000, clean: true });
  });

  it.each(TCP_ENTRIES)("a FIN without a Close: what it asked before is answered; $name", async (entry) => {
    const server = await recording(entry, { message: (peer, message) => void peer.send(message.data) });
    const raw = rawDial(server);
    raw.send(upgradeRequest());
    expect((await raw.head()).status).toBe(101);
    raw.send(frame({ opcode: 2, payload: new Uint8Array(300_000), masked: true }));
    raw.stream.end();
    expect((await raw.frame()).payload.length).toBe(300_000);
    await raw.lost();
    expect(raw.error).toBeUndefined();
    expect(await server.first).toMatchObject({
      code: 1006,
      clean: false,
      cause: { by: "peer", rule: "no-close" },
    });
    expect(server.closes).toHaveLength(1);
  });

  it("one that has ended its side before the hook answers still gets the answer", async () => {
    const server = await SERVE.start({
      async upgrade() {
        await wait(30);
        return { status: 403, body: "no" };
      },
    });
    const raw = await rawConnection(server.where);
    raw.stream.end(bytes(upgradeRequest()));
    expect(await raw.response()).toMatchObject({ status: 403, body: "no" });
  });

  it("one that never answers our Close is dropped after `timeouts.closing`", async () => {
    const server = await recording(SERVE, {
      timeouts: { closing: 50 },
      open: (peer) => void peer.close(4001),
    });
    const raw = await rawClient(server.where);
    expect((await raw.close()).code).toBe(4001);
    await raw.over();
    expect(await server.first).toMatchObject({ code: 1006, cause: { by: "peer", rule: "close-timeout" } });
    await eventually(() => server.peers.size === 0);
  });

  it("one that never ends its side is dropped after `timeouts.linger`, and it was clean", async () => {
    const server = await recording(SERVE, { timeouts: { linger: 50 } });
    const raw = await rawClient(server.where);
    raw.send(frame({ opcode: 8, payload: CLOSE_4000, masked: true }));
    expect((await raw.close()).code).toBe(4000);
    await raw.end(); // the server ends first (RFC 6455 7.1.1)
    expect(await server.first).toMatchObject({ code: 4000, clean: true });
    raw.send("x");
    await wait(1);
    raw.send("x");
    await raw.lost(); // reset: nobody is there any more
  });

  it("one that goes on sending for ever after our Close is dropped, by bytes", async () => {
    const server = await recording(SERVE, {
      limits: { discard: 4 * MIB },
      timeouts: { linger: Infinity },
    });
    const raw = await rawClient(server.where);
    raw.send(bytes(0x83, 0x80, 0, 0, 0, 0)); // opcode 3
    const timer = setInterval(() => raw.stream.write(new Uint8Array(MIB)), 1);
    onTestFinished(() => clearInterval(timer));
    expect((await raw.close()).code).toBe(1002);
    await server.first;
    await raw.lost();
  });

  it("one that resets after both Closes was clean (RFC 6455 7.1.4)", async () => {
    const server = await recording(SERVE);
    const raw = await rawClient(server.where);
    raw.send(frame({ opcode: 8, payload: CLOSE_4000, masked: true }));
    await raw.close();
    raw.stream.resetAndDestroy();
    expect(await server.first).toMatchObject({ code: 4000, clean: true });
  });
});

describe("peers that do their part badly, ours being a client", () => {
  /** A client whose server is a raw peer. */
  async function pair(options: ConnectOptions = {}): Promise<[Peer, RawPeer & { stream: net.Socket }]> {
    const accepted = deferred<RawPeer & { stream: net.Socket }>();
    const server = await rawServer(async (raw) => {
      await acceptByHand(raw);
      accepted.resolve(raw);
    });
    return [await connect(server.url, options), await accepted.promise];
  }

  it("Close and FIN at once", async () => {
    const [peer, raw] = await pair();
    raw.stream.end(frame({ opcode: 8, payload: CLOSE_4000 }));
    expect(await peer.closed).toMatchObject({ code: 4000, clean: true });
    expect((await raw.close()).code).toBe(4000);
    await raw.lost();
    expect(raw.error).toBeUndefined();
  });

  it("a FIN without a Close", async () => {
    const [peer, raw] = await pair();
    raw.stream.end();
    expect(await peer.closed).toMatchObject({ code: 1006, cause: { rule: "no-close" } });
    await raw.over();
  });

  it("no answer to our Close", async () => {
    const [peer, raw] = await pair({ timeouts: { closing: 50 } });
    peer.close(4001);
    expect((await raw.close()).code).toBe(4001);
    expect(await peer.closed).toMatchObject({ code: 1006, cause: { rule: "close-timeout" } });
    await raw.over();
  });

  it("both Closes, but never the end: waited for a while, then dropped, and clean", async () => {
    const [peer, raw] = await pair({ timeouts: { linger: 50 } });
    peer.close(4001);
    await raw.close();
    expect(raw.ended).toBe(false); // the server is to end first (RFC 6455 7.1.1)
    raw.send(frame({ opcode: 8, payload: CLOSE_4000 }));
    expect(await peer.closed).toMatchObject({ code: 4000, clean: true });
    await raw.over();
  });

  it("a reset in the middle of a message", async () => {
    const [peer, raw] = await pair();
    raw.send(frame({ opcode: 1, payload: "whole" }), frame({ opcode: 1, payload: "half" }).subarray(0, 4));
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("whole");
    raw.stream.resetAndDestroy();
    expect(await peer.closed).toMatchObject({ code: 1006, clean: false });
  });

  it("a reset right after the 101", async () => {
    const server = await rawServer(async (raw) => {
      await acceptByHand(raw);
      setImmediate(() => raw.stream.resetAndDestroy());
    });
    for (let i = 0; i < 20; i++) {
      const outcome = await connect(server.url).then((peer) => peer.closed, (error: unknown) => error); // prettier-ignore
      expect(outcome).toMatchObject({ cause: { by: expect.stringMatching(/transport|peer/) as string } });
    }
  });
});

describe("a client that reads slowly, but steadily", () => {
  it.each(PLAIN_ENTRIES)("gets all, and our Close: `linger` is no limit to that; $name", async (entry) => {
    const SIZE = 32 * MIB;
    const server = await recording(entry, {
      timeouts: { linger: 400 },
      open: (peer) => void peer.send(new Uint8Array(SIZE)),
    });
    const raw = await rawConnection(server.where, { reading: false });
    raw.send(upgradeRequest(), frame({ opcode: 8, payload: CLOSE_4000, masked: true }));
    let got = 0;
    let close = bytes();
    raw.stream.on("data", (chunk: Uint8Array) => {
      const before = Math.floor(got / MIB);
      got += chunk.length;
      close = concat([close, chunk.slice(-4)]).slice(-4);
      if (Math.floor(got / MIB) === before) return;
      raw.stream.pause();
      setTimeout(() => raw.stream.resume(), 30);
    });
    await raw.end();
    expect(got).toBeGreaterThan(SIZE);
    expect(close).toEqual(bytes(0x88, 2, CLOSE_4000));
    raw.stream.end();
    expect(await server.first).toMatchObject({ code: 4000, clean: true });
  });

  it.each(TCP_ENTRIES)("gets all that it asked for before it ended its side; $name", async (entry) => {
    const server = await recording(entry, {
      message: (peer) => {
        for (let i = 0; i < 200; i++) peer.send(new Uint8Array(65536));
      },
    });
    const raw = rawDial(server, { reading: false });
    raw.send(upgradeRequest(), frame({ opcode: 1, payload: "go", masked: true }));
    await eventually(() => server.peers.size === 1);
    await wait(20);
    raw.stream.end();
    await wait(50); // the end has been seen, and the system's buffers are full
    raw.read();
    await raw.end();
    expect(raw.count).toBeGreaterThan(200 * 65536);
    expect(raw.error).toBeUndefined();
    expect(await server.first).toMatchObject({ cause: { rule: "no-close" } });
  });
});

describe("a peer that is still pumping data", () => {
  const PUMPED = 32 * MIB;
  const chunk = frame({ opcode: 2, payload: new Uint8Array(MIB - 14), masked: true });
  const bad = bytes(0x83, 0x80, 0, 0, 0, 0);

  /** Sends all that it has before it reads a byte. */
  async function pump(server: Running, head: Uint8Array): Promise<RawPeer> {
    const raw = rawDial(server, { reading: false });
    raw.send(head);
    for (let sent = 0; sent < PUMPED && !raw.gone; sent += MIB)
      await new Promise((resolve) => raw.stream.write(chunk, resolve));
    raw.read();
    return raw;
  }

  const rows = TCP_ENTRIES.flatMap((entry) =>
    (["pushed", "pulled"] as const).map((how) => ({ name: `${entry.name}, ${how}`, entry, how })),
  );
  it.each(rows)("sees the Close when we close; $name", async ({ entry, how }) => {
    const server = await recording(entry, {
      open: (peer) => void peer.close(4001, "stop"),
      ...(how === "pushed" && { message: () => undefined }),
    });
    const raw = await pump(server, bytes(upgradeRequest()));
    expect((await raw.head()).status).toBe(101);
    expect(await raw.close()).toEqual({ code: 4001, reason: "stop" });
    raw.send(frame({ opcode: 8, payload: CLOSE_4000, masked: true }));
    raw.stream.end();
    await raw.end();
    expect(raw.error).toBeUndefined();
    expect(await server.first).toMatchObject({ code: 4000, clean: true });
  });

  it.each(TCP_ENTRIES)("sees the Close when we fail it; $name", async (entry) => {
    const server = await recording(entry);
    const raw = await pump(server, concat([bytes(upgradeRequest()), bad]));
    expect((await raw.head()).status).toBe(101);
    expect((await raw.close()).code).toBe(1002);
    await raw.end();
    expect(raw.error).toBeUndefined();
    raw.stream.end();
    expect(await server.first).toMatchObject({ code: 1006, cause: { rule: "reserved-opcode" } });
  });

  it.each(TCP_ENTRIES)("sees the response when we reject it; $name", async (entry) => {
    const server = await recording(entry, { upgrade: () => ({ status: 403, body: "go away" }) });
    const raw = await pump(server, bytes(upgradeRequest()));
    expect(await raw.response()).toMatchObject({ status: 403, body: "go away" });
    expect(raw.error).toBeUndefined();
    raw.stream.end();
    await raw.lost();
  });

  it("sees the Close of a client of ours, too", async () => {
    const outcome = deferred<{ code: number; error: unknown }>();
    const server = await rawServer(async (raw) => {
      await acceptByHand(raw, bytes(0x83, 0));
      raw.stream.pause();
      const unmasked = frame({ opcode: 2, payload: new Uint8Array(MIB) });
      for (let i = 0; i < 32; i++) await new Promise((resolve) => raw.stream.write(unmasked, resolve));
      raw.stream.resume();
      const { code } = await raw.close();
      await raw.end();
      raw.stream.end();
      outcome.resolve({ code, error: raw.error });
    });
    const peer = await connect(server.url);
    expect(await outcome.promise).toEqual({ code: 1002, error: undefined });
    expect(await peer.closed).toMatchObject({ cause: { rule: "reserved-opcode" } });
  });
});

describe("keepalive", () => {
  const timeouts = { ping: 30, pong: 30, linger: 30 };

  it("a silent peer gets a ping, then 1011, then the end", async () => {
    const server = await recording(SERVE, { timeouts });
    const raw = await rawClient(server.where);
    expect((await raw.frame()).opcode).toBe(9);
    expect((await raw.close()).code).toBe(1011);
    await raw.over();
    expect(await server.first).toMatchObject({ code: 1006, cause: { by: "peer", rule: "pong-timeout" } });
    expect(server.closes).toHaveLength(1);
  });

  it("a server that is silent, too", async () => {
    const closes: number[] = [];
    const server = await rawServer(async (raw) => {
      await acceptByHand(raw);
      closes.push((await raw.close()).code);
    });
    const peer = await connect(server.url, { timeouts });
    expect(await peer.closed).toMatchObject({ cause: { rule: "pong-timeout" } });
    expect(closes).toEqual([1011]);
  });

  it("a peer that answers lives", async () => {
    const server = await recording(SERVE, { timeouts: { ping: 30, pong: 2000 } });
    const raw = await rawClient(server.where);
    for (let i = 0; i < 5; i++) {
      const { opcode, payload } = await raw.frame();
      expect(opcode).toBe(9);
      raw.send(frame({ opcode: 10, payload, masked: true }));
    }
    expect(server.closes).toEqual([]);
  });

  it("any byte is life: one byte of a frame now and then is enough", async () => {
    const server = await recording(SERVE, { timeouts: { ping: 60, pong: 400 } });
    const raw = await rawClient(server.where);
    for (const byte of frame({ opcode: 2, payload: new Uint8Array(20), masked: true })) {
      raw.send(Uint8Array.of(byte));
      await wait(40);
    }
    expect(server.closes).toEqual([]);
  });

  it("a reader that pauses does not make its peer look dead", async () => {
    const server = await SERVE.start({
      open(peer) {
        for (let i = 0; i < 64; i++) peer.send(new Uint8Array(65536));
      },
    });
    const peer = await connect(server.url, { timeouts });
    await wait(300);
    expect(peer.state).toBe("open");
    let count = 0;
    for await (const message of peer) {
      expect(message.payload.length).toBe(65536);
      if (++count === 64) break;
    }
  });

  describe("a dead peer, while a message of its waits unread", () => {
    const KEEPALIVE = { ping: 30, pong: 30, linger: 30, closing: Infinity };
    const TOLD = { code: 1006, clean: false, cause: { by: "peer", rule: "pong-timeout" } };

    it("is given up, though the application neither handles nor reads messages", async () => {
      const server = await recording(SERVE, { timeouts: KEEPALIVE });
      const raw = await rawClient(server.where, frame({ opcode: 1, payload: "unread", masked: true }));
      expect(await server.first).toMatchObject(TOLD);
      await raw.over();
      await eventually(() => server.peers.size === 0);
      expect(server.closes).toHaveLength(1);
    });

    it.each(PLAIN_ENTRIES)("is given up, though the application waits in drained(); $name", async (entry) => {
      const drained = deferred<boolean>();
      const server = await recording(entry, {
        timeouts: KEEPALIVE,
        async open(peer) {
          for await (const message of peer)
            if (!peer.send(message.data)) drained.resolve(await peer.drained());
        },
      });
      const raw = await rawConnection(server.where, { reading: false });
      raw.send(upgradeRequest());
      raw.send(frame({ opcode: 2, payload: new Uint8Array(15 * MIB), masked: true }));
      raw.send(frame({ opcode: 1, payload: "unread", masked: true }));
      expect(await server.first).toMatchObject(TOLD);
      expect(await drained.promise).toBe(false);
      await eventually(() => server.peers.size === 0);
    });

    it("what it had sent can still be read", async () => {
      const server = await rawServer((raw) => acceptByHand(raw, frame({ opcode: 1, payload: "unread" })));
      const peer = await connect(server.url, { timeouts: KEEPALIVE });
      expect(await peer.closed).toMatchObject(TOLD);
      expect(await nextText(peer[Symbol.asyncIterator]())).toBe("unread");
    });
  });

  it("a peer whose messages wait unread is not dead either: its pongs are life", async () => {
    const server = await SERVE.start({ open: (peer) => void peer.send("unread") });
    const peer = await connect(server.url, { timeouts: { ping: 30, pong: 1000 } });
    await wait(300);
    expect(peer.state).toBe("open");
  });
});
