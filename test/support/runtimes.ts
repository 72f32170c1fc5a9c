// The runtimes that tests start, and the suite of the adapters as one file for each.

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import * as readline from "node:readline";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import type { RuntimeName } from "../runtimes/tools.js";
import type { Row } from "../runtimes/run.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Runtime {
  readonly name: string;
  readonly adapter: RuntimeName;
  /** Throws where it is not installed. */
  readonly binary: () => string;
  readonly flags: readonly string[];
}

export const RUNTIMES: readonly Runtime[] = [
  { name: "the Node that runs the tests", adapter: "node", binary: () => process.execPath, flags: [] },
  { name: "the newest Node", adapter: "node", binary: newestNode, flags: [] },
  { name: "Bun", adapter: "bun", binary: bun, flags: [] },
  { name: "Deno", adapter: "deno", binary: deno, flags: ["run", "--allow-all", "--no-config"] },
];

/** Where development dependencies, and where the harness's own, are installed. */
const INSTALLED = ["node_modules", "bench/runtimes/node_modules"].map((folder) => path.join(root, folder));

function newestNode(): string {
  return find(
    "Node",
    ["node-bin-", "node-"].map((prefix) => `${prefix}${process.platform}-${process.arch}/bin/node`),
  );
}

/** The package's install script puts the binary in place of a stub; where no scripts run, it is where it was unpacked. */
function bun(): string {
  const unpacked = ["", "-baseline", "-musl"].map(
    (kind) =>
      `@oven/bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}${kind}/bin/bun`,
  );
  return find("Bun", ["bun/bin/bun.exe", ...unpacked]);
}

function deno(): string {
  return find(
    "Deno",
    ["-glibc", ""].map((libc) => `@deno/${process.platform}-${process.arch}${libc}/deno`),
  );
}

/** A stub is a few lines long. */
const SMALLEST_BINARY = 1_000_000;

function find(what: string, places: readonly string[]): string {
  const candidates = INSTALLED.flatMap((folder) => places.map((place) => path.join(folder, place)));
  const found = candidates.find(
    (file) => (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) > SMALLEST_BINARY,
  );
  if (found === undefined)
    throw new Error(`${what} is not installed: there is none of ${candidates.join(", ")}`);
  return found;
}

/** Bundles the suite for an adapter; gives the file. */
export async function bundleSuite(adapter: RuntimeName, folder: string): Promise<string> {
  const pem = (name: string): string =>
    fs.readFileSync(path.join(root, "test/support/tls", `test-only-${name}.pem`), "utf8");
  const tls = { key: pem("server-key"), cert: pem("server-certificate"), ca: pem("authority") };
  const outfile = path.join(folder, `${adapter}.mjs`);
  await build({
    stdin: {
      contents: `
        import * as adapter from "./src/adapters/${adapter}.js";
        import { run } from "./test/runtimes/run.js";
        await run(adapter, "${adapter}", ${JSON.stringify(tls)}, process.argv[2]);
      `,
      resolveDir: root,
    },
    bundle: true,
    format: "esm",
    target: "es2022",
    // `ws` is CommonJS: what it requires are modules that the runtime has.
    platform: "node",
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    outfile,
    logLevel: "silent",
  });
  return outfile;
}

/** The suite, while a runtime runs it. */
export class SuiteRun {
  private readonly rows = new Map<string, (row: Row) => void>();
  private readonly came = new Map<string, Promise<Row>>();
  /** Resolves with the code that the process exited with, and what it had to complain about. */
  readonly exited: Promise<{ readonly code: number | null; readonly complaints: string }>;
  private readonly kill: () => void;

  constructor(binary: string, args: readonly string[], names: readonly string[]) {
    for (const name of names) {
      this.came.set(name, new Promise((resolve) => this.rows.set(name, resolve)));
    }
    const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"], cwd: root });
    this.kill = () => void child.kill("SIGKILL");
    let complaints = "";
    child.stderr.on("data", (data: Buffer) => (complaints += data.toString()));
    readline.createInterface(child.stdout).on("line", (line) => {
      const row = JSON.parse(line) as Row;
      this.rows.get(row.name)?.(row);
    });
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => {
        this.giveUp(error.message);
        resolve({ code: null, complaints: error.message });
      });
      child.once("close", (code) => {
        this.giveUp(`the process exited with ${code}\n${complaints}`);
        resolve({ code, complaints });
      });
    });
  }

  /** How a case went, once it is over. */
  row(name: string): Promise<Row> {
    return this.came.get(name) ?? Promise.reject(new Error(`there is no case ${name}`));
  }

  stop(): void {
    this.kill();
  }

  /** Cases that have not been run will not be. */
  private giveUp(failure: string): void {
    for (const [name, settle] of this.rows) settle({ name, milliseconds: 0, failure });
  }
}
