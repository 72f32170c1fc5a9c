// attach(): a connection over whatever is a stream.Duplex.

import { Duplex, PassThrough } from "node:stream";
import * as net from "node:net";

import { describe, expect, it } from "vitest";

import type { Handlers, Peer } from "../../src/adapters/node.js";
import { attach, nodePlatform } from "../../src/adapters/node.js";
import { ClientConnection, Connection } from "../../src/index.js";
import type { Options } from "../../src/index.js";
import { deferred, ECHO, eventually, next, nextText, SERVE } from "../support/entries.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { RawPeer } from "../support/raw-peer.js";
import { bytes, frame, parseFrames } from "../support/wire.js";

noLooseEnds();

/** Two streams, each the other's far side. */
function duplexPair(): [Duplex, Duplex] {
  const [a, b] = [new PassThrough(), new PassThrough()];
  const left = Duplex.from({ readable: a, writable: b });
  const right = Duplex.from({ readable: b, writable: a });
  return [left, right];
}

function open(role: "server" | "client", options: Options = {}): Connection {
  return new Connection(role, { platform: nodePlatform, halfClose: true, ...options });
}

function pair(server: Handlers = {}, client: Handlers = {}, options: Options = {}): [Peer, Peer] {
  const [left, right] = duplexPair();
  return [attach(left, open("server", options), server), attach(right, open("client", options), client)];
}

describe.each([true, false])("attach() over a pair of streams, halfClose: %s", (halfClose) => {
  it("both roles, open already: messages both ways, and a clean close", async () => {
    const [server, client] = pair(ECHO, {}, { halfClose, timeouts: { linger: 50 } });
    expect([server.state, client.state]).toEqual(["open", "open"]);
    const messages = client[Symbol.asyncIterator]();
    client.send("grüße");
    client.send(new Uint8Array(300_000).fill(7));
    expect(await nextText(messages)).toBe("grüße");
    expect((await next(messages)).payload.length).toBe(300_000);
    expect(await client.ping()).toBeTypeOf("number");
    client.close(4000, "bye");
    expect(await server.closed).toMatchObject({ code: 4000, reason: "bye", clean: true });
    expect(await client.closed).toMatchObject({ code: 4000, clean: true });
  });

  it("closed by the server", async () => {
    const [server, client] = pair({}, {}, { halfClose, timeouts: { linger: 50 } });
    server.close(4000);
    expect(await client.closed).toMatchObject({ code: 4000, clean: true });
    expect(await server.closed).toMatchObject({ code: 4000, clean: true });
  });
});

describe("attach()", () => {
  it("calls `open` for a connection that is open already, and `close` once", async () => {
    const calls: string[] = [];
    const handlers = (name: string): Handlers => ({
      open: () => void calls.push(`${name} open`),
      close: () => void calls.push(`${name} close`),
    });
    const [server, client] = pair(handlers("server"), handlers("client"));
    client.close();
    await Promise.all([server.closed, client.closed]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls.sort()).toEqual(["client close", "client open", "server close", "server open"]);
  });

  describe("what a stream keeps of its chunks stays as it was: only of Node's own sockets it is known when they are written", () => {
    const keep =
      (kept: Buffer[]) =>
      (chunk: Buffer, _: unknown, done: () => void): void => {
        kept.push(chunk);
        done();
      };
    const streams: readonly (readonly [string, (kept: Buffer[]) => Duplex])[] = [
      ["a Duplex", (kept) => new Duplex({ read: () => undefined, write: keep(kept) })],
      [
        "a class of sockets",
        (kept) =>
          new (class extends net.Socket {
            override _write = keep(kept);
          })(),
      ],
      ["a socket with another _write", (kept) => Object.assign(new net.Socket(), { _write: keep(kept) })],
      [
        "a socket with another write",
        (kept) => Object.assign(new net.Socket(), { write: (chunk: Buffer) => kept.push(chunk) > 0 }),
      ],
    ];
    it.each(streams)("%s", async (_, make) => {
      const kept: Buffer[] = [];
      const peer = attach(make(kept), open("server"));
      for (const text of ["first", "second", "third"]) {
        peer.send(text);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(kept.map((chunk) => Buffer.from(chunk).subarray(2).toString())).toEqual([
        "first",
        "second",
        "third",
      ]);
      peer.terminate();
      await peer.closed;
    });
  });

  describe("so does what it keeps of several chunks at once", () => {
    interface Written {
      readonly chunk: Buffer;
    }
    const keep = (kept: Buffer[], list: readonly Written[], done: () => void): void => {
      kept.push(...list.map(({ chunk }) => chunk));
      done();
    };
    const sockets: readonly (readonly [string, (kept: Buffer[]) => object])[] = [
      [
        "a socket with another _writev",
        (kept) => ({ _writev: (list: readonly Written[], done: () => void) => keep(kept, list, done) }),
      ],
      [
        "a socket with another _writeGeneric",
        (kept) => ({
          _writeGeneric: (_: boolean, list: readonly Written[], __: string, done: () => void) =>
            keep(kept, list, done),
        }),
      ],
    ];
    it.each(sockets)("%s", async (_, methods) => {
      const kept: Buffer[] = [];
      const peer = attach(Object.assign(new net.Socket(), methods(kept)), open("server"));
      const expected: string[] = [];
      for (const letter of "abcdef") {
        peer.send(new Uint8Array(2000).fill(letter.charCodeAt(0)));
        peer.send(letter.repeat(20_000));
        expected.push(letter.repeat(2000), letter.repeat(20_000));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const frames = parseFrames(Buffer.concat(kept));
      expect(frames.map(({ payload }) => Buffer.from(payload).toString())).toEqual(expected);
      peer.terminate();
      await peer.closed;
    });
  });

  it("slow reading reaches the writer of the stream at the other end", async () => {
    const [left, right] = duplexPair();
    const server = attach(left, open("server"));
    const raw = new RawPeer(right);
    const whole = frame({ opcode: 2, payload: new Uint8Array(60_000), masked: true });
    let count = 0;
    for (;;) {
      const going = right.write(whole);
      count++;
      if (!going && !(await Promise.race([drained(right), later()]))) break;
      expect(count).toBeLessThan(1000);
    }
    let got = 0;
    for await (const message of server) {
      expect(message.payload.length).toBe(60_000);
      if (++got === count) break;
    }
    expect(raw.gone).toBe(false);
  });

  it("does not write into the stream's chunks: they may be anybody's", async () => {
    const [left, right] = duplexPair();
    const server = attach(left, open("server"));
    const chunk = frame({ opcode: 2, payload: Uint8Array.of(1, 2, 3, 4), masked: true });
    const before = Uint8Array.from(chunk);
    right.write(chunk);
    expect((await next(server[Symbol.asyncIterator]())).payload).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(Uint8Array.from(chunk)).toEqual(before);
  });

  it.each([
    ["ends", (stream: Duplex) => void stream.end(), "no-close"],
    ["is destroyed", (stream: Duplex) => void stream.destroy(), undefined],
  ])("a far side that %s", async (_, act, rule) => {
    const [left, right] = duplexPair();
    let closes = 0;
    const server = attach(left, open("server"), {
      close: () => {
        closes++;
      },
    });
    right.on("error", () => undefined);
    act(right);
    const { code, cause } = await server.closed;
    expect(code).toBe(1006);
    if (rule !== undefined) expect(cause.rule).toBe(rule);
    await eventually(() => closes === 1);
  });

  it("a message sent while another is being written is written, too", async () => {
    const written: number[] = [];
    const duplex = new Duplex({
      read: () => undefined,
      write(chunk: Uint8Array, _, done) {
        if (written.push(chunk.length) === 1) peer.send("the second");
        done();
      },
    });
    const peer: Peer = attach(duplex, open("server"));
    peer.send("1st");
    await eventually(() => written.length === 2);
    expect(written).toEqual([5, 12]);
    expect(peer.bufferedAmount).toBe(0);
    peer.terminate();
  });

  it("a stream that throws is destroyed, and the cause says why", async () => {
    const thrown = new Error("it threw");
    for (const act of [(peer: Peer) => peer.send("x"), (peer: Peer) => peer.send("x".repeat(70_000))]) {
      const duplex = new Duplex({
        read: () => undefined,
        write() {
          throw thrown;
        },
      });
      const peer = attach(duplex, open("server"));
      act(peer);
      const { cause } = await peer.closed;
      expect(cause).toMatchObject({ by: "transport", rule: "transport-lost", error: thrown });
      expect(duplex.destroyed).toBe(true);
    }
  });

  it("a stream with an error of its own: it is the cause's", async () => {
    const [left, right] = duplexPair();
    right.on("error", () => undefined);
    const server = attach(left, open("server"));
    const error = new Error("the cable");
    left.destroy(error);
    expect(await server.closed).toMatchObject({ code: 1006, cause: { rule: "transport-lost", error } });
  });

  it("a stream that is gone already", async () => {
    const socket = new net.Socket();
    socket.destroy();
    const peer = attach(socket, open("server"));
    expect(await peer.closed).toMatchObject({ code: 1006, cause: { rule: "transport-lost" } });
  });

  it("a stream that was paused is resumed", async () => {
    const [left, right] = duplexPair();
    left.pause();
    const server = attach(left, open("server"), ECHO);
    const raw = new RawPeer(right);
    raw.send(frame({ opcode: 1, payload: "hello", masked: true }));
    expect((await raw.frame()).payload).toEqual(Buffer.from("hello"));
    expect(server.state).toBe("open");
  });

  it("a stream that has ended already: the end is seen", async () => {
    const [left, right] = duplexPair();
    right.on("error", () => undefined);
    right.end();
    left.resume();
    await new Promise((resolve) => left.once("end", resolve));
    const server = attach(left, open("server", { timeouts: { linger: 50 } }));
    expect(await server.closed).toMatchObject({ code: 1006, cause: { rule: /no-close|transport-lost/ } });
  });

  it.each([{ a: 1 }, 7, [], new ArrayBuffer(3), new DataView(new ArrayBuffer(3)), true])(
    "a stream of objects that gives %o fails, and the error says why",
    async (chunk) => {
      const duplex = new Duplex({ objectMode: true, read: () => undefined, write: () => undefined });
      const peer = attach(duplex, open("server"));
      duplex.push(chunk);
      const { code, cause } = await peer.closed;
      expect([code, cause.by, duplex.destroyed]).toEqual([1006, "transport", true]);
      expect(String(cause.error)).toContain("something else than bytes");
    },
  );

  it("a stream that gives strings fails, and the error says why", async () => {
    const [left, right] = duplexPair();
    right.on("error", () => undefined);
    left.setEncoding("utf8");
    const got: unknown[] = [];
    const server = attach(left, open("server"), { message: (_, message) => void got.push(message) });
    right.write(frame({ opcode: 1, payload: "x", masked: true }));
    const { code, cause } = await server.closed;
    expect([code, cause.rule, got]).toEqual([1006, "transport-lost", []]);
    expect(String(cause.error)).toContain("setEncoding");
  });

  it("a stream that another connection is attached to: the first is told that it is over", async () => {
    const [left, right] = duplexPair();
    right.on("error", () => undefined);
    const first = attach(left, open("server"));
    const got: unknown[] = [];
    attach(left, open("server"), { message: (_, { data }) => void got.push(data) });
    const { code, cause } = await first.closed;
    expect([code, cause.rule, left.destroyed]).toEqual([1006, "transport-lost", false]);
    expect(String(cause.error)).toContain("another connection");
    first.terminate(); // which drops the stream of a connection that is over
    right.write(frame({ opcode: 1, payload: "x", masked: true }));
    await expect.poll(() => got).toEqual(["x"]);
    left.removeAllListeners();
    const third = attach(left, open("server"));
    left.destroy();
    expect(await third.closed).toMatchObject({ code: 1006, cause: { rule: "transport-lost" } });
  });

  it("a client's opening handshake over a socket of one's own", async () => {
    const server = await SERVE.start(ECHO);
    const { port } = server.where as { port: number };
    const opened = deferred();
    const connection = new ClientConnection(server.url, { platform: nodePlatform, halfClose: true });
    const peer = attach(net.connect(port, "127.0.0.1"), connection, { open: () => opened.resolve() });
    expect(peer.state).toBe("connecting");
    await opened.promise;
    peer.send("hi");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("hi");
    peer.close();
    expect(await peer.closed).toMatchObject({ clean: true });
  });

  it("bytes that were there before are read", async () => {
    const [left, right] = duplexPair();
    right.write(bytes(frame({ opcode: 1, payload: "early", masked: true })));
    await new Promise((resolve) => setImmediate(resolve));
    const server = attach(left, open("server"));
    expect(await nextText(server[Symbol.asyncIterator]())).toBe("early");
  });
});

function drained(stream: Duplex): Promise<boolean> {
  return new Promise((resolve) => stream.once("drain", () => resolve(true)));
}

function later(): Promise<boolean> {
  return new Promise((resolve) => setTimeout(resolve, 50, false));
}
