// Chromium as the client of our Node server: what the demo's page has no button for.
import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { createServer } from "node:http";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { EndpointOptions, Peer, Server, UpgradeEndpoint } from "../../src/adapters/node.js";
import { serve, upgradeEndpoint } from "../../src/adapters/node.js";
import type { ClosedEvent } from "../../src/index.js";
import { launchChromium } from "../support/chromium.js";

/** What the page is to do with one WebSocket. */
interface Plan {
  readonly protocols?: readonly string[];
  /** Sent at once when it is open: texts, and binary messages given by their size. */
  readonly send?: readonly (string | number)[];
  /** After this many messages ... */
  readonly messages?: number;
  /** ... it calls close() with these. */
  readonly close?: readonly [code?: number, reason?: string];
}

/** What the page saw. */
interface Seen {
  readonly opened: boolean;
  readonly protocol: string;
  readonly received: readonly (string | { readonly size: number; readonly sum: number })[];
  readonly closed: { readonly code: number; readonly reason: string; readonly wasClean: boolean };
}

const PAGE = `<!doctype html><title>test</title><link rel="icon" href="data:,"><script>
  function talk(url, { protocols = [], send = [], messages = 0, close }) {
    return new Promise((resolve) => {
      const socket = new WebSocket(url, protocols);
      const received = [];
      let opened = false;
      const closeWhenDue = () => { if (close !== undefined && received.length === messages) socket.close(...close); };
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        opened = true;
        for (const item of send) socket.send(typeof item === "string" ? item : bytes(item));
        closeWhenDue();
      };
      socket.onmessage = ({ data }) => {
        received.push(typeof data === "string" ? data : { size: data.byteLength, sum: sumOf(new Uint8Array(data)) });
        closeWhenDue();
      };
      socket.onclose = ({ code, reason, wasClean }) =>
        resolve({ opened, protocol: socket.protocol, received, closed: { code, reason, wasClean } });
    });
  }
  function bytes(size) { return Uint8Array.from({ length: size }, (_, index) => index * 31 + (index >> 8)); }
  function sumOf(bytes) { let sum = 0; for (const byte of bytes) sum = (sum * 31 + byte) % 1000003; return sum; }
</script>`;

function bytesOf(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => index * 31 + (index >> 8));
}

function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum * 31 + byte) % 1000003;
  return sum;
}

function talk(page: Page, url: string, plan: Plan): Promise<Seen> {
  return page.evaluate(
    ([to, what]) =>
      (globalThis as unknown as { talk(url: string, plan: Plan): Promise<Seen> }).talk(to, what),
    [url, plan] as const,
  );
}

let browser: Browser;
let page: Page;
let http: HttpServer;
/** The port that the page is served on. */
let port = 0;
/** What answers WebSockets on the page's port during a test. */
let endpoint: UpgradeEndpoint | undefined;

beforeAll(async () => {
  http = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
    response.end(PAGE);
  });
  http.on("upgrade", (request, socket, head) => {
    if (endpoint === undefined) socket.destroy();
    else endpoint.handleUpgrade(request, socket, head);
  });
  http.listen(0, "127.0.0.1");
  [browser] = await Promise.all([launchChromium(), once(http, "listening")]);
  const address = http.address();
  port = typeof address === "object" && address !== null ? address.port : 0;
  page = await browser.newPage();
  page.setDefaultTimeout(10_000);
  await page.goto(`http://127.0.0.1:${port}/`);
});

// What beforeAll did not come to is not there to be stopped.
afterAll(async () => {
  await (browser as Browser | undefined)?.close();
  (http as HttpServer | undefined)?.close();
});

/** One connection of the page to its own port; what the server's side saw with it. */
async function meet(
  options: EndpointOptions,
  plan: Plan,
): Promise<{ seen: Seen; closed: ClosedEvent | undefined; peer: Peer | undefined }> {
  let peer: Peer | undefined;
  const current = upgradeEndpoint({
    error: () => {},
    ...options,
    open(opened) {
      peer = opened;
      return options.open?.(opened);
    },
  });
  endpoint = current;
  const seen = await talk(page, `ws://127.0.0.1:${port}/`, plan);
  const closed = await peer?.closed;
  expect(current.peers.size).toBe(0);
  return { seen, closed, peer };
}

async function echo(peer: Peer): Promise<void> {
  for await (const message of peer) if (!peer.send(message.data)) await peer.drained();
}

describe("the subprotocol (RFC 6455 1.9)", () => {
  test.each<[string, readonly string[], string | undefined, boolean, string]>([
    ["none asked for, none chosen", [], undefined, true, ""],
    ["the preferred one", ["chat.v2", "chat.v1"], "chat.v2", true, "chat.v2"],
    ["another one", ["chat.v2", "chat.v1"], "chat.v1", true, "chat.v1"],
    ["asked for, none chosen: browsers do not go on", ["chat.v2"], undefined, false, ""],
  ])("%s", async (_, protocols, subprotocol, opens, agreed) => {
    let offered: readonly string[] | undefined;
    const { seen } = await meet(
      {
        upgrade(request) {
          offered = request.subprotocols;
          return subprotocol === undefined ? {} : { subprotocol };
        },
      },
      { protocols, close: [] },
    );
    expect(offered).toEqual(protocols);
    expect([seen.opened, seen.protocol]).toEqual([opens, agreed]);
    if (opens) expect(seen.closed.wasClean).toBe(true);
    else expect(seen.closed).toEqual({ code: 1006, reason: "", wasClean: false });
  });
});

describe("the echo", () => {
  test("every length form, empty messages, every kind of code point; lone surrogates arrive as U+FFFD", async () => {
    const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000];
    const texts = ["", "a", "é中😀\u0000", "x".repeat(125), "ü".repeat(63), "中".repeat(30_000)];
    const { seen, closed } = await meet(
      { open: echo },
      {
        send: [...texts, "\ud800 \udc00", ...sizes],
        messages: sizes.length + texts.length + 1,
        close: [1000],
      },
    );
    expect(seen.received).toEqual([
      ...texts,
      "\ufffd \ufffd",
      ...sizes.map((size) => ({ size, sum: sumOf(bytesOf(size)) })),
    ]);
    expect(closed).toMatchObject({ code: 1000, clean: true });
  });

  test("a thousand messages at once come back in order", async () => {
    const send = Array.from({ length: 1000 }, (_, index) => `message ${index}`);
    const { seen } = await meet({ open: echo }, { send, messages: 1000, close: [1000] });
    expect(seen.received).toEqual(send);
  });
});

describe("the browser closes (RFC 6455 5.5.1)", () => {
  const longest = "ü".repeat(61) + "!";
  test.each<[string, readonly [code?: number, reason?: string], number, string]>([
    ["without a code", [], 1005, ""],
    ["1000", [1000], 1000, ""],
    ["1000 and a reason", [1000, "bye"], 1000, "bye"],
    ["3000", [3000, "wörld 👋"], 3000, "wörld 👋"],
    ["4999 and the longest reason", [4999, longest], 4999, longest],
  ])("%s", async (_, close, code, reason) => {
    const { seen, closed } = await meet({}, { close });
    expect(closed).toMatchObject({ code, reason, clean: true, cause: { by: "peer", rule: "closed" } });
    expect(closed?.sent?.code).toBe(code);
    expect(seen.closed).toEqual({ code, reason, wasClean: true });
  });

  test("a page that is left says 1001", async () => {
    let peer: Peer | undefined;
    const opened = new Promise<void>((resolve) => {
      endpoint = upgradeEndpoint({
        open(opens) {
          peer = opens;
          resolve();
        },
      });
    });
    const leaving = await browser.newPage();
    await leaving.goto(`http://127.0.0.1:${port}/`);
    await leaving.evaluate(`void (globalThis.kept = new WebSocket("ws://127.0.0.1:${port}/"))`);
    await opened;
    await leaving.goto("about:blank");
    expect(await peer?.closed).toMatchObject({ code: 1001, clean: true, cause: { by: "peer" } });
    await leaving.close();
  });
});

describe("the server closes", () => {
  const longest = "中".repeat(41);
  test.each<[string, (peer: Peer) => unknown, { code: number; reason: string; wasClean: boolean }]>([
    ["1000 by default", (peer) => peer.close(), { code: 1000, reason: "", wasClean: true }],
    ["1001", (peer) => peer.close(1001, "away"), { code: 1001, reason: "away", wasClean: true }],
    ["1002", (peer) => peer.close(1002, "rule"), { code: 1002, reason: "rule", wasClean: true }],
    ["1014", (peer) => peer.close(1014), { code: 1014, reason: "", wasClean: true }],
    [
      "4000, the longest reason",
      (peer) => peer.close(4000, longest),
      { code: 4000, reason: longest, wasClean: true },
    ],
    ["terminated", (peer) => peer.terminate(), { code: 1006, reason: "", wasClean: false }],
  ])("%s", async (_, act, expected) => {
    const { seen, closed } = await meet({ open: (peer) => void act(peer) }, {});
    expect(seen.closed).toEqual(expected);
    // Chromium repeats the code.
    expect(closed).toMatchObject({ code: expected.code, clean: expected.wasClean, cause: { by: "local" } });
  });

  test("while the page pumps megabytes: the page still gets to see the code", async () => {
    const { seen, closed } = await meet(
      { open: (peer) => void peer.close(4001, "enough") },
      { send: Array.from({ length: 8 }, () => 1_000_000) },
    );
    // Chromium calls it unclean as long as the page has unsent data: only code and reason are due.
    expect(seen.closed).toMatchObject({ code: 4001, reason: "enough" });
    expect(closed).toMatchObject({ clean: true });
  });

  test("messages sent before the Close arrive before it", async () => {
    const { seen } = await meet(
      {
        open(peer) {
          for (let index = 0; index < 100; index++) peer.send(`${index}`);
          peer.send(bytesOf(2_000_000));
          peer.close(1000);
        },
      },
      {},
    );
    expect(seen.received).toHaveLength(101);
    expect(seen.received.at(-1)).toEqual({ size: 2_000_000, sum: sumOf(bytesOf(2_000_000)) });
    expect(seen.closed).toMatchObject({ code: 1000, wasClean: true });
  });

  test("its endpoint closes: 1001 to everyone, new requests are refused", async () => {
    let both: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => {
      both = resolve;
    });
    const current = upgradeEndpoint({
      open: () => {
        if (current.peers.size === 2) both?.();
      },
    });
    endpoint = current;
    const url = `ws://127.0.0.1:${port}/`;
    const talks = [talk(page, url, {}), talk(page, url, {})];
    await arrived;
    await current.close({ reason: "restart" });
    for (const seen of await Promise.all(talks)) {
      expect(seen.closed).toEqual({ code: 1001, reason: "restart", wasClean: true });
    }
    expect((await talk(page, url, {})).opened).toBe(false);
  });
});

describe("the server fails the connection (RFC 6455 7.1.7): the page sees the code", () => {
  const endless = Array.from({ length: 8 }, () => 1_000_000);
  test.each<[string, EndpointOptions, Plan, number, string]>([
    ["a message over the limit", { limits: { message: 1000 } }, { send: [1001] }, 1009, "message-limit"],
    [
      "a text over it, counted in bytes",
      { limits: { message: 9 } },
      { send: ["ü".repeat(5)] },
      1009,
      "message-limit",
    ],
    ["a frame over its limit", { limits: { frame: 100 } }, { send: [101] }, 1009, "frame-limit"],
    [
      "over the limit, while megabytes follow",
      { limits: { message: 1000 } },
      { send: endless },
      1009,
      "message-limit",
    ],
  ])("%s", async (_, options, plan, code, rule) => {
    const { seen, closed } = await meet(options, plan);
    expect(seen.closed.code).toBe(code);
    expect(closed).toMatchObject({ sent: { code }, cause: { by: "peer", rule } });
  });

  test("a message at the limit passes", async () => {
    const { seen } = await meet(
      { open: echo, limits: { message: 1000 } },
      { send: [1000], messages: 1, close: [] },
    );
    expect(seen.received).toHaveLength(1);
  });

  test("a handler that throws: 1011, and the error is reported", async () => {
    const errors: unknown[] = [];
    const { seen } = await meet(
      {
        message() {
          throw new Error("mine");
        },
        error: (error) => void errors.push(error),
      },
      { send: ["x"] },
    );
    expect(seen.closed).toEqual({ code: 1011, reason: "internal error", wasClean: true });
    expect(errors).toEqual([new Error("mine")]);
  });
});

describe("messages in fragments (RFC 6455 5.4)", () => {
  test("a text in two thousand fragments, code points cut between them, pings in between, is one message", async () => {
    const text = "é中😀-".repeat(2000);
    const pings: Promise<number | undefined>[] = [];
    const { seen } = await meet(
      {
        open(peer) {
          const writer = peer.startMessage("text");
          for (let start = 0; start < text.length; start += 5) {
            writer.write(text.slice(start, start + 5)); // five of the eight code units of "é中😀-é中😀" cut a pair in two
            if (start % 500 === 0) pings.push(peer.ping());
          }
          writer.end();
        },
      },
      { messages: 1, close: [1000] },
    );
    expect(seen.received).toEqual([text]);
    expect((await Promise.all(pings)).length).toBeGreaterThan(0);
  });

  test("8 MiB of binary in fragments of 64 KiB and of none, at the pace of the browser", async () => {
    const bytes = bytesOf(8 * 1024 * 1024);
    const { seen } = await meet(
      {
        async open(peer) {
          const writer = peer.startMessage("binary");
          for (let start = 0; start < bytes.length; start += 65_536) {
            writer.write(new Uint8Array(0));
            if (!writer.write(bytes.subarray(start, start + 65_536))) await peer.drained();
          }
          writer.end();
        },
      },
      { messages: 1, close: [1000] },
    );
    expect(seen.received).toEqual([{ size: bytes.length, sum: sumOf(bytes) }]);
    expect(seen.closed).toMatchObject({ code: 1000, wasClean: true });
  });
});

test("the browser answers our pings (RFC 6455 5.5.2)", async () => {
  const trips: (number | undefined)[] = [];
  await meet(
    {
      async open(peer) {
        trips.push(await peer.ping());
        trips.push(...(await Promise.all([peer.ping(), peer.ping()])));
        peer.close();
      },
    },
    {},
  );
  expect(trips).toHaveLength(3);
  for (const trip of trips) expect(trip).toBeGreaterThanOrEqual(0);
});

describe("who may connect (RFC 6455 10.2)", () => {
  const own = (): string => `http://127.0.0.1:${port}`;
  test.each<[string, () => EndpointOptions["origins"], boolean]>([
    ["no origins: a page of another port is refused", () => undefined, false],
    ["the page's origin is listed", () => [own()], true],
    ["another one is listed", () => ["https://example.com", `${own()}0`], false],
    ["any", () => "*", true],
    ["a function that lets it in", () => (origin) => origin === own(), true],
    ["a function that does not", () => () => false, false],
  ])("on another port than the page's: %s", async (_, origins, passes) => {
    const asked: (string | undefined)[] = [];
    const server: Server = await serve({
      host: "127.0.0.1",
      origins: origins(),
      upgrade(request) {
        asked.push(request.origin);
        return undefined;
      },
    });
    const seen = await talk(page, server.url, { close: [1000] });
    expect(seen.opened).toBe(passes);
    expect(asked).toEqual(passes ? [own()] : []);
    if (!passes) expect(seen.closed).toEqual({ code: 1006, reason: "", wasClean: false });
    await server.close();
  });

  test("on its own port a page passes, whatever its host is called there", async () => {
    const named = await browser.newPage();
    await named.goto(`http://localhost:${port}/`);
    endpoint = upgradeEndpoint({});
    expect((await talk(named, `ws://localhost:${port}/`, { close: [] })).opened).toBe(true);
    // The same server by another name is another host: nobody but the application can know that it is the same.
    expect((await talk(named, `ws://127.0.0.1:${port}/`, { close: [] })).opened).toBe(false);
    await named.close();
  });

  test('a page without an origin ("null") is refused', async () => {
    const opaque = await browser.newPage();
    await opaque.setContent(PAGE); // in about:blank
    endpoint = upgradeEndpoint({});
    expect((await talk(opaque, `ws://127.0.0.1:${port}/`, { close: [] })).opened).toBe(false);
    await opaque.close();
  });

  test.each([401, 404, 503])(
    "the application answers %i: the page is told no more than 1006",
    async (status) => {
      const { seen, closed } = await meet({ upgrade: async () => ({ status, body: "no\n" }) }, {});
      expect(seen).toMatchObject({ opened: false, closed: { code: 1006, wasClean: false } });
      expect(closed).toBeUndefined();
    },
  );

  test("an answer that takes its time; cookies and query are there to decide on", async () => {
    await page.evaluate("void (document.cookie = 'session=42')");
    const { seen } = await meet(
      {
        async upgrade(request) {
          await new Promise((resolve) => setImmediate(resolve));
          return { headers: [["X-Seen", request.header("cookie") ?? ""]], context: request.header("cookie") };
        },
        open: (peer) => void peer.send(String(peer.context)),
      },
      { messages: 1, close: [1000] },
    );
    expect(seen.received).toEqual(["session=42"]);
  });
});
