// The conformance cases against an implementation that is not ours, over TCP: the runner's interface is wide enough for that, and
// where two implementations agree a case is likely to be right.

import { once } from "node:events";
import * as net from "node:net";

import { afterAll, beforeAll, expect, it } from "vitest";
import type { WebSocket } from "ws";
import { WebSocketServer } from "ws";

import type { StartConformance } from "../../src/conformance/index.js";
import { CONFORMANCE_CASES, runConformance } from "../../src/conformance/index.js";
import { bytes, concat } from "../support/wire.js";

const REQUEST = [
  "GET / HTTP/1.1",
  "Host: 127.0.0.1",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
].join("\r\n");

let server: WebSocketServer;

beforeAll(async () => {
  server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
  await once(server, "listening");
});

afterAll(() => {
  server.close();
});

/** A connection of ws, open behind an opening handshake of its own. */
const startWs: StartConformance = async () => {
  const { port } = server.address() as net.AddressInfo;
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {}); // a reset is an end, too
  const over = new Promise((resolve) => socket.once("close", resolve));
  socket.write(`${REQUEST}\r\n\r\n`);
  const [[peer], [head]] = (await Promise.all([once(server, "connection"), once(socket, "data")])) as [
    [WebSocket],
    [Buffer],
  ];
  const messages: (string | Uint8Array)[] = [];
  peer.on("message", (data: Buffer, isBinary) => messages.push(isBinary ? bytes(data) : data.toString()));
  peer.on("error", () => {}); // the code tells
  const closed = new Promise<number>((resolve) => peer.once("close", resolve));
  const sent: Uint8Array[] = [head.subarray(head.indexOf("\r\n\r\n") + 4)];
  socket.on("data", (data) => sent.push(data));
  return {
    receive(data) {
      if (socket.writable) socket.write(data);
    },
    async finish() {
      socket.end();
      const [code] = await Promise.all([closed, over]);
      return { opened: true, messages, code, sent: concat(sent) };
    },
  };
};

/** Where ws is known to differ. */
const DIFFERS = [
  "a length below 126 in 16 bits",
  "a length below 65536 in 64 bits",
  "a length whose top bit is set", // it fails, but with 1009
];

it.each(["frames", "text", "closing"])("ws as a server: %s", async (group) => {
  const cases = CONFORMANCE_CASES.filter((test) => test.group === group && test.role === "server");
  const failed = (await runConformance(cases, startWs)).filter(({ differences }) => differences.length > 0);
  expect(new Set(failed.map(({ test }) => test.name))).toEqual(new Set(group === "frames" ? DIFFERS : []));
});
