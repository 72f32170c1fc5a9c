import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findRuntime } from "../../bench/lib/runtimes.js";

// The package as npm packs it, installed in a folder far from this one, in every runtime.

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, string | object>>;
};
const ENTRIES = Object.entries(manifest.exports)
  .filter(([, target]) => typeof target === "object")
  .map(([subpath]) => `sansocket${subpath.slice(1)}`);

let folder = "";

beforeAll(() => {
  if (!existsSync(join(ROOT, "dist/index.js"))) throw new Error("there is no dist/: npm run build");
  folder = mkdtempSync(join(tmpdir(), "sansocket-"));
  const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const output = execFileSync("npm", pack, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ filename }] = JSON.parse(output) as [{ filename: string }];
  const place = join(folder, "node_modules/sansocket");
  mkdirSync(place, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, filename), "-C", place, "--strip-components=1"]);
  writeFileSync(join(folder, "package.json"), "{}");
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a file that stands beside the installed package; gives back what it prints. */
function run(runtime: string, name: string, source: string): string {
  writeFileSync(join(folder, name), source);
  const { binary } = findRuntime(runtime) as { readonly binary: string };
  const args = runtime === "deno" ? ["run", "-A", "--no-prompt", name] : [name];
  return execFileSync(binary, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** A client and a server in memory: what it prints shows that a text got through and back. */
const EXCHANGE = `
const random = seededRandom(1);
const link = new Link(new ClientConnection("ws://x/", { platform: { random } }), new ServerConnection(), {
  onEvent(event, { connection }) {
    if (event.type === "request") connection.accept();
    if (event.type === "open" && connection.role === "client") connection.sendText("hello");
    if (event.type === "text" && connection.role === "server") connection.sendText(event.text + " back");
  },
});
link.flush();
console.log(link.client.events.map(({ type, text }) => text ?? type).join(", "));
`;

describe.each(["node", "node-latest", "bun", "deno"])("on %s, from the packed tarball", (runtime) => {
  it.each(ENTRIES)("import %s", (entry) => {
    const source = `console.log(Object.keys(await import(${JSON.stringify(entry)})).length > 0);\n`;
    expect(run(runtime, "import.mjs", source)).toBe("true\n");
  });

  it("import: a message goes and comes", () => {
    const imports =
      'import { ClientConnection, ServerConnection } from "sansocket";\n' +
      'import { Link, seededRandom } from "sansocket/testing";\n';
    expect(run(runtime, "exchange.mjs", imports + EXCHANGE)).toBe("open, hello back\n");
  });

  it("require(): a message goes and comes", () => {
    const requires =
      'const { ClientConnection, ServerConnection } = require("sansocket");\n' +
      'const { Link, seededRandom } = require("sansocket/testing");\n';
    expect(run(runtime, "exchange.cjs", requires + EXCHANGE)).toBe("open, hello back\n");
  });
});
