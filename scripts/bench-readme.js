// The README's figures: made of the committed result set, never typed. `node scripts/bench-readme.js` writes them.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";

import { formatRatio } from "../bench/lib/table.js";
import { targetName, verdictsOf } from "../bench/targets.js";

const README = new URL("../README.md", import.meta.url);
const RESULTS = new URL("../docs/bench/results.json", import.meta.url);
const PLACE = /(<!-- bench -->\n)[^]*?(\n<!-- \/bench -->)/;
const COMPRESSION_PLACE = /(<!-- bench:compression -->\n)[^]*?(<!-- \/bench:compression -->)/;

/** The committed result set; undefined as long as there is none. */
export const readResults = () =>
  existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, "utf8")) : undefined;

function measured({ against, atMost, status, value }) {
  if (status === "failed") return "failed";
  const isRatio = against !== undefined || atMost < 10; // else bytes
  return isRatio ? formatRatio(value) : `${value.toFixed(0)} B`;
}

/** What stands between the marks: a row for each target, a column for each runtime, ratios only. */
export function section(results) {
  if (results === undefined) return "No result set is committed yet, so this page quotes none.";
  const verdicts = verdictsOf(results).filter(({ status }) => status !== "not measured");
  const runtimes = Object.keys(results.runtimes).filter((name) =>
    verdicts.some(({ runtime }) => runtime === name),
  );
  const nameOf = (verdict) => `${verdict.says} | ${targetName(verdict)}`;
  const rows = [...new Set(verdicts.map(nameOf))].map((name) => {
    const cells = runtimes.map((runtime) => {
      const verdict = verdicts.find((one) => one.runtime === runtime && nameOf(one) === name);
      if (verdict === undefined) return "";
      return `${measured(verdict)}${verdict.status === "missed" ? " (missed)" : verdict.status === "open" ? " (open)" : ""}`;
    });
    return `| ${[name, ...cells].join(" | ")} |`;
  });
  const heads = runtimes.map(
    (name) => `${name === "node-latest" ? "node" : name} ${results.runtimes[name].version}`,
  );
  const head = ["", "target", ...heads];
  return [
    `| ${head.join(" | ")} |`,
    `|${" --- |".repeat(head.length)}`,
    ...rows,
    "",
    "The worst case of each, CPU time: times as fast where it says ≥, times the cost where it says ≤; “open” is missed by less than the noise. " +
      "Every case, with the plots: [docs/bench/report.html](docs/bench/report.html).",
  ].join("\n");
}

/** What compression saves and costs on Node: a row for each size of message, ratios only. */
export function compressionSection(results) {
  const cases = results?.cases.filter(({ runtime }) => runtime === "node") ?? [];
  const median = (one, peer, measure) => one.results[peer]?.measures?.[measure]?.median;
  const find = (workload, where) =>
    cases.find(
      ({ workload: name, spec }) =>
        name === workload &&
        Object.entries(where).every(([key, value]) =>
          key === "takeover" ? spec.deflate.takeover === value : spec[key] === value,
        ),
    );
  const cell = (size, takeover) => {
    const [deflate, inflate] = ["deflate", "inflate"].map((direction) =>
      find("compress", { direction, size, takeover }),
    );
    if (deflate === undefined || inflate === undefined) return undefined;
    const faster = (one) => formatRatio(median(one, "ws", "cpu") / median(one, "sansocket", "cpu"));
    const saved = Math.round((1 - 1 / median(deflate, "sansocket", "ratio")) * 100);
    return `${saved} % | ${faster(deflate)} | ${faster(inflate)}`;
  };
  const rows = [
    [200, "200 B"],
    [2048, "2 KiB"],
    [65536, "64 KiB"],
  ].map(([size, name]) => [name, cell(size, false), cell(size, true)]);
  const memory = [false, true].map((takeover) => find("windows", { takeover }));
  if (rows.flat().includes(undefined) || memory.includes(undefined)) return "";
  const [without, with_] = memory.map((one) =>
    Math.round((median(one, "sansocket", "rss") / median(one, "ws", "rss")) * 100),
  );
  return [
    "| JSON | bytes saved | deflate | inflate | with takeover: bytes saved | deflate | inflate |",
    `|${" --- |".repeat(7)}`,
    ...rows.map((row) => `| ${row.join(" | ")} |`),
    "",
    "CPU time: times as fast as `ws`. A connection that has had a message of 2 KiB each way takes " +
      `${without} % of the memory that one of \`ws\` takes, with context takeover ${with_} %.`,
    "",
  ].join("\n");
}

/** The README with what is to stand between its marks, formatted. */
export async function update(readme, results) {
  if (!PLACE.test(readme)) throw new Error("the README has no <!-- bench --> … <!-- /bench -->");
  if (!COMPRESSION_PLACE.test(readme)) throw new Error("the README has no place for compression");
  const page = readme
    .replace(PLACE, (_, before, after) => `${before}\n${section(results)}\n${after}`)
    .replace(COMPRESSION_PLACE, (_, before, after) => {
      const text = compressionSection(results);
      return `${before}${text === "" ? "" : `\n${text}\n`}${after}`;
    });
  const path = fileURLToPath(README);
  return await format(page, { ...(await resolveConfig(path)), filepath: path });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(README, await update(readFileSync(README, "utf8"), readResults()));
}
