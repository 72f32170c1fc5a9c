import { BESIDE, HEADLINE, LARGER_IS_BETTER, LINEAR, UNITS, WORKLOADS } from "../cases.js";
import { REFERENCE } from "../peers/index.js";

/** Nanoseconds, bytes or times in three digits. */
export function formatQuantity(value, unit) {
  if (unit.startsWith("times")) return `${value.toFixed(2)}×`;
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

/** How many times as good as the reference: over 1 is faster, or smaller, or compresses better. Nothing is better than linear. */
export function ratioTo(result, results, measure, reference = REFERENCE) {
  const mine = result?.measures?.[measure]?.median;
  const theirs = results[reference]?.measures?.[measure]?.median;
  if (measure === "doubling" || !(mine > 0 && theirs > 0)) return undefined;
  return LARGER_IS_BETTER.has(measure) ? mine / theirs : theirs / mine;
}

/** A measure that is told beside the first. */
export function formatBeside(measure, { median }) {
  return measure === "ratio" ? `${median.toFixed(2)}:1` : `${formatQuantity(median, "bytes")} ${measure}`;
}

/** What a growth comes to. What only moves the bytes shows what the caches do to it. */
export function formatGrowth({ linear, stopped }, name) {
  if (name === "limit") return "";
  return `${linear ? "linear" : "NOT LINEAR"}${stopped === undefined ? "" : `, up to ${stopped}`}`;
}

export const formatRatio = (ratio) =>
  ratio === undefined ? "" : `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)}×`;

/** Half the interquartile range, in percent of the median. */
export const spreadOf = ({ median, q1, q3 }) => (median > 0 ? ((q3 - q1) / 2 / median) * 100 : 0);

/** Of a peer in a case: the first measure, its spread, how it compares, and what is told beside it. */
function cell(result, results, workload, name) {
  if (result === undefined || result.status === "absent") return ["", "", "", ""];
  if (result.status === "failed") return ["failed", "", "", ""];
  const measure = HEADLINE[workload];
  const summary = result.measures[measure];
  const ratio = name === REFERENCE ? "" : formatRatio(ratioTo(result, results, measure));
  const beside = BESIDE[workload];
  return [
    formatQuantity(summary.median, UNITS[workload]),
    `±${spreadOf(summary).toFixed(0)}%`,
    workload === "growth" ? formatGrowth(result, name) : ratio,
    beside === undefined ? "" : formatBeside(beside, result.measures[beside]),
  ];
}

/** What the figures of a workload's table are. */
export function legendOf(workload) {
  if (workload === "growth") return `${UNITS[workload]}; linear is at most ${LINEAR}×`;
  const measure = HEADLINE[workload];
  const beside = { ratio: "payload to bytes on the wire", rss: "RSS", heap: "heap" }[BESIDE[workload]];
  const what = { cpu: "CPU time", heap: "heap", rss: "RSS" }[measure];
  return `${what}, ${UNITS[workload]}; ± half the interquartile range; × as good as ${REFERENCE}${beside === undefined ? "" : `; ${beside}`}`;
}

export function formatTable({ cases }, runtime) {
  const lines = [];
  for (const workload of WORKLOADS) {
    const rows = cases.filter((row) => row.workload === workload && row.runtime === runtime);
    if (rows.length === 0) continue;
    const peers = [...new Set(rows.flatMap(({ results }) => Object.keys(results)))].filter((name) =>
      rows.some(({ results }) => results[name] !== undefined && results[name].status !== "absent"),
    );
    lines.push("", `${workload} on ${runtime}: ${legendOf(workload)}`);
    const grid = [["", ...peers.flatMap((name) => [name, "", "", ""])]];
    for (const { id, results } of rows) {
      grid.push([id, ...peers.flatMap((name) => cell(results[name], results, workload, name))]);
    }
    // A peer's name stands over its four columns, of which the last may be empty.
    const widths = grid[0].map((_, column) =>
      Math.max(...grid.slice(column === 0 ? 0 : 1).map((row) => row[column].length)),
    );
    const columnsOf = (i) => [1, 2, 3, 4].map((c) => 4 * i + c).filter((c) => widths[c] > 0);
    const widthOf = (i) => columnsOf(i).reduce((sum, c) => sum + widths[c] + 1, -1);
    for (let i = 0; i < peers.length; i++) {
      const columns = columnsOf(i);
      widths[columns[0] ?? 4 * i + 1] += Math.max(0, peers[i].length - widthOf(i));
    }
    grid.forEach((row, r) => {
      let line = row[0].padEnd(widths[0]);
      for (let i = 0; i < peers.length; i++) {
        line += "  | ";
        line +=
          r === 0
            ? peers[i].padStart(widthOf(i))
            : columnsOf(i)
                .map((c) => row[c].padStart(widths[c]))
                .join(" ");
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
