// Which runtimes there are on this machine, and how a script is run on each.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const installed = fileURLToPath(new URL("../runtimes/node_modules/", import.meta.url));

export const RUNTIMES = {
  node: { what: "the Node that runs the harness", flags: ["--expose-gc"] },
  "node-latest": { what: "the newest Node, from npm", find: findNode, flags: ["--expose-gc"] },
  bun: { what: "Bun, from npm", find: findBun, flags: [] },
  deno: { what: "Deno, from npm", find: findDeno, flags: ["run", "-A", "--v8-flags=--expose-gc"] },
};

/** @returns {{ name: string, version: string, binary: string, args: string[] }} */
export function findRuntime(name) {
  const runtime = RUNTIMES[name];
  if (runtime === undefined) {
    throw new Error(`a runtime is one of ${Object.keys(RUNTIMES).join(", ")}, not ${name}`);
  }
  const binary = name === "node" ? process.execPath : (runtime.find() ?? onPath(name));
  if (binary === undefined) {
    throw new Error(`${name} is not installed: npm ci --prefix bench/runtimes, or put it on the PATH`);
  }
  const version = execFileSync(binary, ["--version"], { encoding: "utf8" });
  return { name, version: /\d+\.\d+\.\d+\S*/.exec(version)?.[0] ?? "?", binary, args: runtime.flags };
}

/** Not every system's binaries come from npm: one that is on the PATH serves as well. */
function onPath(name) {
  try {
    execFileSync(name, ["--version"], { stdio: "ignore" });
    return name;
  } catch {
    return undefined;
  }
}

function findNode() {
  const places = ["node-bin-", "node-"].map(
    (prefix) => `${prefix}${process.platform}-${process.arch}/bin/node`,
  );
  return places.map((place) => join(installed, place)).find(existsSync);
}

function findBun() {
  // Its install script puts the binary in place of a stub, where scripts may run; else it is where it was unpacked.
  const linked = join(installed, "bun/bin/bun.exe");
  if (existsSync(linked) && statSync(linked).size > 1e6) return linked;
  return inPackages("@oven", `bun-${process.platform}-`, ["bin/bun", "bin/bun.exe"]);
}

function findDeno() {
  return inPackages("@deno", `${process.platform}-`, ["deno", "deno.exe"]);
}

function inPackages(scope, prefix, places) {
  const folder = join(installed, scope);
  if (!existsSync(folder)) return undefined;
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix)) continue;
    for (const place of places) {
      const binary = join(folder, name, place);
      if (existsSync(binary)) return binary;
    }
  }
  return undefined;
}
