// A server that goes: everybody is told, nobody can hold it up, and the process may exit.

import { spawn } from "node:child_process";
import type { AddressInfo } from "node:net";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { connect, HandshakeError, serve } from "../../src/adapters/node.js";
import type { CompiledSource } from "../support/compiled.js";
import { compileSource } from "../support/compiled.js";
import type { Running } from "../support/entries.js";
import {
  deferred,
  ECHO,
  eventually,
  nextText,
  PLAIN_ENTRIES,
  SERVE,
  SERVE_TLS,
  TCP_ENTRIES,
  wait,
} from "../support/entries.js";
import { upgradeRequest } from "../support/http.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { rawClient, rawConnection } from "../support/raw-peer.js";
import { bytes, frame } from "../support/wire.js";

noLooseEnds();

const LONG = 3_600_000;

describe.each(TCP_ENTRIES)("$name, close()", (entry) => {
  it("says 1001 to all, waits for them, and is done", async () => {
    const closes: unknown[] = [];
    const server = await entry.start({
      close: (_, { clean, sent }) => void closes.push([clean, sent?.code, sent?.reason]),
    });
    const peers = await Promise.all(Array.from({ length: 20 }, () => connect(server.url, server.options)));
    await eventually(() => server.peers.size === 20);
    await server.close({ timeout: LONG });
    expect(server.peers.size).toBe(0);
    expect(closes).toEqual(Array.from({ length: 20 }, () => [true, 1001, ""]));
    for (const peer of peers) expect(await peer.closed).toMatchObject({ code: 1001, clean: true });
  });

  it("with a code and a reason of its own", async () => {
    const server = await entry.start({});
    const peer = await connect(server.url, server.options);
    await server.close({ code: 4000, reason: "new version", timeout: LONG });
    expect(await peer.closed).toMatchObject({ code: 4000, reason: "new version" });
  });

  it("twice, at once and later, is done each time", async () => {
    const server = await entry.start({});
    const peer = await connect(server.url, server.options);
    await Promise.all([server.close({ timeout: LONG }), server.close({ timeout: LONG })]);
    await server.close();
    expect((await peer.closed).code).toBe(1001);
  });

  it("without anybody there is done at once", async () => {
    const server = await entry.start({});
    await server.close({ timeout: LONG });
  });

  it("with a peer whose messages nobody reads", async () => {
    const server = await entry.start({});
    const peer = await connect(server.url, server.options);
    peer.send("unread");
    peer.send("unread");
    await wait(20); // they are there
    await server.close({ timeout: LONG });
    expect(await peer.closed).toMatchObject({ code: 1001, clean: true });
  });
});

describe.each(PLAIN_ENTRIES)("$name, close()", (entry) => {
  it("answers 503 to a request that its hook has not decided; the late answer harms nobody", async () => {
    const asked = deferred();
    const answered = deferred();
    const opens: unknown[] = [];
    const server = await entry.start({
      async upgrade() {
        asked.resolve();
        await answered.promise;
        return undefined;
      },
      open: (peer) => void opens.push(peer),
    });
    const connecting = connect(server.url).catch((error: unknown) => error);
    await asked.promise;
    await server.close({ timeout: LONG });
    const error = await connecting;
    expect(error).toBeInstanceOf(HandshakeError);
    expect((error as HandshakeError).response?.status).toBe(503);
    answered.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(opens).toEqual([]);
  });

  it("ends those that do not answer by force, once the time is over", async () => {
    const codes: unknown[] = [];
    const server = await entry.start({ close: (_, { code, clean }) => void codes.push([code, clean]) });
    const deaf = await rawClient(server.where);
    await server.close({ timeout: 50 });
    expect(await deaf.close()).toEqual({ code: 1001, reason: "" });
    await deaf.over();
    expect(codes).toEqual([[1006, false]]);
  });

  it("ends those that do not read, once the time is over", async () => {
    const server = await entry.start({ open: (peer) => void peer.send(new Uint8Array(32 * 1024 * 1024)) });
    const deaf = await rawConnection(server.where, { reading: false });
    deaf.send(upgradeRequest());
    await eventually(() => server.peers.size === 1);
    await server.close({ timeout: 50 });
    expect(server.peers.size).toBe(0);
  });

  it("ends those that ended their side and do not read, once the time is over", async () => {
    let closes = 0;
    const server = await entry.start({
      open: (peer) => void peer.send(new Uint8Array(32 * 1024 * 1024)),
      close: () => {
        closes++;
      },
    });
    const deaf = await rawConnection(server.where, { reading: false });
    deaf.stream.end(bytes(upgradeRequest()));
    await eventually(() => closes === 1 || server.peers.size === 1);
    await server.close({ timeout: 50 });
    expect(closes).toBe(1);
  });

  it("those that are closing already are waited for", async () => {
    const server = await entry.start({ open: (peer) => void peer.close(4000) });
    const raw = await rawClient(server.where);
    await raw.close();
    const closing = server.close({ timeout: LONG });
    await new Promise((resolve) => setImmediate(resolve));
    raw.stream.end(frame({ opcode: 8, payload: bytes(0x0f, 0xa0), masked: true }));
    await closing;
    await raw.over();
    expect(raw.error).toBeUndefined();
  });
});

describe.each(PLAIN_ENTRIES)("$name, close() with a mistake", (entry) => {
  it.each<[string, Parameters<Running["close"]>[0], string]>([
    ["a code that may not be sent", { code: 1005 }, "bad-close-code"],
    ["a reason that is too long", { reason: "x".repeat(124) }, "bad-reason"],
    ["a timeout that is NaN", { timeout: NaN }, "bad-option"],
    ["a timeout below 0", { timeout: -1 }, "bad-option"],
  ])("%s throws and leaves all as it was", async (_, options, code) => {
    const server = await entry.start(ECHO);
    const peer = await connect(server.url);
    const close = async (): Promise<void> => server.close(options);
    await expect(close()).rejects.toMatchObject({ name: "UsageError", code });
    await expect(close()).rejects.toMatchObject({ code });
    peer.send("still here");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("still here");
    expect(server.peers.size).toBe(1);
    if (entry === SERVE) expect(await (await connect(server.url)).ping()).toBeTypeOf("number");
    await server.close({ timeout: LONG });
    expect(await peer.closed).toMatchObject({ code: 1001, clean: true });
  });

  it.each([Infinity, 2 ** 31, 1e15])("a timeout of %s waits for those that are slow", async (timeout) => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    const codes: unknown[] = [];
    const server = await entry.start({ close: (_, { clean }) => void codes.push(clean) });
    const raw = await rawClient(server.where);
    const closing = server.close({ timeout });
    expect((await raw.close()).code).toBe(1001);
    await wait(50);
    expect(codes).toEqual([]);
    raw.stream.end(frame({ opcode: 8, payload: bytes(3, 0xe9), masked: true }));
    await closing;
    process.off("warning", note);
    expect(codes).toEqual([true]);
    expect(warnings).toEqual([]);
  });
});

describe("serve(), close()", () => {
  it.each(["", "GET / HT", "\x16\x03\x01"])(
    "does not wait for a connection that has sent no more than %j",
    async (start) => {
      for (const entry of [SERVE, SERVE_TLS]) {
        const server = await entry.start({});
        const raw = await rawConnection(server.where);
        if (start !== "") raw.send(start);
        await wait(20);
        await server.close({ timeout: 50 });
        await raw.over();
      }
    },
  );

  it("stops listening at once", async () => {
    const server = await serve({ port: 0, host: "127.0.0.1" });
    const peer = await connect(server.url);
    const closing = server.close({ timeout: LONG });
    await expect(connect(server.url)).rejects.toBeInstanceOf(HandshakeError);
    await closing;
    await peer.closed;
    const again = await serve({ port: (server.address as AddressInfo).port, host: "127.0.0.1" });
    await again.close();
  });
});

describe("a process", () => {
  let source: CompiledSource;
  beforeAll(() => {
    source = compileSource();
  });
  afterAll(() => {
    source.remove();
  });

  /** Runs a module in a process of its own, with the adapter's exports in scope; gives what it printed and how it ended. */
  async function run(body: string, shell = ""): Promise<{ code: number | null; out: string }> {
    const module = `import * as adapter from ${JSON.stringify(new URL("adapters/node.js", source.url).href)};
      const { serve, connect, upgradeEndpoint } = adapter;
      ${body}`;
    const args = ["--input-type=module", "--eval", module];
    const child =
      shell === ""
        ? spawn(process.execPath, args)
        : spawn("/bin/sh", ["-c", `${shell}; exec "$0" "$@"`, process.execPath, ...args]);
    let out = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (out += text));
    const code = await new Promise<number | null>((resolve) => {
      child.on("exit", resolve);
    });
    return { code, out };
  }

  it("that served, connected and closed exits by itself", async () => {
    const result = await run(`
      const server = await serve({ port: 0, host: "127.0.0.1", message: (peer, m) => void peer.send(m.data) });
      const peer = await connect(server.url);
      peer.send("hello");
      for await (const message of peer) { console.log(message.data); break; }
      await server.close();
      console.log((await peer.closed).code);
    `);
    expect(result).toEqual({ code: 0, out: "hello\n1001\n" });
  });

  it("whose client closed exits by itself, while the default keepalive is armed", async () => {
    const result = await run(`
      const server = await serve({ port: 0, host: "127.0.0.1" });
      const peer = await connect(server.url);
      peer.close();
      const { code, clean } = await peer.closed;
      console.log(code, clean);
      await server.close();
    `);
    expect(result).toEqual({ code: 0, out: "1000 true\n" });
  });

  it("whose handler fails without an `error` handler says so, and lives", async () => {
    const result = await run(`
      const server = await serve({ port: 0, host: "127.0.0.1", message() { throw new Error("the cause"); } });
      const peer = await connect(server.url);
      peer.send("x");
      console.log((await peer.closed).code);
      await server.close();
    `);
    expect(result.code).toBe(0);
    expect(result.out).toContain("the cause");
    expect(result.out).toContain("1011");
  });

  it.each(["node", "streams"])(
    "that waits for `createConnection` alone lives until the time-out: %s",
    async (name) => {
      const result = await run(`
      const { connect: connectOver } = await import(${JSON.stringify(new URL(`adapters/${name}.js`, source.url).href)});
      const createConnection = () => new Promise(() => undefined);
      await connectOver("ws://127.0.0.1", { timeout: 100, createConnection }).catch((error) => console.log(error.name));
      console.log("after");
    `);
      expect(result).toEqual({ code: 0, out: "HandshakeError\nafter\n" });
    },
  );

  it("that is out of file descriptors lives", async () => {
    const result = await run(
      `
      import * as net from "node:net";
      const server = await serve({ port: 0, host: "127.0.0.1", error: () => undefined });
      const { port } = server.address;
      const sockets = [];
      for (let i = 0; i < 100; i++) sockets.push(net.connect(port, "127.0.0.1").on("error", () => undefined));
      await new Promise((resolve) => setTimeout(resolve, 300));
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const peer = await connect(server.url);
      peer.close();
      console.log("alive", (await peer.closed).code);
      await server.close();
    `,
      "ulimit -n 60",
    );
    expect(result).toEqual({ code: 0, out: "alive 1000\n" });
  });
});
