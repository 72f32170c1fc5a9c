// What moved between two result files beyond the noise.

import { readFileSync } from "node:fs";

import { BESIDE, HEADLINE, LARGER_IS_BETTER, UNITS } from "./cases.js";
import { notch } from "./lib/stats.js";
import { formatBeside, formatQuantity, ratioTo } from "./lib/table.js";
import { REFERENCE } from "./peers/index.js";
import { FORMAT, targetName, verdictsOf } from "./targets.js";

/** Less than this is never told, however quiet the machine was. */
const LEAST = 0.02;
/** Of so few rounds no spread can be told: more than this has to have changed. */
const FEW = { rounds: 4, least: 0.1 };

const USAGE = `node bench/compare.js <before.json> <after.json> [--all]

Tells each figure that moved: whose notches (the 95 % intervals of the medians) do not overlap, by at least 2 %; and the targets whose
verdict is another one. Exits with 1 where sansocket got worse. --all tells the rest, too.`;

const all = process.argv.includes("--all");
const files = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
if (files.length !== 2) {
  console.error(USAGE);
  process.exit(2);
}
const [before, after] = files.map((file) => JSON.parse(readFileSync(file, "utf8")));
if (before.format !== FORMAT || after.format !== FORMAT)
  throw new Error("these are no results of this harness");
const versionsOf = ({ runtimes }) =>
  Object.fromEntries(
    Object.entries(runtimes).map(([name, { version, peers }]) => [name, { version, peers }]),
  );

for (const [what, from, to] of [
  ["machine", before.machine, after.machine],
  ["runtimes and peers", versionsOf(before), versionsOf(after)],
]) {
  if (JSON.stringify(from) !== JSON.stringify(to)) {
    console.log(`Mind: the ${what} differ:\n  ${JSON.stringify(from)}\n  ${JSON.stringify(to)}`);
  }
}

const keyOf = ({ runtime, workload, id }) => `${runtime}  ${workload}: ${id}`;
const earlier = new Map(before.cases.map((row) => [keyOf(row), row]));
const percent = (change) => `${change > 0 ? "+" : ""}${(change * 100).toFixed(1)}%`;

const told = [];
const counts = { same: 0, better: 0, worse: 0 };
let ownWorse = 0;
for (const row of after.cases) {
  const old = earlier.get(keyOf(row));
  if (old === undefined) continue;
  for (const [name, result] of Object.entries(row.results)) {
    const was = old.results[name];
    if (was === undefined) continue;
    if (was.status !== result.status) {
      told.push([keyOf(row), name, was.status, result.status, "", "", ""]);
      if (name === "sansocket" && result.status === "failed") ownWorse++;
      continue;
    }
    if (result.status !== "ok") continue;
    for (const measure of [HEADLINE[row.workload], BESIDE[row.workload]]) {
      if (was.measures[measure] !== undefined && result.measures[measure] !== undefined) {
        compareMeasure(row, name, measure, was, result, old.results);
      }
    }
  }
}

function compareMeasure(row, name, measure, was, result, wasResults) {
  const [from, to] = [was.measures[measure], result.measures[measure]];
  const change = from.median > 0 ? to.median / from.median - 1 : 0;
  const [fromLow, fromHigh] = notch(from);
  const [toLow, toHigh] = notch(to);
  const least = Math.min(from.n, to.n) < FEW.rounds ? FEW.least : LEAST;
  const moved = (toLow > fromHigh || toHigh < fromLow) && Math.abs(change) >= least;
  const isWorse = LARGER_IS_BETTER.has(measure) ? change < 0 : change > 0;
  const verdict = moved ? (isWorse ? "worse" : "better") : "same";
  counts[verdict]++;
  if (verdict === "worse" && name === "sansocket") ownWorse++;
  if (!moved && !all) return;
  const ratios = [ratioTo(was, wasResults, measure), ratioTo(result, row.results, measure)];
  const ratio =
    name === REFERENCE || ratios.includes(undefined) ? "" : ratios.map((r) => `${r.toFixed(2)}×`).join(" → ");
  const quantity = (summary) =>
    measure === HEADLINE[row.workload]
      ? formatQuantity(summary.median, UNITS[row.workload])
      : formatBeside(measure, summary);
  told.push([keyOf(row), name, quantity(from), quantity(to), percent(change), moved ? verdict : "", ratio]);
}

if (told.length > 0) {
  const grid = [["", "", "before", "after", "change", "", `against ${REFERENCE}`], ...told];
  const widths = grid[0].map((_, column) => Math.max(...grid.map((row) => row[column].length)));
  for (const row of grid) {
    console.log(
      row
        .map((text, i) => (i < 2 ? text.padEnd(widths[i]) : text.padStart(widths[i])))
        .join("  ")
        .trimEnd(),
    );
  }
}
// Both runs are held to the targets as they are now.
const verdictKey = (verdict) => `${verdict.runtime}  ${verdict.says} ${targetName(verdict)}`;
const verdictsBefore = new Map(verdictsOf(before).map((verdict) => [verdictKey(verdict), verdict.status]));
for (const verdict of verdictsOf(after)) {
  const was = verdictsBefore.get(verdictKey(verdict));
  if (was === undefined || [was, verdict.status].includes("not measured") || was === verdict.status) continue;
  console.log(`target  ${verdictKey(verdict)}: ${was} → ${verdict.status}`);
}
const compared = counts.same + counts.better + counts.worse;
console.log(
  `${compared} figures compared: ${counts.better} better, ${counts.worse} worse, ${counts.same} within the noise.`,
);
if (compared > 0 && counts.better + counts.worse > compared / 2) {
  console.log("Most of them moved: look at the ratios, the machine itself was faster or slower.");
}
process.exitCode = ownWorse > 0 ? 1 : 0;
