// The WHATWG classes beside Chromium's own: each scenario runs in both, against the same server, and what is seen is
// compared; what the server saw, too.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { connect, upgradeEndpoint } from "../../src/adapters/node.js";
import type { ClosedEvent } from "../../src/index.js";
import { makeWebSocket, makeWebSocketStream, WebSocketError } from "../../src/whatwg/index.js";
import { launchChromium } from "../support/chromium.js";
import { upgradeResponse } from "../support/http.js";
import { frame } from "../support/wire.js";
import * as inNode from "./whatwg-scenarios.js";

interface Given {
  readonly url: string;
  readonly WebSocket: unknown;
  readonly WebSocketStream: unknown;
  readonly WebSocketError: unknown;
}
const scenarios = inNode.scenarios as unknown as Record<string, (given: Given) => unknown>;

const SCRIPT = readFileSync(new URL("./whatwg-scenarios.js", import.meta.url), "utf8");
const PAGE = `<!doctype html><title>test</title><link rel="icon" href="data:,"><script type="module">
  import { scenarios } from "/scenarios.js";
  globalThis.run = (name, url) => scenarios[name]({ url, WebSocket, WebSocketStream, WebSocketError });
</script>`;

let browser: Browser;
let page: Page;
let http: Server;
let url = "";
/** How connections to /closed ended on the server, as far as the peer had a say. */
let seenByServer: Pick<ClosedEvent, "code" | "reason" | "clean">[] = [];

const endpoint = upgradeEndpoint({
  upgrade({ path, subprotocols: [subprotocol] }) {
    if (path === "/reject") return { status: 401 };
    if (path === "/never") return new Promise<undefined>(() => undefined);
    return path === "/protocol" ? { subprotocol } : undefined;
  },
  open(peer) {
    const path = peer.request?.path;
    if (path === "/close-1000") peer.close();
    if (path === "/close-4000") peer.close(4000, "enough");
    if (path === "/terminate") setTimeout(() => peer.terminate(), 50);
    if (path?.startsWith("/chatter") === true) {
      for (let index = 0; index < 10; index++) peer.send(`${index}`);
      if (path === "/chatter-close") peer.close(4000);
    }
  },
  message: (peer, message) => void peer.send(message.data),
  close(peer, { code, reason, clean }) {
    if (peer.request?.path === "/closed") seenByServer.push({ code, reason, clean });
  },
});

/** What a server says that breaks the rules, by its path. */
const RAW = new Map<string, Uint8Array | undefined>([
  ["/end", undefined],
  ["/bad-frame", frame({ opcode: 3 })],
  ["/masked", frame({ opcode: 1, payload: "x", masked: true })],
  ["/bad-text", frame({ opcode: 1, payload: Uint8Array.of(0xff) })],
  ["/bad-close", frame({ opcode: 8, payload: Uint8Array.of(3) })],
]);

beforeAll(async () => {
  http = createServer((request, response) => {
    const script = request.url === "/scenarios.js";
    response.writeHead(200, {
      "Content-Type": script ? "text/javascript; charset=utf-8" : "text/html; charset=utf-8",
    });
    response.end(script ? SCRIPT : PAGE);
  });
  http.on("upgrade", (request, socket: Duplex, head) => {
    const path = request.url ?? "";
    if (path === "/nobody") {
      socket.destroy();
    } else if (RAW.has(path)) {
      socket.on("error", () => undefined);
      socket.write(upgradeResponse(String(request.headers["sec-websocket-key"])), "latin1");
      // After a moment, so that the page is told that it is open first.
      setTimeout(() => {
        const bytes = RAW.get(path);
        if (bytes === undefined) socket.end();
        else socket.write(bytes);
      }, 50);
      socket.on("end", () => socket.end());
      socket.resume();
    } else {
      endpoint.handleUpgrade(request, socket, head);
    }
  });
  http.listen(0, "127.0.0.1");
  [browser] = await Promise.all([launchChromium(), once(http, "listening")]);
  const { port } = http.address() as AddressInfo;
  url = `ws://127.0.0.1:${port}/`;
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
});

afterAll(async () => {
  await (browser as Browser | undefined)?.close();
  await endpoint.close({ timeout: 100 });
  (http as Server | undefined)?.close();
});

async function seen(name: string, run: () => unknown): Promise<unknown> {
  seenByServer = [];
  const outcome: unknown = await run();
  // The server may be told later than who runs it.
  const due = name.endsWith("what the server sees") ? 1 : 0;
  await expect.poll(() => seenByServer.length).toBe(due);
  return JSON.parse(JSON.stringify({ outcome, server: seenByServer })) as unknown;
}

describe("as Chromium does", () => {
  test.each(Object.keys(scenarios))("%s", async (name) => {
    const chromium = await seen(name, () =>
      page.evaluate(
        ([what, to]) =>
          (globalThis as unknown as { run(what: string, to: string): Promise<unknown> }).run(what, to),
        [name, url] as const,
      ),
    );
    const ours = await seen(name, () =>
      scenarios[name]?.({
        url,
        // A page sends its Origin.
        WebSocket: makeWebSocket(connect, { origin: url.replace("ws", "http").replace(/\/$/, "") }),
        WebSocketStream: makeWebSocketStream(connect),
        WebSocketError,
      }),
    );
    expect(ours).toEqual(chromium);
  });
});
