// The engines, each with its way to run a script. One that is missing fails its tests: none is left out.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { getQuickJS } from "quickjs-emscripten";

import { findRuntime } from "../../bench/lib/runtimes.js";
import { launchChromium } from "../support/chromium.js";

export interface Engine {
  /** As the README's table calls it. */
  readonly name: string;
  /** What runs JavaScript in it. */
  readonly engine: string;
  /** Runs a script that defines `vectors`, and resolves to what `vectors.report()` resolves to. */
  readonly run: (script: string) => Promise<string>;
}

/** A runtime with a command line: a file that prints its report. Deno's is given no permission at all. */
function onCommandLine(name: string, engine: string, runtime: string): Engine {
  return {
    name,
    engine,
    run: (script) =>
      inFolder(async (folder) => {
        const file = join(folder, "vectors.mjs");
        writeFileSync(file, `${script}\nvectors.report().then((text) => console.log(text));\n`);
        const { binary } = findRuntime(runtime) as { readonly binary: string };
        const args = runtime === "deno" ? ["run", "--no-prompt", file] : [file];
        const { stdout } = await promisify(execFile)(binary, args, { cwd: folder, encoding: "utf8" });
        return stdout;
      }),
  };
}

const CHROMIUM: Engine = {
  name: "Chromium",
  engine: "V8",
  async run(script) {
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.addScriptTag({ content: script });
      return await page.evaluate<string>("vectors.report()");
    } finally {
      await browser.close();
    }
  },
};

const QUICKJS: Engine = {
  name: "QuickJS, bare",
  engine: "QuickJS",
  async run(script) {
    using context = (await getQuickJS()).newContext();
    context.unwrapResult(context.evalCode(script)).dispose();
    using promise = context.unwrapResult(context.evalCode("vectors.report()"));
    context.unwrapResult(context.runtime.executePendingJobs());
    const state = context.getPromiseState(promise);
    if (state.type !== "fulfilled") throw new Error(`the report is ${state.type}`);
    using text = state.value;
    return context.getString(text);
  },
};

const WORKER: Engine = {
  name: "Cloudflare worker (workerd)",
  engine: "V8",
  run: (script) =>
    inFolder(async (folder) => {
      const handler = "export default { fetch: async () => new Response(await vectors.report()) };";
      writeFileSync(join(folder, "worker.js"), `${script}\n${handler}\n`);
      writeFileSync(join(folder, "config.capnp"), WORKER_CONFIG);
      // The package has no types: it gives the binary's path.
      const { default: binary } = createRequire(import.meta.url)("workerd") as { readonly default: string };
      // It says on the descriptor 3 which port it got.
      const process = spawn(binary, ["serve", "config.capnp", "--control-fd=3"], {
        cwd: folder,
        stdio: ["ignore", "ignore", "pipe", "pipe"],
      });
      try {
        const port = await new Promise<number>((resolve, reject) => {
          let complaint = "";
          process.stderr?.setEncoding("utf8").on("data", (text: string) => (complaint += text));
          process.once("error", reject);
          process.once("exit", () => {
            reject(new Error(`workerd does not run: ${complaint}`));
          });
          let said = "";
          process.stdio[3]?.on("data", (text: Buffer) => {
            said += text.toString();
            const found = /"port":\s*(\d+)/.exec(said)?.[1];
            if (found !== undefined) resolve(Number(found));
          });
        });
        const response = await fetch(`http://127.0.0.1:${port}/`);
        const text = await response.text();
        if (response.status !== 200) throw new Error(`the worker answers ${response.status}: ${text}`);
        return text;
      } finally {
        process.kill("SIGKILL");
      }
    }),
};

const WORKER_CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "worker", esModule = embed "worker.js")],
    compatibilityDate = "2025-01-01",
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;

export const ENGINES: readonly Engine[] = [
  onCommandLine("Node, the one that runs the tests", "V8", "node"),
  onCommandLine("Node, the newest on npm", "V8", "node-latest"),
  onCommandLine("Bun", "JavaScriptCore", "bun"),
  onCommandLine("Deno", "V8", "deno"),
  CHROMIUM,
  WORKER,
  QUICKJS,
];

async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "sansocket-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
