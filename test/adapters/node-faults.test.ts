// Handlers that fail and sockets that die: nothing is lost, nothing crashes, and everybody else goes on.

import * as net from "node:net";

import { describe, expect, it, onTestFinished, vi } from "vitest";

import type { EndpointOptions, Peer } from "../../src/adapters/node.js";
import { connect } from "../../src/adapters/node.js";
import {
  deferred,
  ECHO,
  ENTRIES,
  eventually,
  nextText,
  PLAIN_ENTRIES,
  SERVE,
  TCP_ENTRIES,
  wait,
} from "../support/entries.js";
import { upgradeRequest } from "../support/http.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { rawClient, rawConnection } from "../support/raw-peer.js";
import { bytes, frame } from "../support/wire.js";

noLooseEnds();

const ERROR = new Error("the handler failed");
const MIB = 1024 * 1024;

const FAILING: readonly [string, () => Promise<void> | undefined][] = [
  ["throws", () => { throw ERROR; }], // prettier-ignore
  ["rejects", () => Promise.reject(ERROR)],
  [
    "rejects later",
    async () => {
      await wait(1);
      throw ERROR;
    },
  ],
];

/** What is printed from now on. */
function printed(): unknown[][] {
  const spy = vi.spyOn(console, "error").mockImplementation(() => undefined);
  onTestFinished(() => spy.mockRestore());
  return spy.mock.calls;
}

type HandlerName = "open" | "message" | "drain" | "close";
const HANDLERS: readonly HandlerName[] = ["open", "message", "drain", "close"];

describe.each(HANDLERS)("the handler `%s`", (name) => {
  describe.each(PLAIN_ENTRIES)("$name", (entry) => {
    it.each(FAILING)("that %s: 1011 and `error`, and the others go on", async (_, fail) => {
      const errors: [unknown, Peer | undefined][] = [];
      const closes: number[] = [];
      let victim: Peer | undefined;
      /** Only the connection on /fail fails. */
      const wrapped = (peer: Peer): Promise<void> | undefined => {
        if (peer.request?.path !== "/fail") return undefined;
        victim = peer;
        return fail();
      };
      const options: EndpointOptions = {
        ...ECHO,
        error: (error, peer) => void errors.push([error, peer]),
        ...(name === "drain" && { open: (peer) => void peer.send(new Uint8Array(32 * MIB)) }),
        ...(name !== "close" && { [name]: wrapped }),
        close(peer, { code }) {
          closes.push(code);
          return name === "close" ? wrapped(peer) : undefined;
        },
      };
      const server = await entry.start(options);
      const other = await connect(server.url, { limits: { message: Infinity } });
      const failing = await connect(`${server.url}fail`, { limits: { message: Infinity } });
      failing.send("go");
      if (name === "close") failing.close(4000);
      const got: unknown[] = [];
      for await (const message of failing) got.push(message.type);
      const closed = await failing.closed;
      expect(closed).toMatchObject({ code: name === "close" ? 4000 : 1011, clean: true });
      await eventually(() => errors.length > 0 && closes.length > 0);
      expect(errors).toEqual([[ERROR, victim]]);
      expect(closes).toEqual([name === "close" ? 4000 : 1011]);
      expect(other.state).toBe("open");
      expect(server.peers.size).toBe(1);
    });
  });

  it.each(FAILING)("of a client that %s: 1011 and `error`", async (_, fail) => {
    const server = await SERVE.start({
      ...ECHO,
      ...(name === "close" && { open: (peer) => void peer.close() }),
    });
    const errors: unknown[] = [];
    const peer = await connect(server.url, {
      [name]: fail,
      error: (error: unknown) => void errors.push(error),
    });
    if (name === "drain") peer.send(new Uint8Array(12 * MIB));
    else if (name !== "open") peer.send("go");
    const closed = await peer.closed;
    if (name !== "close") expect(closed.sent?.code).toBe(1011);
    await eventually(() => errors.length > 0);
    expect(errors).toEqual([ERROR]);
  });
});

describe.each(PLAIN_ENTRIES)("$name, a handler `error` that throws", (entry) => {
  const AGAIN = new Error("the error handler failed");
  const error = (): never => {
    throw AGAIN;
  };

  it("for the hook `upgrade`: the client gets its 500, the error is printed", async () => {
    const lines = printed();
    const server = await entry.start({
      upgrade: () => {
        throw ERROR;
      },
      error,
    });
    const raw = await rawConnection(server.where);
    raw.send(upgradeRequest());
    expect((await raw.response()).status).toBe(500);
    expect(lines.flat()).toContain(AGAIN);
  });

  it.each(FAILING)(
    "for a handler that %s: the client gets its 1011, the error is printed",
    async (_, fail) => {
      const lines = printed();
      const server = await entry.start({ message: fail, error });
      const raw = await rawClient(server.where, frame({ opcode: 1, payload: "x", masked: true }));
      expect((await raw.close()).code).toBe(1011);
      expect(lines.flat()).toContain(AGAIN);
      const other = await connect(server.url);
      expect(await other.ping()).toBeTypeOf("number");
    },
  );
});

it("what fails after a failing handler is told, too, but the peer only once", async () => {
  const errors: unknown[] = [];
  const server = await SERVE.start({
    open: () => Promise.reject(ERROR),
    message: () => Promise.reject(ERROR),
    close: () => Promise.reject(ERROR),
    error: (error) => void errors.push(error),
  });
  const raw = await rawClient(server.where, frame({ opcode: 1, payload: "x", masked: true }));
  expect((await raw.close()).code).toBe(1011);
  raw.stream.end(frame({ opcode: 8, payload: bytes(3, 0xf3), masked: true }));
  await eventually(() => errors.length === 3);
  await raw.lost();
});

describe.each(TCP_ENTRIES)("$name, commands inside handlers", (entry) => {
  it("are carried out in order", async () => {
    const server = await entry.start({
      open(peer) {
        peer.send("1");
        void peer.ping().then(() => peer.send("3"));
        peer.send("2");
      },
      message(peer, message) {
        peer.send(message.data);
        peer.close(4000);
        expect(peer.send("never")).toBe(false);
      },
    });
    const peer = await connect(server.url, server.options);
    const messages = peer[Symbol.asyncIterator]();
    const got = [await nextText(messages), await nextText(messages), await nextText(messages)];
    expect(got).toEqual(["1", "2", "3"]);
    peer.send("4");
    expect(await nextText(messages)).toBe("4");
    expect((await messages.next()).done).toBe(true);
    expect(await peer.closed).toMatchObject({ code: 4000 });
  });
});

describe("an error of the listening server itself", () => {
  const LISTENING = new Error("a connection could not be accepted");

  /** What `serve` listens with. */
  async function listening(options: EndpointOptions): Promise<net.Server> {
    const listen = vi.spyOn(net.Server.prototype, "listen");
    onTestFinished(() => listen.mockRestore());
    await SERVE.start(options);
    const [server] = listen.mock.contexts;
    if (!(server instanceof net.Server)) throw new Error("nobody listens");
    return server;
  }

  it("is told to `error`, without a peer", async () => {
    const errors: unknown[] = [];
    const server = await listening({ error: (error, peer) => void errors.push([error, peer]) });
    server.emit("error", LISTENING);
    expect(errors).toEqual([[LISTENING, undefined]]);
  });

  it("is printed where there is no such handler", async () => {
    const lines = printed();
    const server = await listening({});
    server.emit("error", LISTENING);
    expect(lines.flat()).toContain(LISTENING);
  });
});

describe.each(PLAIN_ENTRIES)("$name, resets", (entry) => {
  /** Counts what the handlers are told: in the end each `open` has one `close`. */
  async function counting(options: EndpointOptions = {}): Promise<{
    where: { port: number };
    settled: () => Promise<void>;
    url: string;
    count: { open: number; close: number; error: number };
  }> {
    const count = { open: 0, close: 0, error: 0 };
    const server = await entry.start({
      ...ECHO,
      ...options,
      open: () => {
        count.open++;
      },
      close: () => {
        count.close++;
      },
      error: () => {
        count.error++;
      },
    });
    return {
      where: server.where as { port: number },
      url: server.url,
      count,
      async settled() {
        // The last to be let in has those before it behind it.
        const peer = await connect(server.url);
        peer.send("alive");
        expect(await nextText(peer[Symbol.asyncIterator]())).toBe("alive");
        await eventually(() => server.peers.size === 1);
        expect(count.close).toBe(count.open - 1);
        expect(count.error).toBe(0);
      },
    };
  }

  it.each([0, 1, 2, 3])("right after the head of the request, %i turns later", async (turns) => {
    const server = await counting();
    for (let round = 0; round < 20; round++) {
      const raw = await rawConnection(server.where);
      raw.send(upgradeRequest());
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      raw.stream.resetAndDestroy();
    }
    await server.settled();
  });

  it.each([0, 10])("during the hook `upgrade`, which answers after %i ms", async (milliseconds) => {
    let asked = 0;
    const server = await counting({
      async upgrade() {
        asked++;
        await wait(milliseconds);
        return undefined;
      },
    });
    for (let round = 0; round < 20; round++) {
      const raw = await rawConnection(server.where);
      raw.send(upgradeRequest());
      const before = asked;
      await Promise.race([eventually(() => asked > before), wait(50)]);
      raw.stream.resetAndDestroy();
    }
    await server.settled();
  });

  it("in the middle of a message, a header, a Close", async () => {
    const server = await counting();
    const cuts = [
      frame({ opcode: 1, payload: "x".repeat(200), masked: true }),
      frame({ opcode: 8, payload: bytes(3, 0xe8, "bye"), masked: true }),
    ];
    for (const whole of cuts) {
      for (const cut of [1, 2, 5, 7, whole.length]) {
        const raw = await rawClient(server.where);
        raw.send(whole.subarray(0, cut));
        await wait(1);
        raw.stream.resetAndDestroy();
      }
    }
    await server.settled();
  });

  it("while we are sending", async () => {
    const server = await counting({ message: (peer) => void peer.send(new Uint8Array(4 * MIB)) });
    for (let round = 0; round < 10; round++) {
      const raw = await rawClient(server.where);
      raw.send(frame({ opcode: 1, masked: true }));
      await raw.until(() => (raw.count > 65536 ? true : undefined));
      raw.stream.resetAndDestroy();
    }
    const raw = await rawClient(server.where);
    raw.stream.destroy();
    await eventually(() => server.count.close === server.count.open);
  });

  it("while we reject", async () => {
    const server = await counting({
      upgrade: (request) => (request.path === "/" ? undefined : { status: 403, body: new Uint8Array(MIB) }),
    });
    for (let round = 0; round < 20; round++) {
      const raw = await rawConnection(server.where);
      raw.send(upgradeRequest());
      if (round % 2 === 0) await raw.head();
      raw.stream.resetAndDestroy();
    }
    await server.settled();
  });
});

describe.each(ENTRIES)("$name, a peer that vanished", (entry) => {
  it("sends go on for a while, then are false; nothing is thrown", async () => {
    const opened = deferred<Peer>();
    let closes = 0;
    const server = await entry.start({
      open: (peer) => opened.resolve(peer),
      close: () => {
        closes++;
      },
    });
    const client = await connect(server.url, server.options);
    const peer = await opened.promise;
    client.terminate();
    while (peer.state === "open") {
      peer.send("anybody there?");
      peer.send(new Uint8Array(100_000));
      await wait(1);
    }
    expect(peer.send("no")).toBe(false);
    expect(await peer.drained()).toBe(false);
    expect((await peer.closed).code).toBe(1006);
    await wait(10);
    expect(closes).toBe(1);
  });
});
