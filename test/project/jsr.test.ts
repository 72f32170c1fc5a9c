import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

import { describe, expect, it } from "vitest";

import { findRuntime } from "../../bench/lib/runtimes.js";

// JSR takes the source itself; jsr.json says what of it. Deno names a file as it is called, our imports name it as it will be
// compiled: "sloppy-imports" has the published copy say ".ts".

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const read = (name: string): unknown => JSON.parse(readFileSync(`${ROOT}/${name}`, "utf8"));
const manifest = read("package.json") as {
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
};

describe("jsr.json", () => {
  it("publishes what package.json does, from the sources", () => {
    const sources = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
      typeof target === "string"
        ? []
        : [[subpath, target.default.replace("./dist/", "./src/").replace(/\.js$/, ".ts")]],
    );
    const { version, license } = manifest;
    expect(read("jsr.json")).toMatchObject({ version, license });
    expect((read("jsr.json") as typeof manifest).exports).toEqual(Object.fromEntries(sources));
  });

  it("deno publish would take it: no slow types, nothing but the sources and the pages", () => {
    const { binary } = findRuntime("deno") as { readonly binary: string };
    const { status, stderr } = spawnSync(binary, ["publish", "--dry-run", "--allow-dirty"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    const said = stripVTControlCharacters(stderr);
    expect(said).toContain("Checking for slow types in the public API...");
    expect(said).not.toMatch(/^\s*(?:warning|error)\b/im);
    expect(status).toBe(0);
    const files = [...said.matchAll(/^ *(file:\S+) \(/gm)].map(([, url = ""]) =>
      relative(ROOT, fileURLToPath(url)).replaceAll("\\", "/"),
    );
    const sources = readdirSync(`${ROOT}/src`, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `src/${name.replaceAll("\\", "/")}`);
    expect(files.sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "jsr.json", ...sources].sort());
  });
});
