// docs/http3.md, as it stands there, against the built package: both of its sides, over request streams in memory.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { TransformStream } from "node:stream/web";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, expect, it } from "vitest";

import type { ByteStreams, Peer, StreamsEndpoint } from "../../src/adapters/streams.js";
import { deferred, nextText } from "../support/entries.js";

type Fields = Record<string, unknown>;

/** What the snippet exports. */
interface Snippet {
  readonly endpoint: StreamsEndpoint;
  onRequest(
    stream: ByteStreams & { headers: Fields; respond(fields: Fields, body?: Uint8Array): void },
  ): void;
  openWebSocket(session: unknown, url: string, further?: [string, string][]): Promise<Peer>;
}

const root = new URL("../../", import.meta.url);
let folder = "";
let snippet: Snippet;

beforeAll(async () => {
  if (!existsSync(new URL("dist/index.js", root))) throw new Error("there is no dist/: npm run build");
  const page = readFileSync(new URL("docs/http3.md", root), "utf8");
  const sources = [...page.matchAll(/^```js http3\n([^]*?)^```$/gm)].map((match) => match[1] ?? "");
  expect(sources).toHaveLength(1);
  mkdirSync(new URL("test-results", root), { recursive: true });
  folder = mkdtempSync(fileURLToPath(new URL("test-results/http3-", root)));
  writeFileSync(`${folder}/http3.mjs`, sources[0] ?? "");
  snippet = (await import(`${folder}/http3.mjs`)) as Snippet;
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A session whose requests arrive at the snippet's server. */
function session(change: Fields = {}, enableConnectProtocol = true) {
  const requests: Fields[] = [];
  const responses: Fields[] = [];
  return {
    requests,
    responses,
    settings: { enableConnectProtocol },
    request(headers: Fields) {
      requests.push(headers);
      const up = new TransformStream<Uint8Array, Uint8Array>();
      const down = new TransformStream<Uint8Array, Uint8Array>();
      const response = deferred<Fields>();
      snippet.onRequest({
        headers: { ...headers, ...change },
        readable: up.readable,
        writable: down.writable,
        respond(fields, body) {
          responses.push({ ...fields, body: new TextDecoder().decode(body) });
          response.resolve(fields);
        },
      });
      return { readable: down.readable, writable: up.writable, response: response.promise };
    },
  };
}

it("a WebSocket opens, echoes and closes", async () => {
  const over = session();
  const peer = await snippet.openWebSocket(over, "wss://example.com/chat?x");
  expect(over.requests).toEqual([
    {
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "https",
      ":authority": "example.com",
      ":path": "/chat?x",
      "sec-websocket-version": "13",
    },
  ]);
  expect(over.responses).toEqual([{ ":status": 200, body: "" }]);
  peer.send("grüße");
  expect(await nextText(peer[Symbol.asyncIterator]())).toBe("grüße");
  const [there] = snippet.endpoint.peers;
  expect(there?.request?.httpVersion).toBe("3");
  peer.close(4000, "bye");
  expect(await there?.closed).toMatchObject({ code: 4000, reason: "bye", clean: true });
  expect(await peer.closed).toMatchObject({ code: 4000, clean: true });
});

it("a header that is there twice arrives twice", async () => {
  const over = session();
  const peer = await snippet.openWebSocket(over, "wss://example.com/chat", [
    ["X-A", "1"],
    ["X-B", "2"],
    ["x-a", "3"],
    ["X-A", "4"],
  ]);
  expect(over.requests).toMatchObject([{ "x-a": ["1", "3", "4"], "x-b": "2" }]);
  const [there] = snippet.endpoint.peers;
  expect(there?.request?.headers).toEqual([
    ["sec-websocket-version", "13"],
    ["x-a", "1"],
    ["x-a", "3"],
    ["x-a", "4"],
    ["x-b", "2"],
  ]);
  peer.terminate();
  await there?.closed;
});

it.each<[string, Fields, Fields]>([
  ["another :protocol", { ":protocol": "webtransport" }, { ":status": 501 }],
  ["another version", { "sec-websocket-version": "12" }, { ":status": 400, "sec-websocket-version": "13" }],
  ["another path", { ":path": "/" }, { ":status": 404, body: 'there is no WebSocket at "/"\n' }],
])("refused: %s", async (_, change, response) => {
  const over = session(change);
  const peer = await snippet.openWebSocket(over, "wss://example.com/chat");
  expect(over.responses).toMatchObject([response]);
  expect(await peer.closed).toMatchObject({ code: 1006, cause: { rule: "rejected" } });
});

it("no request before SETTINGS allow it", async () => {
  const over = session({}, false);
  await expect(snippet.openWebSocket(over, "wss://example.com/chat")).rejects.toThrow("no extended CONNECT");
  expect(over.requests).toEqual([]);
});
