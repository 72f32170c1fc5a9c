// The results as one page that needs nothing else: plots in SVG, and the tables behind them.

import { BESIDE, HEADLINE, sizeName, stepName, UNITS, WORKLOADS } from "../cases.js";
import { REFERENCE } from "../peers/index.js";
import { VERDICT_HEAD, verdictCells } from "../targets.js";
import { formatSize } from "./frames.js";
import {
  formatBeside,
  formatGrowth,
  formatQuantity,
  formatRatio,
  legendOf,
  ratioTo,
  spreadOf,
} from "./table.js";

const COLOURS = {
  sansocket: "#1f6feb",
  ws: "#d9730d",
  "ws-no-bufferutil": "#e0a458",
  "websocket-driver": "#2da44e",
  websocket: "#8250df",
  undici: "#0a9396",
  "bun-serve": "#d6336c",
  "deno-serve": "#5c6b2f",
  limit: "#888888",
  net: "#888888",
};
const DASHED = new Set(["ws-no-bufferutil", "limit", "net"]);

const WIDTH = 520;
const HEIGHT = 300;
const MARGIN = { left: 56, right: 12, top: 12, bottom: 40 };

const escape = (text) =>
  String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** Round values of a logarithmic axis between two values: 1, 2, 5 where there is room, else powers of ten. */
function ticks(low, high) {
  const decades = Math.log10(high / low);
  const steps = decades < 1.2 ? [1, 1.5, 2, 3, 5, 7] : decades < 3 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) {
      const value = step * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  return found;
}

const plain = (value) =>
  value >= 1e6
    ? `${Number((value / 1e6).toPrecision(3))}M`
    : value >= 1e4
      ? `${Number((value / 1000).toPrecision(3))}k`
      : String(Number(value.toPrecision(3)));

/**
 * A plot with two logarithmic axes.
 * @param {{ xs: number[], xName: string, xFormat: (x: number) => string, yName: string, line?: number,
 *   series: { name: string, points: { x: number, y: number, low: number, high: number, says: string }[] }[] }} plot
 */
function plotOf({ xs, xName, xFormat, yName, series, line }) {
  const ys = series.flatMap(({ points }) => points.map(({ y }) => y));
  if (line !== undefined) ys.push(line);
  const low = Math.min(...ys) / 1.15;
  const high = Math.max(...ys) * 1.15;
  const right = WIDTH - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const [first, last] = [Math.log(xs[0]), Math.log(xs[xs.length - 1])];
  const placeX = (x) =>
    MARGIN.left +
    8 +
    (last === first ? 0.5 : (Math.log(x) - first) / (last - first)) * (right - MARGIN.left - 16);
  const placeY = (y) =>
    bottom -
    (Math.log(Math.min(high, Math.max(low, y)) / low) / Math.log(high / low)) * (bottom - MARGIN.top);
  const at = (value) => value.toFixed(1);
  const out = [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(`${yName} over ${xName}`)}">`,
  ];
  for (const value of ticks(low, high)) {
    const y = at(placeY(value));
    out.push(
      `<line class="grid" x1="${MARGIN.left}" x2="${right}" y1="${y}" y2="${y}"/>`,
      `<text class="tick" x="${MARGIN.left - 6}" y="${y}" dy="0.32em" text-anchor="end">${plain(value)}</text>`,
    );
  }
  for (const value of xs) {
    const x = at(placeX(value));
    out.push(
      `<line class="grid" x1="${x}" x2="${x}" y1="${MARGIN.top}" y2="${bottom}"/>`,
      `<text class="tick" x="${x}" y="${bottom + 15}" text-anchor="middle">${escape(xFormat(value))}</text>`,
    );
  }
  out.push(
    `<text class="name" x="${at((MARGIN.left + right) / 2)}" y="${HEIGHT - 6}" text-anchor="middle">${escape(xName)}</text>`,
    `<text class="name" transform="translate(12 ${at((MARGIN.top + bottom) / 2)}) rotate(-90)" text-anchor="middle">${escape(yName)}</text>`,
  );
  if (line !== undefined) {
    const y = at(placeY(line));
    out.push(`<line class="one" x1="${MARGIN.left}" x2="${right}" y1="${y}" y2="${y}"/>`);
  }
  for (const { name, points } of series) {
    const colour = COLOURS[name] ?? "#666666";
    const dash = DASHED.has(name) ? ' stroke-dasharray="4 3"' : "";
    const path = points
      .map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${at(placeX(x))} ${at(placeY(y))}`)
      .join("");
    const width = name === "sansocket" ? 2.5 : 1.5;
    out.push(
      `<g stroke="${colour}" fill="${colour}"><path d="${path}" fill="none" stroke-width="${width}"${dash}/>`,
    );
    for (const { x, y, low: from, high: to, says } of points) {
      const cx = at(placeX(x));
      out.push(
        `<line x1="${cx}" x2="${cx}" y1="${at(placeY(from))}" y2="${at(placeY(to))}" opacity="0.5"/>`,
        `<circle cx="${cx}" cy="${at(placeY(y))}" r="3"><title>${escape(`${name}, ${says}`)}</title></circle>`,
      );
    }
    out.push("</g>");
  }
  return `${out.join("")}</svg>`;
}

function legend(names) {
  const keys = names.map((name) => {
    const dash = DASHED.has(name) ? "dashed" : "solid";
    return `<span class="key"><i style="border-top:3px ${dash} ${COLOURS[name] ?? "#666666"}"></i>${escape(name)}</span>`;
  });
  return `<p class="legend">${keys.join(" ")}</p>`;
}

function figure(title, plot) {
  const series = plot.series.filter(({ points }) => points.length > 0);
  if (series.length === 0) return "";
  return `<figure><figcaption>${escape(title)}</figcaption>${plotOf({ ...plot, series })}${legend(series.map(({ name }) => name))}</figure>`;
}

/** Cases that differ in one field alone, in the order of that field. */
function groupsBy(cases, field, least) {
  const groups = new Map();
  for (const row of cases) {
    if (!(row.spec[field] > 0)) continue;
    const key = JSON.stringify({ ...row.spec, [field]: undefined });
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()]
    .filter((group) => group.length >= least)
    .map((group) => group.sort((a, b) => a.spec[field] - b.spec[field]));
}

const peersOf = (rows) => [...new Set(rows.flatMap(({ results }) => Object.keys(results)))];

/** One line for each peer; `pick` makes a point of a result, or nothing. */
function seriesOf(rows, field, pick) {
  return peersOf(rows).map((name) => ({
    name,
    points: rows.flatMap((row) => {
      const result = row.results[name];
      const point = result?.status === "ok" ? pick(result, row, name) : undefined;
      return point === undefined ? [] : [{ x: row.spec[field], ...point }];
    }),
  }));
}

function throughputPlots(cases, workload) {
  return groupsBy(cases, "size", 3).map((rows) => {
    const title = `${workload}: ${rows[0].id.replace(/ \d+ (Ki|Mi)?B,/, "")}`;
    const size = { xs: rows.map(({ spec }) => spec.size), xName: "bytes in a message", xFormat: formatSize };
    const speed = seriesOf(rows, "size", ({ measures: { cpu } }, { spec }) => {
      const perSecond = (time) => (spec.size / time) * 1000;
      const y = perSecond(cpu.median);
      const says = `${formatSize(spec.size)}: ${plain(y)} MB/s, ${formatQuantity(cpu.median, "ns")}`;
      return { y, low: perSecond(cpu.q3), high: perSecond(cpu.q1), says };
    });
    return (
      figure(`${title}: throughput`, { ...size, yName: "MB of payload per second of CPU", series: speed }) +
      ratioFigure(`${title}: against ${REFERENCE}`, rows, "size", size)
    );
  });
}

function ratioFigure(title, rows, field, axis) {
  const series = seriesOf(rows, field, (result, { results, spec }, name) => {
    const ratio = ratioTo(result, results, "cpu");
    if (ratio === undefined || name === "limit") return undefined;
    const { median, q1, q3 } = result.measures.cpu;
    const says = `${axis.xFormat(spec[field])}: ${formatRatio(ratio)}`;
    return { y: ratio, low: (ratio * median) / q3, high: (ratio * median) / q1, says };
  });
  if (!rows.some(({ results }) => results[REFERENCE]?.status === "ok")) return "";
  return figure(title, { ...axis, yName: `times as fast as ${REFERENCE}`, series, line: 1 });
}

function echoPlots(cases) {
  return groupsBy(cases, "inFlight", 2).map((rows) => {
    const { connections, size } = rows[0].spec;
    const title = `echo: ${connections} connections, ${sizeName(size)}`;
    const axis = {
      xs: rows.map(({ spec }) => spec.inFlight),
      xName: "messages in flight on each",
      xFormat: String,
    };
    const cost = seriesOf(rows, "inFlight", ({ measures: { cpu } }, { spec }) => ({
      y: cpu.median / 1000,
      low: cpu.q1 / 1000,
      high: cpu.q3 / 1000,
      says: `${spec.inFlight} in flight: ${formatQuantity(cpu.median, "ns")}`,
    }));
    return (
      figure(`${title}: cost of a message`, {
        ...axis,
        yName: "µs of the server's CPU per message",
        series: cost,
      }) + ratioFigure(`${title}: against ${REFERENCE}`, rows, "inFlight", axis)
    );
  });
}

/** The cost of each step per unit of what grows: level where it is linear. */
function growthPlots(cases) {
  return cases.map(({ id, spec, results }) => {
    const { axis, steps } = spec;
    const per = { messages: "message", size: "KiB", fragments: "fragment", chunks: "chunk", cuts: "chunk" }[
      axis
    ];
    const scale = axis === "size" ? 1024 : 1;
    const series = Object.entries(results).map(([name, result]) => ({
      name,
      points: (result.steps ?? []).map(({ step, cpu, doubling }) => {
        const one = (time) => (time / step) * scale;
        const twice =
          doubling === undefined ? "" : `, ${formatQuantity(doubling.median, "times")} for twice as much`;
        const says = `${stepName(axis, step)}: ${formatQuantity(one(cpu.median), "ns")} for each ${per}${twice}`;
        return { x: step, y: one(cpu.median), low: one(cpu.q1), high: one(cpu.q3), says };
      }),
    }));
    return figure(`growth: ${id}`, {
      xs: steps,
      xName: axis === "size" ? "bytes in the message" : axis === "cuts" ? "chunks" : axis,
      xFormat: formatSize,
      yName: `ns of CPU per ${per}`,
      series,
    });
  });
}

function htmlTable(rows, workload) {
  const names = peersOf(rows).filter((name) =>
    rows.some(({ results }) => results[name] !== undefined && results[name].status !== "absent"),
  );
  const measure = HEADLINE[workload];
  const beside = BESIDE[workload];
  const head = names.map((name) => `<th>${escape(name)}</th>`).join("");
  const body = rows.map(({ id, results }) => {
    const cells = names.map((name) => {
      const result = results[name];
      if (result === undefined || result.status === "absent") return "<td></td>";
      if (result.status === "failed") return `<td class="failed" title="${escape(result.error)}">failed</td>`;
      const summary = result.measures[measure];
      const others = Object.entries(result.measures)
        .filter(([other]) => other !== measure)
        .map(([other, { median }]) =>
          other === "ratio"
            ? `${median.toFixed(2)}:1`
            : `${other} ${formatQuantity(median, UNITS[workload])}`,
        );
      const title = [...others, `${summary.n} rounds`].join(", ");
      const ratio = name === REFERENCE ? "" : formatRatio(ratioTo(result, results, measure));
      const more =
        beside === undefined ? "" : ` <small>${formatBeside(beside, result.measures[beside])}</small>`;
      return (
        `<td title="${escape(title)}">${formatQuantity(summary.median, UNITS[workload])} ` +
        `<small>±${spreadOf(summary).toFixed(0)}%</small> ` +
        `<b>${workload === "growth" ? formatGrowth(result, name) : ratio}</b>${more}</td>`
      );
    });
    return `<tr><th>${escape(id)}</th>${cells.join("")}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr><th></th>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

/** What was to be reached, and what was: only what was measured. */
function targetTable(verdicts) {
  const measured = verdicts.filter(({ status }) => status !== "not measured");
  if (measured.length === 0) return "";
  const rows = measured.map((verdict) => {
    const [says, ...cells] = verdictCells(verdict);
    const last = cells.length - 1;
    const tds = cells.map((text, i) => {
      const kind = i === last ? ' class="case"' : i === last - 1 ? ` class="${verdict.status}"` : "";
      return `<td${kind}>${escape(text)}</td>`;
    });
    return `<tr><th>${escape(says)}</th>${tds.join("")}</tr>`;
  });
  const head = VERDICT_HEAD.map(
    (text) => `<th${text === "case" ? ' class="case"' : ""}>${escape(text)}</th>`,
  ).join("");
  return (
    "<h3>Against the targets</h3>" +
    `<p>Times as good (≥), or times the cost (≤), in the worst case that the target is about; where that lies with 95 %; and the same for
what only moves the bytes. “open”: missed by less than the noise.</p>` +
    `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`
  );
}

/** Bars from nothing: for what has no axis to be drawn over. */
function barPlots(cases, workload) {
  const measure = HEADLINE[workload];
  const step = 24;
  const left = 130;
  const room = WIDTH - left - 90;
  return cases.map(({ id, results }) => {
    const bars = Object.entries(results).flatMap(([name, { status, measures }]) =>
      status === "ok" ? [{ name, ...measures[measure] }] : [],
    );
    const most = Math.max(...bars.map(({ q3 }) => q3));
    if (bars.length === 0 || !(most > 0)) return "";
    const place = (value) => (left + (value / most) * room).toFixed(1);
    const rows = bars.map(({ name, median, q1, q3 }, i) => {
      const y = i * step + 4;
      const middle = y + step / 2 - 3;
      const colour = COLOURS[name] ?? "#666666";
      return (
        `<text class="name" x="${left - 8}" y="${middle}" dy="0.32em" text-anchor="end">${escape(name)}</text>` +
        `<rect x="${left}" y="${y}" width="${((median / most) * room).toFixed(1)}" height="${step - 6}" fill="${colour}"/>` +
        `<line class="one" x1="${place(q1)}" x2="${place(q3)}" y1="${middle}" y2="${middle}"/>` +
        `<text class="tick" x="${Number(place(q3)) + 6}" y="${middle}" dy="0.32em">${formatQuantity(median, UNITS[workload])}</text>`
      );
    });
    const what = escape(`${measure}, ${UNITS[workload]}`);
    return (
      `<figure><figcaption>${escape(`${workload}: ${id}`)}</figcaption>` +
      `<svg viewBox="0 0 ${WIDTH} ${bars.length * step + 24}" role="img" aria-label="${what}">${rows.join("")}` +
      `<text class="name" x="${left}" y="${bars.length * step + 16}">${what}</text></svg></figure>`
    );
  });
}

const PLOTS = {
  broadcast: (rows) => barPlots(rows, "broadcast"),
  handshakes: (rows) => barPlots(rows, "handshakes"),
  memory: (rows) => barPlots(rows, "memory"),
  windows: (rows) => barPlots(rows, "windows"),
  parse: (rows) => throughputPlots(rows, "parse"),
  encode: (rows) => throughputPlots(rows, "encode"),
  compress: (rows) => throughputPlots(rows, "compress"),
  growth: growthPlots,
  echo: echoPlots,
};

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --dim: #687076; --rule: #d9dde1; --back: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --dim: #9ba1a6; --rule: #3a3f44; --back: #151718; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 1140px;
  margin: 2rem auto; padding: 0 1rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); gap: 1.5rem; }
figure { margin: 0; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } .grid { stroke: var(--rule); stroke-width: 0.6; } .one { stroke: var(--ink); }
.tick, .name { font-size: 11px; fill: var(--dim); } .name { fill: var(--ink); }
.legend { margin: 0; font-size: 13px; } .key { white-space: nowrap; margin-right: 0.8em; }
.key i { display: inline-block; width: 1.6em; margin-right: 0.4em; vertical-align: middle; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
tbody th { font-weight: 400; text-align: left; } small { color: var(--dim); } .failed, .missed { color: #d1242f; font-weight: 600; }
.reached { color: #2da44e; font-weight: 600; } .open { color: #d9730d; font-weight: 600; } td.case { color: var(--dim); white-space: normal; } .case { text-align: left; }`;

/** Which runs the cases are of: each with its workloads, where there are several. */
function runsOf(rows) {
  const workloads = new Map();
  for (const { run, workload } of rows) {
    const { date, mode, commit, changed, environment = [] } = run;
    const source = commit === undefined ? "" : `, commit ${commit}${changed ? " with changes to src/" : ""}`;
    const says = [`${date.slice(0, 10)}, ${mode} run${source}`, ...environment].join(", ");
    if (!workloads.has(says)) workloads.set(says, new Set());
    workloads.get(says).add(workload);
  }
  if (workloads.size === 1) return [...workloads.keys()].map((says) => `${says}.`);
  return [...workloads].map(([says, names]) => `${says}: ${[...names].join(", ")}.`);
}

export function formatReport(results) {
  const { machine, runtimes } = results;
  const sections = [];
  for (const [runtime, { version, peers }] of Object.entries(runtimes)) {
    const own = results.cases.filter((row) => row.runtime === runtime);
    if (own.length === 0) continue;
    const versions = Object.entries(peers).filter(([, text]) => text !== "");
    sections.push(
      `<h2>${escape(runtime)} ${escape(version)}</h2>`,
      `<p>${runsOf(own).map(escape).join(" ")} ${versions.map(([name, text]) => `${escape(name)} ${escape(text)}`).join("; ")}</p>`,
    );
    sections.push(targetTable((results.verdicts ?? []).filter((verdict) => verdict.runtime === runtime)));
    for (const workload of WORKLOADS) {
      const rows = own.filter((row) => row.workload === workload);
      if (rows.length === 0) continue;
      const plots = PLOTS[workload]?.(rows) ?? [];
      sections.push(
        `<h3>${workload}</h3><div class="plots">${plots.join("")}</div>`,
        `<p>${legendOf(workload)}.</p>`,
        htmlTable(rows, workload),
      );
    }
  }
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Frame throughput</title><style>${STYLE}</style></head>
<body>
<h1>Frame throughput</h1>
<p>${escape(machine.cpu)}, ${machine.cores} cores, ${escape(machine.memory)}, ${escape(machine.system)}.
All peers of a case were interleaved round by round, each in a process of its own; a peer that did not deliver every byte is marked as failed and was not timed.
Whiskers are quartiles. Compare what stands in one run, not what stands in two.</p>
${sections.join("\n")}
</body>
</html>
`;
}
