// An open connection on the Node adapter: backpressure both ways, iteration, fragments, pings, prepared messages.

import { describe, expect, it } from "vitest";

import type { Message, Peer } from "../../src/adapters/node.js";
import { connect, permessageDeflate, PreparedMessage, UsageError } from "../../src/adapters/node.js";
import type { ClosedEvent } from "../../src/events.js";
import { ReferenceSender } from "../support/deflated.js";
import type { Running } from "../support/entries.js";
import {
  deferred,
  ECHO,
  eventually,
  next,
  nextText,
  PLAIN_ENTRIES,
  SERVE,
  TCP_ENTRIES,
  wait,
} from "../support/entries.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { acceptByHand, rawClient, rawConnection, rawServer } from "../support/raw-peer.js";
import { upgradeRequest } from "../support/http.js";
import { bytes, concat, frame } from "../support/wire.js";

noLooseEnds();

const KIB = 1024;
const MIB = 1024 * KIB;
const CHUNK = new Uint8Array(64 * KIB);

/** Sends until the peer takes no more; more than `limit` would mean that nobody ever says so. */
function fill(peer: Peer, limit = 256 * MIB): number {
  let sent = 0;
  do {
    if (sent > limit) throw new Error(`send() is true after ${sent} bytes that nobody reads`);
    sent += CHUNK.length;
  } while (peer.send(CHUNK));
  return sent;
}

/** Fills over many turns, until the system's buffers are full, too: nothing has moved for a while. */
async function stuff(peer: Peer, limit = 256 * MIB): Promise<number> {
  let sent = 0;
  for (;;) {
    sent += fill(peer, limit);
    if (!(await Promise.race([peer.drained(), wait(150).then(() => false)]))) return sent;
    if (sent > limit) throw new Error(`the peer still takes more after ${sent} bytes that nobody reads`);
  }
}

describe.each(PLAIN_ENTRIES)("$name, a peer that does not read", (entry) => {
  it("send() is false, bufferedAmount grows, drained() waits; once it reads all comes, in order", async () => {
    const opened = deferred<Peer>();
    let drains = 0;
    const server = await entry.start({
      open: (peer) => opened.resolve(peer),
      drain: () => {
        drains++;
      },
    });
    const raw = await rawConnection(server.where, { reading: false });
    raw.send(upgradeRequest());
    const peer = await opened.promise;
    const sent = await stuff(peer);
    const before = peer.bufferedAmount;
    expect(before).toBeGreaterThan(0);
    let drained: boolean | undefined;
    const draining = peer.drained().then((done) => {
      drained = done;
    });
    expect(peer.send(CHUNK)).toBe(false);
    expect(peer.bufferedAmount).toBeGreaterThanOrEqual(before + CHUNK.length);
    await wait(20);
    expect(drained).toBeUndefined();
    const drainsBefore = drains;
    raw.read();
    await draining;
    expect(drained).toBe(true);
    await eventually(() => drains > drainsBefore);
    await raw.head();
    let got = 0;
    while (got < sent + CHUNK.length) got += (await raw.frame()).payload.length;
    await eventually(() => peer.bufferedAmount === 0);
    expect(peer.send("small")).toBe(true);
    expect(await peer.drained()).toBe(true);
  });

  it("drained() is false where the connection is lost meanwhile, and so is send()", async () => {
    const opened = deferred<Peer>();
    const server = await entry.start({ open: (peer) => opened.resolve(peer) });
    const raw = await rawConnection(server.where, { reading: false });
    raw.send(upgradeRequest());
    const peer = await opened.promise;
    await stuff(peer);
    const draining = peer.drained();
    raw.stream.resetAndDestroy();
    expect(await draining).toBe(false);
    expect(peer.send("x")).toBe(false);
    expect(await peer.drained()).toBe(false);
    expect(peer.bufferedAmount).toBe(0);
  });

  it("drained() is false as soon as we close()", async () => {
    const opened = deferred<Peer>();
    const server = await entry.start({ open: (peer) => opened.resolve(peer) });
    const raw = await rawConnection(server.where, { reading: false });
    raw.send(upgradeRequest());
    const peer = await opened.promise;
    await stuff(peer);
    const waiting = [peer.drained(), peer.drained()];
    peer.close();
    expect(await Promise.all(waiting)).toEqual([false, false]);
    expect(await peer.drained()).toBe(false);
    peer.terminate();
  });

  it("server.close() ends a loop that waits in drained(), and all is clean once the client reads", async () => {
    const blocked = deferred();
    const codes: unknown[] = [];
    const server = await entry.start({
      timeouts: { closing: Infinity, linger: Infinity, ping: Infinity },
      async open(peer) {
        for await (const message of peer) {
          if (peer.send(message.data)) continue;
          blocked.resolve();
          await peer.drained();
        }
      },
      close: (_, { code, clean }) => void codes.push([code, clean]),
    });
    const raw = await rawConnection(server.where, { reading: false });
    raw.send(upgradeRequest());
    raw.send(frame({ opcode: 2, payload: new Uint8Array(15 * MIB), masked: true }));
    for (const payload of ["x", "y"]) raw.send(frame({ opcode: 1, payload, masked: true }));
    await blocked.promise;
    await wait(20); // "x" waits unread
    const closing = server.close({ timeout: Infinity });
    raw.read();
    await raw.head();
    expect(await raw.close()).toEqual({ code: 1001, reason: "" });
    raw.stream.end(frame({ opcode: 8, payload: bytes(3, 0xe9), masked: true }));
    await closing;
    expect(codes).toEqual([[1001, true]]);
  });

  describe("and more output than `limits.output`", () => {
    const options = { limits: { output: MIB }, timeouts: { ping: Infinity } };
    const LOST = { code: 1006, clean: false, cause: { by: "peer", rule: "output-limit" } };

    it.each<[string, (peer: Peer) => boolean]>([
      ["messages", (peer) => peer.send(CHUNK)],
      [
        "fragments",
        (peer) => {
          const writer = peer.startMessage("binary");
          writer.write(CHUNK);
          return writer.end();
        },
      ],
    ])("%s sent from outside of a handler: the transport is dropped, `closed` says why", async (_, send) => {
      const opened = deferred<Peer>();
      const server = await entry.start({ ...options, open: (peer) => opened.resolve(peer) });
      const raw = await rawConnection(server.where, { reading: false });
      raw.send(upgradeRequest());
      const peer = await opened.promise;
      await stuff(peer);
      const waiting = peer.drained();
      for (let sent = 0; peer.state === "open"; sent += CHUNK.length) {
        expect(peer.bufferedAmount).toBeLessThan(3 * MIB);
        if (sent > 256 * MIB) throw new Error("it is never enough");
        send(peer);
      }
      expect(send(peer)).toBe(false);
      expect(await waiting).toBe(false);
      expect(await peer.closed).toMatchObject(LOST);
      expect(peer.bufferedAmount).toBe(0);
      await eventually(() => server.peers.size === 0);
    });

    it("a handler that sends what it gets: the transport is dropped, memory is bounded", async () => {
      const over = deferred<unknown>();
      let most = 0;
      const server = await entry.start({
        ...options,
        message(peer, message) {
          peer.send(message.data);
          most = Math.max(most, peer.bufferedAmount);
        },
        close: (_, closed) => over.resolve(closed),
      });
      const raw = await rawConnection(server.where, { reading: false });
      raw.send(upgradeRequest());
      const one = frame({ opcode: 2, payload: CHUNK, masked: true });
      while (!raw.stream.destroyed && most < 64 * MIB)
        await new Promise((resolve) => raw.stream.write(one, resolve));
      expect(await over.promise).toMatchObject(LOST);
      expect(most).toBeLessThan(3 * MIB);
    });
  });

  it.each(["open", "message"] as const)("send() is false inside the handler `%s`, too", async (where) => {
    const outcome = deferred<number>();
    const flood = (peer: Peer): void => {
      try {
        outcome.resolve(fill(peer, 64 * MIB));
      } catch (error) {
        outcome.reject(error);
      }
    };
    const server = await entry.start(where === "open" ? { open: flood } : { message: flood });
    const raw = await rawConnection(server.where, { reading: false });
    raw.send(upgradeRequest(), where === "message" ? frame({ opcode: 1, masked: true }) : bytes());
    expect(await outcome.promise).toBeGreaterThan(0);
  });

  it("the documented loop ends when the connection closes", async () => {
    const opened = deferred<Peer>();
    const server = await entry.start({ open: (peer) => opened.resolve(peer) });
    const raw = await rawConnection(server.where, { reading: false });
    raw.send(upgradeRequest());
    const peer = await opened.promise;
    let rounds = 0;
    const sending = (async () => {
      for (;;) {
        if (++rounds > 1_000_000) throw new Error("it would go on for ever");
        if (!peer.send(CHUNK) && !(await peer.drained())) return;
      }
    })();
    await wait(20);
    peer.close(4000);
    await wait(20);
    peer.terminate();
    await sending;
  });
});

it("between close() and the end: send() and drained() are false, so that no loop spins", async () => {
  const server = await SERVE.start({});
  const peer = await connect(server.url);
  peer.close();
  expect(peer.state).toBe("closing");
  expect(peer.send("late")).toBe(false);
  expect(await peer.drained()).toBe(false);
  await peer.closed;
  expect(await peer.drained()).toBe(false);
});

it("`drain` is not called for a connection that was never open", async () => {
  const calls: string[] = [];
  const server = await SERVE.start({
    upgrade: () => ({ status: 403, body: new Uint8Array(8 * MIB) }),
    drain: () => void calls.push("drain"),
  });
  const raw = await rawConnection(server.where);
  raw.send(upgradeRequest());
  expect((await raw.response()).body.length).toBe(8 * MIB);
  expect(calls).toEqual([]);
});

describe.each(TCP_ENTRIES)("$name, iteration", (entry) => {
  it("that is slow stops the sender, and stores little; going on brings everything", async () => {
    const opened = deferred<Peer>();
    const server = await entry.start({ open: (peer) => opened.resolve(peer) });
    const sender = await connect(server.url, server.options);
    const peer = await opened.promise;
    let sent = 0;
    const blocked = async (): Promise<boolean> =>
      !(await Promise.race([sender.drained(), wait(200).then(() => false)]));
    do {
      while (sender.send(CHUNK)) sent++;
      sent++;
      if (sent > 4096) throw new Error("256 MiB went to someone who reads nothing");
    } while (!(await blocked()));
    const before = process.memoryUsage().arrayBuffers;
    await wait(50);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MIB);
    let got = 0;
    for await (const message of peer) {
      expect(message.payload.length).toBe(CHUNK.length);
      if (++got === sent) break;
    }
    expect(await sender.drained()).toBe(true);
    expect(sender.bufferedAmount).toBe(0);
  });
});

describe("iteration", () => {
  it("may be left and begun again; nothing is lost, and leaving closes nothing", async () => {
    const server = await SERVE.start({
      open(peer) {
        for (let i = 0; i < 9; i++) peer.send(String(i));
      },
    });
    const peer = await connect(server.url);
    const got: string[] = [];
    for (let round = 0; round < 3; round++) {
      for await (const message of peer) {
        got.push(String(message.data));
        if (got.length % 3 === 0) break;
      }
      expect(peer.state).toBe("open");
    }
    expect(got.join("")).toBe("012345678");
  });

  it("of several at once shares the messages", async () => {
    const server = await SERVE.start({
      open(peer) {
        for (let i = 0; i < 100; i++) peer.send(String(i));
        peer.close();
      },
    });
    const peer = await connect(server.url);
    const got: string[] = [];
    const read = async (): Promise<void> => {
      for await (const message of peer) got.push(String(message.data));
    };
    await Promise.all([read(), read(), read()]);
    expect(got.sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 100 }, (_, i) => String(i)),
    );
  });

  it("that is left while it waits gets nothing more: the message is the next one's", async () => {
    const server = await SERVE.start(ECHO);
    const peer = await connect(server.url);
    const left = peer[Symbol.asyncIterator]();
    const waiting = [left.next(), left.next()];
    await left.return?.();
    expect(await Promise.all(waiting)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    const other = peer[Symbol.asyncIterator]();
    peer.send("for the other");
    expect(await nextText(other)).toBe("for the other");
  });

  it("ends at once on a connection that is over", async () => {
    const server = await SERVE.start({ open: (peer) => void peer.close() });
    const peer = await connect(server.url);
    await peer.closed;
    const got: Message[] = [];
    for await (const message of peer) got.push(message);
    expect(got).toEqual([]);
  });

  it("ends where the connection is lost while it waits", async () => {
    const server = await SERVE.start({ message: (peer) => peer.terminate() });
    const peer = await connect(server.url);
    peer.send("x");
    const got: Message[] = [];
    for await (const message of peer) got.push(message);
    expect(got).toEqual([]);
    expect((await peer.closed).code).toBe(1006);
  });

  it("begun late brings what came before the connection was lost", async () => {
    const server = await SERVE.start({
      open(peer) {
        peer.send("one");
        peer.send("two");
        peer.close(4000);
      },
    });
    const peer = await connect(server.url);
    await wait(50);
    const got: string[] = [];
    for await (const message of peer) got.push(String(message.data));
    expect(got).toEqual(["one", "two"]);
    expect(await peer.closed).toMatchObject({ code: 4000 });
  });

  it("goes on after our own close(), until the peer's", async () => {
    const server = await SERVE.start({
      async message(peer) {
        for (let i = 0; i < 5; i++) peer.send(String(i));
        await wait(1);
      },
    });
    const peer = await connect(server.url);
    peer.send("go");
    peer.close();
    const got: string[] = [];
    for await (const message of peer) got.push(String(message.data));
    // our Close came right behind the message: what was sent before it was read may come
    expect(got).toEqual(["0", "1", "2", "3", "4"].slice(0, got.length));
    expect(await peer.closed).toMatchObject({ clean: true });
  });

  it("begun right after close() still brings the answers", async () => {
    const server = await SERVE.start(ECHO);
    const peer = await connect(server.url);
    peer.send("question");
    peer.close();
    const got: string[] = [];
    for await (const message of peer) got.push(String(message.data));
    expect(got).toEqual(["question"]);
    expect(await peer.closed).toMatchObject({ clean: true });
  });

  it("left right after close(), with messages on their way: `closed` comes", async () => {
    const server = await SERVE.start({
      open(peer) {
        for (let i = 0; i < 10; i++) peer.send(String(i));
      },
    });
    const peer = await connect(server.url);
    for await (const message of peer) {
      expect(message.data).toBe("0");
      peer.close();
      break;
    }
    expect(await peer.closed).toMatchObject({ code: 1000, clean: true });
  });

  it("is not to be had beside a `message` handler", async () => {
    const server = await SERVE.start({});
    const peer = await connect(server.url, { message: () => undefined });
    expect(() => peer[Symbol.asyncIterator]()).toThrow(TypeError);
  });

  it("close() without anybody reading ends, whatever the peer still sends", async () => {
    const server = await SERVE.start({
      open(peer) {
        for (let i = 0; i < 100; i++) peer.send(CHUNK);
      },
    });
    const peer = await connect(server.url);
    peer.close(4000);
    expect(await peer.closed).toMatchObject({ clean: true });
  });
});

describe("messages that nobody reads", () => {
  describe("and that inflate to much, once the peer is gone", () => {
    const COUNT = 6;
    const SIZE = 8 * MIB;

    interface Flooded {
      readonly server: Running;
      readonly raw: Awaited<ReturnType<typeof rawConnection>>;
      readonly peer: Peer;
      readonly closed: Promise<ClosedEvent>;
    }

    async function flooded(ends = true): Promise<Flooded> {
      const opened = deferred<Peer>();
      const closed = deferred<ClosedEvent>();
      const server = await SERVE.start({
        extensions: [permessageDeflate()],
        open: (peer) => opened.resolve(peer),
        close: (_, event) => closed.resolve(event),
      });
      const raw = await rawConnection(server.where, { reading: ends });
      raw.send(upgradeRequest({ "Sec-WebSocket-Extensions": "permessage-deflate" }));
      const payload = new ReferenceSender({ takeover: false }).message(new Uint8Array(SIZE));
      const flood = Array.from({ length: COUNT }, () => frame({ opcode: 2, rsv: 4, payload, masked: true }));
      raw.send(frame({ opcode: 1, payload: "unread", masked: true }), concat(flood));
      if (ends) raw.stream.end();
      return { server, raw, peer: await opened.promise, closed: closed.promise };
    }

    it("`closed` is told, 16 MiB are kept for who comes late, and then it is said that there were more", async () => {
      const { server, peer, closed } = await flooded();
      expect((await closed).cause.rule).toBe("no-close");
      await eventually(() => server.peers.size === 0);
      const sizes: number[] = [];
      const iterators = [peer[Symbol.asyncIterator](), peer[Symbol.asyncIterator]()];
      const reading = async (messages: AsyncIterableIterator<Message>): Promise<void> => {
        for await (const message of messages) sizes.push(message.size);
      };
      for (const iterator of iterators) {
        await expect(reading(iterator)).rejects.toThrow("messages were dropped");
        expect(sizes).toEqual([6, SIZE, SIZE]);
        expect(await iterator.next()).toEqual({ done: true, value: undefined }); // it is told once
      }
    });

    it("`closed` is told also to a loop that waits in drained(), which is over then", async () => {
      const { raw, peer, closed } = await flooded(false);
      const iterator = peer[Symbol.asyncIterator]();
      expect(await nextText(iterator)).toBe("unread");
      const isDrained = (): Promise<boolean | undefined> =>
        Promise.race([peer.drained(), wait(150).then(() => undefined)]);
      do while (peer.send(CHUNK, { compress: false }));
      while ((await isDrained()) === true);
      const drained = peer.drained();
      raw.stream.resetAndDestroy();
      expect(await drained).toBe(false);
      expect((await closed).cause.rule).toBe("transport-lost");
    });
  });

  it("do not keep `close` from being called once the peer is gone, and who it was is still known", async () => {
    const closes: unknown[] = [];
    const server = await SERVE.start({
      close: (peer, { code }) => void closes.push(code, peer.remoteAddress),
    });
    const raw = await rawClient(server.where, frame({ opcode: 1, payload: "unread", masked: true }));
    await eventually(() => server.peers.size === 1);
    await wait(20);
    raw.stream.resetAndDestroy();
    await eventually(() => server.peers.size === 0);
    expect(closes).toEqual([1006, "127.0.0.1"]);
  });

  it("and its Close behind them is seen once it ended its side", async () => {
    const closes: number[] = [];
    const server = await SERVE.start({ close: (_, { code }) => void closes.push(code) });
    const raw = await rawClient(server.where, frame({ opcode: 1, payload: "unread", masked: true }));
    raw.send(frame({ opcode: 8, payload: bytes(0x0f, 0xa0), masked: true }));
    raw.stream.end();
    await eventually(() => server.peers.size === 0);
    expect(closes).toEqual([4000]);
  });
});

describe("fragments", () => {
  it("startMessage() sends each part on its way; `streaming` delivers each as it comes", async () => {
    const pieces: [string, unknown, boolean][] = [];
    const seen = deferred();
    let release = deferred();
    const server = await SERVE.start({
      streaming: true,
      message(_, piece) {
        pieces.push([piece.type, piece.type === "text" ? piece.text : [...piece.payload], piece.final]);
        release.resolve();
        if (piece.type === "binary" && piece.final) seen.resolve();
      },
    });
    const peer = await connect(server.url);
    const arrived = async (): Promise<void> => {
      await release.promise;
      release = deferred();
    };
    const text = peer.startMessage("text");
    expect(text.write("grü")).toBe(true);
    await arrived(); // although the message is not over
    expect(text.write("ße \ud83d")).toBe(true);
    expect(text.end("\ude00")).toBe(true);
    await eventually(() => pieces.some(([, , final]) => final));
    const binary = peer.startMessage("binary");
    binary.write(Uint8Array.of(1));
    await eventually(() => pieces.at(-1)?.[0] === "binary");
    binary.end(Uint8Array.of(2));
    await seen.promise;
    const texts = pieces.filter(([type]) => type === "text");
    expect(texts.map(([, piece]) => piece).join("")).toBe("grüße 😀");
    expect(texts.map(([, , final]) => final)).toEqual(texts.map((_, i) => i === texts.length - 1));
    expect(texts.length).toBeGreaterThan(1);
    expect(pieces.filter(([type]) => type === "binary").flatMap(([, piece]) => piece)).toEqual([1, 2]);
  });

  it("both ways at once: an echo in fragments", async () => {
    const server = await SERVE.start({
      streaming: true,
      async open(peer) {
        let writer: ReturnType<typeof peer.startMessage> | undefined;
        for await (const piece of peer) {
          writer ??= peer.startMessage(piece.type);
          const going = piece.final ? writer.end(piece.data) : writer.write(piece.data);
          if (!going && !(await peer.drained())) return;
          if (piece.final) writer = undefined;
        }
      },
    });
    const peer = await connect(server.url);
    const messages = peer[Symbol.asyncIterator]();
    const big = new Uint8Array(4 * MIB).map((_, i) => i * 31);
    peer.send(big);
    peer.send("ü".repeat(100_000));
    expect(Buffer.compare((await next(messages)).payload, big)).toBe(0);
    expect((await nextText(messages)) === "ü".repeat(100_000)).toBe(true);
  });

  it("a whole message inside a fragmented one throws; a ping does not wait for its end", async () => {
    const server = await SERVE.start(ECHO);
    const peer = await connect(server.url);
    const writer = peer.startMessage("text");
    writer.write("a");
    expect(() => peer.send("b")).toThrow(UsageError);
    expect(() => peer.startMessage("binary")).toThrow(UsageError);
    expect(await peer.ping()).toBeTypeOf("number");
    writer.end("c");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("ac");
  });

  it("a writer reports backpressure, and is false once the connection is closing", async () => {
    const opened = deferred<Peer>();
    const server = await SERVE.start({ open: (peer) => opened.resolve(peer) });
    const raw = await rawConnection(server.where, { reading: false });
    raw.send(upgradeRequest());
    const peer = await opened.promise;
    const writer = peer.startMessage("binary");
    let count = 0;
    while (writer.write(CHUNK)) if (++count > 4096) throw new Error("it never says that it is enough");
    peer.close();
    expect(writer.write(CHUNK)).toBe(false);
    expect(writer.end()).toBe(false);
  });
});

describe("ping()", () => {
  it.each(TCP_ENTRIES)("tells the round-trip time, from both sides: $name", async (entry) => {
    const opened = deferred<Peer>();
    const server = await entry.start({ open: (peer) => opened.resolve(peer) });
    const peer = await connect(server.url, server.options);
    for (const side of [peer, await opened.promise]) {
      const rtt = await side.ping();
      expect(rtt).toBeTypeOf("number");
      expect(rtt).toBeGreaterThanOrEqual(0);
    }
  });

  it("several at once are each told", async () => {
    const server = await SERVE.start({});
    const peer = await connect(server.url);
    const times = await Promise.all([peer.ping(), peer.ping(), peer.ping()]);
    expect(times.every((time) => typeof time === "number")).toBe(true);
  });

  it("a hundred at once are each told", async () => {
    const server = await SERVE.start({});
    const peer = await connect(server.url);
    const times = await Promise.all(Array.from({ length: 100 }, () => peer.ping()));
    expect(times.filter((time) => typeof time !== "number")).toEqual([]);
    expect(peer.state).toBe("open");
  });

  it("is told by a pong to a later one, too (RFC 6455 5.5.3)", async () => {
    const server = await rawServer(async (raw) => {
      await acceptByHand(raw);
      const pings = [await raw.frame(), await raw.frame(), await raw.frame()];
      raw.send(frame({ opcode: 10, payload: pings[2]?.payload ?? "" }));
    });
    const peer = await connect(server.url);
    const times = await Promise.all([peer.ping(), peer.ping(), peer.ping()]);
    expect(times.every((time) => typeof time === "number")).toBe(true);
  });

  it("is not told by a pong that nobody asked for", async () => {
    const server = await rawServer(async (raw) => {
      await acceptByHand(raw);
      const ping = await raw.frame();
      raw.send(frame({ opcode: 10, payload: "else" }), frame({ opcode: 1, payload: "x" }));
      await raw.frame();
      raw.send(frame({ opcode: 10, payload: ping.payload }));
    });
    const peer = await connect(server.url);
    let told = false;
    const ping = peer.ping().then(() => {
      told = true;
    });
    await nextText(peer[Symbol.asyncIterator]());
    expect(told).toBe(false);
    peer.send("go on");
    await ping;
  });

  it.each([
    ["the peer closes", (raw: { send: (data: Uint8Array) => void }) => raw.send(frame({ opcode: 8 }))],
    ["the peer goes", (raw: { stream: { destroy: () => unknown } }) => void raw.stream.destroy()],
  ])("resolves with undefined where %s before", async (_, act) => {
    const server = await rawServer(async (raw) => {
      await acceptByHand(raw);
      await raw.frame();
      act(raw);
    });
    const peer = await connect(server.url, { timeouts: { linger: 20 } });
    expect(await peer.ping()).toBeUndefined();
    expect(await peer.ping()).toBeUndefined(); // too late
  });
});

describe("a prepared message", () => {
  it("goes to 100 peers, text and binary, from a server and from a client", async () => {
    const server = await SERVE.start(ECHO);
    const peers = await Promise.all(Array.from({ length: 100 }, () => connect(server.url)));
    expect(server.peers.size).toBe(100);
    const big = new Uint8Array(70_000).map((_, i) => i);
    for (const message of [new PreparedMessage("für alle"), new PreparedMessage(big)])
      for (const peer of server.peers) peer.send(message);
    for (const peer of peers) {
      const messages = peer[Symbol.asyncIterator]();
      expect(await nextText(messages)).toBe("für alle");
      expect(Buffer.compare((await next(messages)).payload, big)).toBe(0);
    }
    const [client] = peers;
    expect(client?.send(new PreparedMessage("zurück"))).toBe(true);
    expect(client && (await nextText(client[Symbol.asyncIterator]()))).toBe("zurück");
  });
});

describe("output", () => {
  it("of one turn leaves in order, whatever its sizes", async () => {
    const server = await SERVE.start({});
    const sizes = [0, 1, 125, 4095, 4096, 70_000, 3, 65_536, 2];
    const peer = await connect(server.url);
    await eventually(() => server.peers.size === 1);
    const [ours] = server.peers;
    for (const size of sizes) ours?.send(new Uint8Array(size).fill(size));
    const messages = peer[Symbol.asyncIterator]();
    for (const size of sizes) {
      const { payload } = await next(messages);
      expect([payload.length, payload.every((byte) => byte === (size & 255))]).toEqual([size, true]);
    }
  });

  it("of a handler that answers a burst comes back whole", async () => {
    const server = await SERVE.start(ECHO);
    const burst = Array.from({ length: 2000 }, (_, i) => `message ${i}`);
    const raw = await rawClient(
      server.where,
      concat(burst.map((payload) => frame({ opcode: 1, payload, masked: true }))),
    );
    for (const expected of burst) expect(Buffer.from((await raw.frame()).payload).toString()).toBe(expected);
  });
});
