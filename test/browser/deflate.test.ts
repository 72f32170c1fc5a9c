// permessage-deflate with Chromium, which offers it by itself.
import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Socket } from "node:net";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { DeflateOptions, Peer, UpgradeEndpoint } from "../../src/adapters/node.js";
import { permessageDeflate, PreparedMessage, upgradeEndpoint } from "../../src/adapters/node.js";
import { launchChromium } from "../support/chromium.js";

/** What the page saw: texts, and binary messages as text, too. */
interface Seen {
  readonly extensions: string;
  readonly received: readonly string[];
  readonly code: number;
}

const PAGE = `<!doctype html><title>test</title><link rel="icon" href="data:,"><script>
  function talk(url, send) {
    return new Promise((resolve) => {
      const socket = new WebSocket(url);
      const received = [];
      let extensions = "";
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        ({ extensions } = socket);
        for (const text of send) {
          socket.send(text);
          socket.send(new TextEncoder().encode(text));
        }
        socket.send("end");
      };
      socket.onmessage = ({ data }) => received.push(typeof data === "string" ? data : new TextDecoder().decode(data));
      socket.onclose = ({ code }) => resolve({ extensions, received, code });
    });
  }
</script>`;

function records(count: number, first = 0): string {
  return JSON.stringify(
    Array.from({ length: count }, (_, id) => ({
      id: id + first,
      name: `record ${(id * 7919) % 1000}`,
      tags: "aé中😀",
    })),
  );
}

const TEXTS = [
  "",
  "",
  records(2),
  records(2),
  "a",
  records(800),
  records(2, 1),
  "x".repeat(100_000),
  records(800),
];
/** All of them, as text and as bytes. */
const BYTES = 2 * TEXTS.reduce((sum, text) => sum + Buffer.byteLength(text), 0);

let browser: Browser;
let page: Page;
let http: HttpServer;
let port = 0;
let endpoint: UpgradeEndpoint | undefined;
let sockets: Socket[] = [];

beforeAll(async () => {
  http = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
    response.end(PAGE);
  });
  http.on("upgrade", (request, socket, head) => {
    if (socket instanceof Socket) sockets.push(socket);
    endpoint?.handleUpgrade(request, socket, head);
  });
  http.listen(0, "127.0.0.1");
  [browser] = await Promise.all([launchChromium(), once(http, "listening")]);
  ({ port } = http.address() as AddressInfo);
  page = await browser.newPage();
  page.setDefaultTimeout(10_000);
  await page.goto(`http://127.0.0.1:${port}/`);
});

// What beforeAll did not come to is not there to be stopped.
afterAll(async () => {
  await (browser as Browser | undefined)?.close();
  (http as HttpServer | undefined)?.close();
});

/** The page sends all, and gets all back; then fragments, and a prepared message. */
async function meet(
  deflate: DeflateOptions,
): Promise<{ seen: Seen; peer: Peer; arrived: string[]; read: number; written: number }> {
  const arrived: string[] = [];
  let peer: Peer | undefined;
  sockets = [];
  endpoint = upgradeEndpoint({
    extensions: [permessageDeflate(deflate)],
    open(opened) {
      peer = opened;
    },
    async message(from, message) {
      arrived.push(Buffer.from(message.payload).toString());
      if (message.type === "binary" || message.data !== "end") {
        from.send(message.data);
        return;
      }
      const writer = from.startMessage("text", { compress: true });
      for (const part of ["fragments, ", records(3), " among pings, "]) {
        writer.write(part);
        await from.ping();
      }
      writer.end("end");
      const prepared = new PreparedMessage(records(2));
      from.send(prepared);
      from.send(records(2));
      from.send(prepared);
      from.send("plain", { compress: false });
      from.close(1000);
    },
  });
  const seen = await page.evaluate(
    ([url, texts]) =>
      (globalThis as unknown as { talk(to: string, send: readonly string[]): Promise<Seen> }).talk(
        url,
        texts,
      ),
    [`ws://127.0.0.1:${port}/`, TEXTS] as const,
  );
  const [socket] = sockets;
  if (peer === undefined || socket === undefined) throw new Error("nobody came");
  expect(await peer.closed).toMatchObject({ code: 1000, clean: true });
  return { seen, peer, arrived, read: socket.bytesRead, written: socket.bytesWritten };
}

const BITS = [undefined, 8, 9, 12, 15] as const;
const SETS = [false, true].flatMap((serverNoContextTakeover) =>
  [false, true].flatMap((clientNoContextTakeover) =>
    BITS.flatMap((serverMaxWindowBits) =>
      BITS.map((clientMaxWindowBits) => ({
        serverNoContextTakeover,
        clientNoContextTakeover,
        serverMaxWindowBits,
        clientMaxWindowBits,
      })),
    ),
  ),
);

describe("Chromium offers permessage-deflate; the server wants", () => {
  const rows: readonly DeflateOptions[] = [{}, ...SETS];
  test.each(rows.map((deflate) => [JSON.stringify(deflate), deflate] as const))("%s", async (_, deflate) => {
    const { seen, peer, arrived, read, written } = await meet({ ...deflate, threshold: 0 });
    const doubled = TEXTS.flatMap((text) => [text, text]);
    expect(arrived).toEqual([...doubled, "end"]);
    expect(seen.received).toEqual([
      ...doubled,
      `fragments, ${records(3)} among pings, end`,
      records(2),
      records(2),
      records(2),
      "plain",
    ]);
    // Both ends name it, with what the server asked for, and both compressed.
    const {
      serverNoContextTakeover = true,
      clientNoContextTakeover = true,
      clientMaxWindowBits = 15,
    } = deflate;
    expect(peer.extensions).toEqual([
      {
        name: "permessage-deflate",
        parameters: [
          ...(serverNoContextTakeover ? [["server_no_context_takeover", undefined]] : []),
          ...(clientNoContextTakeover ? [["client_no_context_takeover", undefined]] : []),
          ...(clientMaxWindowBits < 15 ? [["client_max_window_bits", String(clientMaxWindowBits)]] : []),
        ],
      },
    ]);
    expect(seen.extensions).toMatch(/^permessage-deflate\b/);
    expect(read).toBeLessThan(BYTES / 4);
    expect(written).toBeLessThan(BYTES / 4);
  });
});
