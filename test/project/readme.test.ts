import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

// Every snippet of the README, as it stands there, in a process of its own, against the built package.

const root = new URL("../../", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");
const snippets = new Map(
  [...readme.matchAll(/^```js (\w+)\n([^]*?)^```$/gm)].map((match) => [match[1] ?? "", match[2] ?? ""]),
);
const children: ChildProcess[] = [];
let folder = "";

beforeAll(() => {
  if (!existsSync(new URL("dist/index.js", root))) throw new Error("there is no dist/: npm run build");
  // Inside of the package, so that its own name resolves.
  mkdirSync(new URL("test-results", root), { recursive: true });
  folder = mkdtempSync(fileURLToPath(new URL("test-results/readme-", root)));
});

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** Runs a snippet whose ports are replaced by free ones; resolves once it has printed, or listens. */
function run(
  name: string,
  ports: Readonly<Record<string, number>>,
): { output: () => string; exited: Promise<number> } {
  let source = snippets.get(name);
  if (source === undefined) throw new Error(`the README has no snippet called ${name}`);
  for (const [port, free] of Object.entries(ports)) source = source.replaceAll(port, String(free));
  const path = `${folder}/${name}.mjs`;
  writeFileSync(path, source);
  const child = spawn(process.execPath, [path], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  return { output: () => output, exited: once(child, "exit").then(([code]) => code as number) };
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function connected(url: string, headers: Record<string, string> = {}): Promise<WebSocket> {
  for (let attempt = 0; ; attempt++) {
    const socket = new WebSocket(url, { headers });
    try {
      await once(socket, "open");
      return socket;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50)); // the process is still starting
    }
  }
}

async function nextText(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, "message")) as [Buffer];
  return data.toString();
}

describe("README.md", () => {
  it("runs every snippet here: no other is in it", () => {
    expect([...snippets.keys()].sort()).toEqual(["client", "embedding", "server", "upgrade"]);
    expect(readme.match(/^```(js|ts)\b/gm)).toHaveLength(snippets.size);
  });

  it("server and client talk", async () => {
    const port = await freePort();
    const server = run("server", { 8080: port });
    const other = await connected(`ws://127.0.0.1:${port}/`);
    const client = run("client", { 8080: port });
    expect(await nextText(other)).toBe("hello");
    expect(await client.exited).toBe(0);
    expect(client.output()).toContain("text welcome");
    expect(client.output()).toMatch(/type: 'closed',\s+code: 1000,\s+reason: 'done',\s+clean: true/);
    other.close(1000);
    await once(other, "close");
    await expect
      .poll(server.output)
      .toContain("closed with 1000: the closing handshake was started (RFC 6455 7.1.2)");
    expect(server.output()).toContain(`listening on ws://127.0.0.1:${port}`);
  });

  it("upgrade shares an HTTP server's port", async () => {
    const port = await freePort();
    run("upgrade", { 8081: port });
    const socket = await connected(`ws://127.0.0.1:${port}/chat`, { cookie: "a=b" });
    socket.send("hi");
    expect(await nextText(socket)).toBe("ann said hi");
    socket.terminate();
    const refused = new WebSocket(`ws://127.0.0.1:${port}/chat`);
    const [error] = (await once(refused, "error")) as [Error];
    expect(error.message).toContain("401");
  });

  it("the embedding loop serves, closes and half-closes", async () => {
    const port = await freePort();
    run("embedding", { 8082: port });
    const socket = await connected(`ws://127.0.0.1:${port}/`);
    socket.send("hi");
    expect(await nextText(socket)).toBe("you said hi");
    socket.close(1000, "bye");
    const [code, reason] = (await once(socket, "close")) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([1000, "bye"]);
  });

  it("the embedding loop is about twenty lines", () => {
    const lines = (snippets.get("embedding") ?? "").split("\n");
    const loop = lines.slice(
      lines.findIndex((line) => line.includes("new ServerConnection")),
      lines.lastIndexOf("});"),
    );
    expect(loop.length).toBeLessThanOrEqual(26);
  });
});
