import { HEADLINE, UNITS, WORKLOADS } from "../cases.js";
import { REFERENCE } from "../peers/index.js";

/** Nanoseconds or bytes in three digits. */
export function formatQuantity(value, unit) {
  if (unit.startsWith("bytes"))
    return value < 10_000 ? `${value.toFixed(0)} B` : `${(value / 1024).toFixed(1)} KiB`;
  for (const [scale, name] of [
    [1e9, "s"],
    [1e6, "ms"],
    [1e3, "µs"],
  ]) {
    if (value >= scale) return `${(value / scale).toPrecision(3)} ${name}`;
  }
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ns`;
}

/** How many times as good as the reference: over 1 is faster, or smaller. */
export function ratioTo(result, results, measure, reference = REFERENCE) {
  const mine = result?.measures?.[measure]?.median;
  const theirs = results[reference]?.measures?.[measure]?.median;
  return mine > 0 && theirs > 0 ? theirs / mine : undefined;
}

export const formatRatio = (ratio) =>
  ratio === undefined ? "" : `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)}×`;

/** Half the interquartile range, in percent of the median. */
export const spreadOf = ({ median, q1, q3 }) => (median > 0 ? ((q3 - q1) / 2 / median) * 100 : 0);

function cell(result, results, measure, unit, name) {
  if (result === undefined || result.status === "absent") return ["", "", ""];
  if (result.status === "failed") return ["failed", "", ""];
  const summary = result.measures[measure];
  const ratio = name === REFERENCE ? "" : formatRatio(ratioTo(result, results, measure));
  return [formatQuantity(summary.median, unit), `±${spreadOf(summary).toFixed(0)}%`, ratio];
}

export function formatTable({ cases }, runtime) {
  const lines = [];
  for (const workload of WORKLOADS) {
    const rows = cases.filter((row) => row.workload === workload && row.runtime === runtime);
    if (rows.length === 0) continue;
    const measure = HEADLINE[workload];
    const unit = UNITS[workload];
    const peers = [...new Set(rows.flatMap(({ results }) => Object.keys(results)))].filter((name) =>
      rows.some(({ results }) => results[name] !== undefined && results[name].status !== "absent"),
    );
    const what = measure === "cpu" ? "CPU time" : measure;
    lines.push(
      "",
      `${workload} on ${runtime}: ${what}, ${unit}; ± half the interquartile range; × as good as ${REFERENCE}`,
    );
    const grid = [["", ...peers.flatMap((name) => [name, "", ""])]];
    for (const { id, results } of rows) {
      grid.push([id, ...peers.flatMap((name) => cell(results[name], results, measure, unit, name))]);
    }
    // A peer's name stands over its three columns.
    const widths = grid[0].map((_, column) =>
      Math.max(...grid.slice(column === 0 ? 0 : 1).map((row) => row[column].length)),
    );
    for (let i = 0; i < peers.length; i++) {
      const own = widths[3 * i + 1] + widths[3 * i + 2] + widths[3 * i + 3] + 2;
      if (own < peers[i].length) widths[3 * i + 1] += peers[i].length - own;
    }
    grid.forEach((row, r) => {
      let line = row[0].padEnd(widths[0]);
      for (let i = 0; i < peers.length; i++) {
        const columns = [3 * i + 1, 3 * i + 2, 3 * i + 3];
        const width = columns.reduce((sum, column) => sum + widths[column], 2);
        line += "  | ";
        line += r === 0 ? peers[i].padStart(width) : columns.map((c) => row[c].padStart(widths[c])).join(" ");
      }
      lines.push(line.trimEnd());
    });
    for (const { id, results } of rows) {
      for (const [name, { status, error }] of Object.entries(results)) {
        if (status === "failed") lines.push(`failed: ${name}, ${id}: ${error.split("\n")[0]}`);
      }
    }
  }
  return lines.join("\n");
}
