// Every snippet of docs/transports.md, as it stands there, in a process of its own, against the built package.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, it } from "vitest";

const root = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/transports.md", root), "utf8");
const snippets = new Map(
  [...page.matchAll(/^```js (\w+)\n([^]*?)^```$/gm)].map((match) => [match[1] ?? "", match[2] ?? ""]),
);
let folder = "";

beforeAll(() => {
  if (!existsSync(new URL("dist/index.js", root))) throw new Error("there is no dist/: npm run build");
  mkdirSync(new URL("test-results", root), { recursive: true });
  folder = mkdtempSync(fileURLToPath(new URL("test-results/transports-", root)));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const PRINTED: readonly (readonly [string, string])[] = [
  ["streams", "you said hello\n1001\n"],
  ["http2", "over HTTP/2\n1000 1000\n"],
  ["whatwg", "3\nstreamed\n{ closeCode: 1005, reason: '' }\n"],
];

it("each snippet is here", () => {
  expect([...snippets.keys()]).toEqual(PRINTED.map(([name]) => name));
  expect(page.match(/^```(js|ts)\b/gm)).toHaveLength(snippets.size);
});

it.each(PRINTED)("%s: runs, prints what it should, and ends", async (name, printed) => {
  const path = `${folder}/${name}.mjs`;
  writeFileSync(path, (snippets.get(name) ?? "").replaceAll("8443", String(await freePort())));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [path], { timeout: 20_000 });
  expect([stdout, stderr]).toEqual([printed, ""]);
});
