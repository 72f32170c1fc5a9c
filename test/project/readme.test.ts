import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { findRuntime } from "../../bench/lib/runtimes.js";
import type { ClosedEvent, ConnectionEvent } from "../../src/index.js";
import { Connection, ServerConnection } from "../../src/index.js";
import { seededRandom } from "../../src/testing/index.js";
import type { Tube } from "../support/tube.js";
import { tubePair } from "../support/tube.js";

// Every snippet of the README and of the pages in docs/, as it stands there, against the built package.

const root = new URL("../../", import.meta.url);
const docs = readdirSync(new URL("docs", root)).filter((name) => name.endsWith(".md"));
const pages = ["README.md", ...docs.map((name) => `docs/${name}`)].map((name) => {
  const text = readFileSync(new URL(name, root), "utf8");
  const found = [...text.matchAll(/^```js (\w+)\n([^]*?)^```$/gm)];
  return { name, text, snippets: found.map((match) => [match[1] ?? "", match[2] ?? ""] as const) };
});
const snippets = new Map(pages.flatMap((page) => page.snippets));
const children: ChildProcess[] = [];
let folder = "";
/** Away from the package's own configuration, which the other runtimes would obey: its sources would be run, not what was built. */
let farFolder = "";

/** How a file is run on each runtime, with no more permissions than the page says. */
const RUNTIMES = {
  node: [],
  deno: ["run", "--allow-net", "--no-prompt"],
  bun: [],
} as const;
type RuntimeName = keyof typeof RUNTIMES;

beforeAll(() => {
  if (!existsSync(new URL("dist/index.js", root))) throw new Error("there is no dist/: npm run build");
  // Inside of the package, so that its own name resolves.
  mkdirSync(new URL("test-results", root), { recursive: true });
  folder = mkdtempSync(fileURLToPath(new URL("test-results/readme-", root)));
  farFolder = mkdtempSync(join(tmpdir(), "sansocket-readme-"));
  mkdirSync(join(farFolder, "node_modules"));
  symlinkSync(fileURLToPath(root), join(farFolder, "node_modules/sansocket"));
  writeFileSync(join(farFolder, "package.json"), "{}");
});

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
  rmSync(farFolder, { recursive: true });
});

/** A snippet as its page has it, with its ports replaced by free ones. */
function sourceOf(name: string, ports: Readonly<Record<string, number>>): string {
  let source = snippets.get(name);
  if (source === undefined) throw new Error(`no page has a snippet called ${name}`);
  for (const [port, free] of Object.entries(ports)) source = source.replaceAll(port, String(free));
  return source;
}

/** Writes a snippet whose ports are replaced by free ones into a file; gives back its path. */
function write(name: string, ports: Readonly<Record<string, number>> = {}): string {
  const path = `${folder}/${name}.mjs`;
  writeFileSync(path, sourceOf(name, ports));
  return path;
}

interface Running {
  readonly output: () => string;
  readonly exited: Promise<number>;
}

/** Runs a snippet whose ports are replaced by free ones. */
function run(name: string, ports: Readonly<Record<string, number>> = {}): Running {
  return start(process.execPath, [write(name, ports)]);
}

/** The same on any runtime: with its own adapter in place of the page's, and nothing else changed. */
function runOn(runtime: RuntimeName, name: string, ports: Readonly<Record<string, number>> = {}): Running {
  const path = join(farFolder, `${name}-${runtime}.mjs`);
  writeFileSync(
    path,
    sourceOf(name, ports).replace(/"sansocket\/(node|deno|bun)"/, `"sansocket/${runtime}"`),
  );
  const { binary } = findRuntime(runtime) as { readonly binary: string };
  return start(binary, [...RUNTIMES[runtime], path]);
}

function start(binary: string, args: readonly string[]): Running {
  const child = spawn(binary, args, { cwd: farFolder, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  return { output: () => output, exited: once(child, "close").then(([code]) => code as number) };
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

/** The snippets that are run here, and those of pages that have a test file of their own beside this one. */
const RUN: Readonly<Record<string, readonly string[]>> = {
  "README.md": ["server", "upgrade", "client", "deno", "bun", "embedding"],
  "docs/compression.md": ["compression"],
  "docs/embedding.md": ["adapter", "tubes", "frames"],
  "docs/http3.md": ["http3"],
  "docs/testing.md": ["link", "fuzz", "cases"],
  "docs/transports.md": ["streams", "http2", "whatwg"],
};

describe.each(pages)("$name", ({ name, text, snippets }) => {
  it("has no snippet that is not run here", () => {
    expect(snippets.map(([called]) => called)).toEqual(RUN[name] ?? []);
    expect(text.match(/^```(js|ts)\b/gm) ?? []).toHaveLength(snippets.length);
  });
});

describe("README.md", () => {
  const runtimes = Object.keys(RUNTIMES) as RuntimeName[];

  it.each(runtimes)("server and client talk, on %s", async (runtime) => {
    const port = await freePort();
    const server = runOn(runtime, "server", { 8080: port });
    const other = await connected(`ws://127.0.0.1:${port}/`);
    const client = runOn(runtime, "client", { 8080: port });
    expect(await nextText(other)).toBe("hello");
    expect(await client.exited).toBe(0);
    expect(client.output()).toContain("text welcome");
    expect(client.output()).toMatch(
      /type: ['"]closed['"],\s+code: 1000,\s+reason: ['"]done['"],\s+clean: true/,
    );
    other.close(1000);
    await once(other, "close");
    await expect
      .poll(server.output)
      .toContain("closed with 1000: the closing handshake was started (RFC 6455 7.1.2)");
    expect(server.output()).toContain(`listening on ws://127.0.0.1:${port}`);
  });

  it.each(["deno", "bun"] as const)("what is said of %s runs there, and ends", async (runtime) => {
    expect(snippets.get(runtime)).toContain(`from "sansocket/${runtime}"`);
    const echo = runOn(runtime, runtime);
    expect([await echo.exited, echo.output()]).toEqual([0, "you said hello\n"]);
  });

  it("the lines are the same on both, but for the adapter's name", () => {
    expect(snippets.get("bun")).toBe(snippets.get("deno")?.replace("sansocket/deno", "sansocket/bun"));
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

describe("docs/compression.md", () => {
  it.each(Object.keys(RUNTIMES) as RuntimeName[])("the program runs on %s", async (runtime) => {
    const program = runOn(runtime, "compression");
    expect(await program.exited).toBe(0);
    const [agreed, coded, same, plain, ...more] = program
      .output()
      .trimEnd()
      .split(/\n(?=\d|true)/);
    expect(agreed).toMatch(
      /^permessage-deflate \[[^]*server_no_context_takeover[^]*client_no_context_takeover/,
    );
    expect([same, more]).toEqual(["true", []]);
    const [[characters, few], [again, many]] = [coded, plain].map((line) => {
      const match = /^(\d+) characters, (\d+) bytes to be sent$/.exec(line ?? "");
      return [Number(match?.[1]), Number(match?.[2])] as const;
    }) as [readonly [number, number], readonly [number, number]];
    expect(again).toBe(characters);
    expect(few).toBeLessThan(characters / 4);
    expect(many).toBe(characters + 8); // the header, with a masking key
  });
});

describe("docs/testing.md", () => {
  it.each([
    ["link", "open, HELLO\n1006 pong-timeout RFC 6455 5.5.2\n"],
    ["fuzz", "true true\n"],
    ["cases", "true 0\n"],
  ])("%s: runs, prints what it should, and ends", async (name, printed) => {
    const program = run(name);
    expect([await program.exited, program.output()]).toEqual([0, printed]);
  });
});

describe("docs/embedding.md", () => {
  type OnEvent = (event: ConnectionEvent, connection: Connection) => void;
  interface Adapter {
    readonly attach: (tube: Tube, connection: Connection, onEvent: OnEvent) => () => void;
  }

  const platform = { clock: () => performance.now(), random: seededRandom(1) };

  /** A connection that the page's adapter joins to a tube, and its last event. */
  async function attached(
    tube: Tube,
    connection: Connection,
    onEvent: (event: ConnectionEvent) => void = () => {},
  ): Promise<{ readonly turn: () => void; readonly closed: Promise<ClosedEvent> }> {
    const { attach } = (await import(pathToFileURL(write("adapter")).href)) as Adapter;
    let turn = (): void => {};
    const closed = new Promise<ClosedEvent>((resolve) => {
      turn = attach(tube, connection, (event) => {
        if (event.type === "closed") resolve(event);
        onEvent(event);
      });
    });
    return { turn, closed };
  }

  it("the application on tubes prints what it should, and ends", async () => {
    copyFileSync(new URL("test/support/tube.js", root), `${folder}/tube.mjs`);
    write("adapter");
    const process = run("tubes");
    expect(await process.exited).toBe(0);
    expect(process.output()).toBe("you said hello\n1000 done true\n");
  });

  it("the reader and the writer alone print a frame", async () => {
    const program = run("frames");
    expect(await program.exited).toBe(0);
    expect(program.output()).toBe("1 true hello\n2 true 3 bytes\n");
  });

  it("the adapter is complete in fewer than sixty lines", () => {
    expect((snippets.get("adapter") ?? "").trimEnd().split("\n").length).toBeLessThan(60);
  });

  it.each([true, false])(
    "a narrow tube: a megabyte gets through, and never waits in it (%s)",
    async (halfClose) => {
      const [near, far] = tubePair(1000);
      const message = Uint8Array.from({ length: 1_000_000 }, (_, index) => index * 31);
      const timeouts = { linger: 50 };
      const server = new Connection("server", { platform, halfClose, timeouts });
      const client = new Connection("client", { platform, halfClose, timeouts });
      const received: Uint8Array[] = [];
      const serving = await attached(far, server);
      const asking = await attached(near, client, (event) => {
        if (event.type === "binary") received.push(event.payload);
      });
      server.sendBinary(message);
      server.close(1000);
      serving.turn();
      expect(await asking.closed).toMatchObject({ code: 1000, clean: true });
      expect(await serving.closed).toMatchObject({ code: 1000, clean: true });
      expect(received.map((payload) => Buffer.compare(payload, message))).toEqual([0]);
      expect(near.highest).toBeLessThan(1000 + 64 * 1024);
    },
  );

  it("a client that does not take its events stops the sender", async () => {
    const [near, far] = tubePair(1000);
    const server = new Connection("server", { platform });
    const slow = new Connection("client", { platform });
    const serving = await attached(far, server);
    near.onbytes = (bytes) => {
      slow.receive(bytes);
      if (!slow.wantsInput) near.pause();
    };
    for (let index = 0; index < 100; index++) server.sendBinary(new Uint8Array(10_000));
    serving.turn();
    await vi.waitUntil(() => !slow.wantsInput && !far.writable);
    expect(server.outputSize).toBeGreaterThan(500_000);
  });

  it("a tube that breaks is told to both", async () => {
    const [near, far] = tubePair();
    const serving = await attached(far, new Connection("server", { platform, halfClose: true }));
    near.abort();
    expect(await serving.closed).toMatchObject({ code: 1006, cause: { rule: "transport-lost" } });
  });

  it("a peer that is silent runs into the deadline", async () => {
    const [near, far] = tubePair();
    const heard: Uint8Array[] = [];
    near.onbytes = (bytes) => heard.push(bytes);
    near.onfinish = () => {
      near.finish();
    };
    const timeouts = { handshake: 5 };
    const serving = await attached(far, new ServerConnection({ platform, halfClose: true, timeouts }));
    expect(await serving.closed).toMatchObject({ code: 1006, cause: { rule: "handshake-timeout" } });
    expect(Buffer.concat(heard).toString()).toMatch(/^HTTP\/1.1 408 /);
  });

  it("a handler that throws closes with 1011", async () => {
    const reported = vi.spyOn(console, "error").mockReturnValue();
    const [near, far] = tubePair();
    const serving = await attached(
      far,
      new Connection("server", { platform, halfClose: true }),
      ({ type }) => {
        if (type === "text") throw new Error("mine");
      },
    );
    const client = new Connection("client", { platform, halfClose: true });
    const asking = await attached(near, client);
    client.sendText("x");
    asking.turn();
    expect(await asking.closed).toMatchObject({ code: 1011, reason: "internal error", clean: true });
    expect(await serving.closed).toMatchObject({ sent: { code: 1011 } });
    expect(reported).toHaveBeenCalledWith(new Error("mine"));
    reported.mockRestore();
  });
});
