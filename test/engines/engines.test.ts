import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { format, resolveConfig } from "prettier";
import { beforeAll, describe, expect, it } from "vitest";

import { CONFORMANCE_CASES } from "../../src/conformance/index.js";
import { ENGINES } from "./engines.js";
import type { EngineReport } from "./report.js";

// The core's vectors in every engine, out of one bundle; the README's table is what came of them.

const README = fileURLToPath(new URL("../../README.md", import.meta.url));
const GROUPS = [...new Set(CONFORMANCE_CASES.map(({ group }) => group))];

let script = "";
/** What each engine reported, by its name. */
const reports = new Map<string, Promise<EngineReport>>();

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("report.ts", import.meta.url))],
    bundle: true,
    platform: "neutral",
    target: "es2022",
    format: "iife",
    globalName: "vectors",
    write: false,
  });
  script = outputFiles[0]?.text ?? "";
});

/** Each engine runs once, when it is first asked for. */
function reportOf(name: string): Promise<EngineReport> {
  const known = reports.get(name);
  if (known !== undefined) return known;
  const engine = ENGINES.find((one) => one.name === name);
  if (engine === undefined) throw new Error(`there is no engine called ${name}`);
  const report = engine.run(script).then((text) => JSON.parse(text) as EngineReport);
  reports.set(name, report);
  return report;
}

describe.each(ENGINES)("$name", ({ name }) => {
  it.each(GROUPS)("%s", async (group) => {
    const { groups } = await reportOf(name);
    expect(groups[group]).toEqual({
      cases: CONFORMANCE_CASES.filter((test) => test.group === group).length,
      failed: [],
    });
  });
});

it("QuickJS has nothing that a host could have added", async () => {
  expect((await reportOf("QuickJS, bare")).knows).toEqual([]);
});

it("the README's table is what ran; if it is not: npm run docs", async () => {
  const row = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  const head = ["engine", "runs JavaScript", ...GROUPS];
  const rows = await Promise.all(
    ENGINES.map(async ({ name, engine }) => {
      const { groups } = await reportOf(name);
      const passed = GROUPS.map((group) => {
        const { cases = 0, failed = [] } = groups[group] ?? {};
        return failed.length === 0 ? cases : `${failed.length} differences`;
      });
      return row([name, engine, ...passed]);
    }),
  );
  const table = [row(head), row(head.map(() => "---")), ...rows].join("\n");
  const readme = readFileSync(README, "utf8");
  const place = /(<!-- engines -->\n)[^]*?(\n<!-- \/engines -->)/;
  expect(readme).toMatch(place);
  const page = readme.replace(place, (_, before: string, after: string) => `${before}\n${table}\n${after}`);
  await expect(
    await format(page, { ...(await resolveConfig(README)), filepath: README }),
  ).toMatchFileSnapshot(README);
});
