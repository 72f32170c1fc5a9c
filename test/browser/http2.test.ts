// Chromium opens WebSockets over HTTP/2 (RFC 8441): on the session that brought the page, where the server's SETTINGS
// allow it.
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";

import type { EndpointOptions, Http2Endpoint, Peer } from "../../src/adapters/http2.js";
import { http2Endpoint } from "../../src/adapters/http2.js";
import { launchChromium } from "../support/chromium.js";
import { deferred, ECHO, TEST_TLS } from "../support/entries.js";

let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  browser = await launchChromium();
  context = await browser.newContext({ ignoreHTTPSErrors: true }); // nobody trusts the tests' certificate
});

afterAll(async () => {
  await (browser as Browser | undefined)?.close();
});

/** A page from a server that speaks HTTP/2, or HTTP/1.1 to who asks for that; and who asked for a WebSocket how. */
async function open(
  options: EndpointOptions,
): Promise<{ page: Page; endpoint: Http2Endpoint; url: string; asked: string[]; sessions: () => number }> {
  const endpoint = http2Endpoint(options);
  const server = http2.createSecureServer({
    ...TEST_TLS,
    allowHTTP1: true,
    settings: { enableConnectProtocol: true },
  });
  const sessions = new Set<http2.Http2Session>();
  const asked: string[] = [];
  let count = 0;
  server.on("session", (session) => {
    count++;
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    if (endpoint.handleStream(stream, headers)) {
      asked.push(`${String(headers[":method"])} ${String(headers[":protocol"])}`);
      return;
    }
    stream.respond({ ":status": 200, "content-type": "text/html" });
    stream.end('<!doctype html><title>test</title><link rel="icon" href="data:,">');
  });
  server.on("upgrade", ({ httpVersion }: IncomingMessage, socket: Duplex) => {
    asked.push(`HTTP/${httpVersion} Upgrade`);
    socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const page = await context.newPage();
  onTestFinished(async () => {
    await page.close();
    for (const session of sessions) session.destroy();
    server.close();
  });
  await page.goto(`https://127.0.0.1:${port}/`);
  return { page, endpoint, url: `wss://127.0.0.1:${port}/`, asked, sessions: () => count };
}

test("several WebSockets on the page's session: texts, bytes, a subprotocol, a clean close", async () => {
  const { page, endpoint, url, asked, sessions } = await open({
    ...ECHO,
    timeouts: { linger: 100 }, // Chromium does not end its side
    upgrade: ({ subprotocols: [subprotocol] }) => ({ subprotocol }),
  });
  const seen = await page.evaluate(`Promise.all([0, 1, 2].map((index) => new Promise((resolve) => {
    const socket = new WebSocket(${JSON.stringify(url)}, ["p" + index, "q"]);
    const received = [];
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      for (const size of [0, 125, 126, 65535, 65536, 300000]) socket.send(new Uint8Array(size));
      socket.send("grüße " + index);
    };
    socket.onmessage = ({ data }) => {
      received.push(typeof data === "string" ? data : data.byteLength);
      if (typeof data === "string") socket.close(4000, "bye " + index);
    };
    socket.onclose = ({ code, reason, wasClean }) =>
      resolve([socket.protocol, received, code, reason, wasClean]);
  })))`);
  expect(seen).toEqual(
    [0, 1, 2].map((index) => [
      `p${index}`,
      [0, 125, 126, 65_535, 65_536, 300_000, `grüße ${index}`],
      4000,
      `bye ${index}`,
      true,
    ]),
  );
  expect(asked).toEqual(Array.from({ length: 3 }, () => "CONNECT websocket"));
  expect(sessions()).toBe(1);
  await expect.poll(() => endpoint.peers.size).toBe(0);
});

test("what the server sees of the request, and the server's close", async () => {
  const opened = deferred<Peer>();
  const { page, url, asked } = await open({ open: opened.resolve });
  const closed = page.evaluate(`new Promise((resolve) => {
    new WebSocket(${JSON.stringify(`${url}chat?x`)}).onclose = ({ code, reason }) => resolve([code, reason]);
  })`);
  const peer = await opened.promise;
  expect(peer.request).toMatchObject({
    method: "CONNECT",
    httpVersion: "2",
    scheme: "https",
    target: "/chat?x",
  });
  expect(peer.request?.origin).toBe(url.replace("wss", "https").replace(/\/$/, ""));
  expect(peer.request?.header("sec-websocket-key")).toBeUndefined();
  peer.close(4001, "enough");
  expect(await closed).toEqual([4001, "enough"]);
  expect(await peer.closed).toMatchObject({ code: 4001, clean: true });
  expect(asked).toEqual(["CONNECT websocket"]);
});

test("refused, and dropped: the page sees 1006", async () => {
  const { page, url, asked } = await open({
    path: "/chat",
    message(peer) {
      peer.terminate();
    },
  });
  const closed = (path: string): Promise<unknown> =>
    page.evaluate(`new Promise((resolve) => {
      let opened = false;
      const socket = new WebSocket(${JSON.stringify(url)} + ${JSON.stringify(path)});
      socket.onopen = () => (opened = true, socket.send("x"));
      socket.onclose = ({ code }) => resolve([opened, code]);
    })`);
  expect(await closed("elsewhere")).toEqual([false, 1006]);
  expect(await closed("chat")).toEqual([true, 1006]);
  expect(asked).toEqual(["CONNECT websocket", "CONNECT websocket"]);
});
