// What sansocket is to reach, and what of it a run shows.
//
// A target is held by the worst of the cases that it matches: `where` names fields of a case's spec, with a value or all that it may be.
// `atLeast`: so many times as good as the peer `against`. `atMost`: not more than so many times what that peer costs; without a peer, not
// more than that itself, in the measure's own unit.

import { HEADLINE, LARGER_IS_BETTER, LINEAR, UNITS } from "./cases.js";
import { notch } from "./lib/stats.js";
import { formatQuantity, formatRatio } from "./lib/table.js";

/** Which form results have. */
export const FORMAT = 3;

/** The peer that is held to them. */
export const OWN = "sansocket";

const SMALL = [0, 16, 125];
const BIG = [16384, 65536, 1048576];
const UP_TO_16K = [...SMALL, 1024, 16384];
const BUSY = { connections: 64, inFlight: 16, size: 125 };
const NODE = ["node", "node-latest"];

const parse = { workload: "parse", runtimes: NODE, against: "ws" };
const whole = { fragments: 1, chunks: 65536, touched: true };
const server = { role: "server", kind: "binary", ...whole };
const encode = { workload: "encode", runtimes: NODE, against: "ws" };
const echo = { workload: "echo", runtimes: NODE };
const growth = { workload: "growth", runtimes: NODE, atMost: LINEAR };
const compress = { workload: "compress", runtimes: NODE, against: "ws" };

export const TARGETS = [
  ...["server", "client"].flatMap((role) => {
    const frames = role === "server" ? "masked" : "unmasked";
    const where = { ...server, role };
    const kind = ["ascii", "chinese"];
    return [
      {
        ...parse,
        says: `parse binary, ${frames}, 0–125 B, touched`,
        where: { ...where, size: SMALL },
        atLeast: 5,
      },
      {
        ...parse,
        says: `parse binary, ${frames}, 0–125 B, untouched`,
        where: { ...where, touched: false, size: SMALL },
        atLeast: 8,
      },
      { ...parse, says: `parse binary, ${frames}, 1 KiB`, where: { ...where, size: 1024 }, atLeast: 2.5 },
      { ...parse, says: `parse binary, ${frames}, 16 KiB`, where: { ...where, size: 16384 }, atLeast: 1.2 },
      { ...parse, says: `parse binary, ${frames}, 64 KiB`, where: { ...where, size: 65536 }, atLeast: 1.5 },
      { ...parse, says: `parse binary, ${frames}, 1 MiB`, where: { ...where, size: 1048576 }, atLeast: 1.2 },
      {
        ...parse,
        says: `parse text, ${frames}, 16–125 B`,
        where: { ...where, kind, size: [16, 125] },
        atLeast: 3.5,
      },
      { ...parse, says: `parse text, ${frames}, 1 KiB`, where: { ...where, kind, size: 1024 }, atLeast: 2 },
      {
        ...parse,
        says: `parse text, ${frames}, 16 KiB and up`,
        where: { ...where, kind, size: BIG },
        atLeast: 1.2,
      },
    ];
  }),
  {
    ...parse,
    says: "parse binary, masked, 125 B and up",
    where: { ...server, size: [125, 1024, ...BIG] },
    against: "ws-no-bufferutil",
    atLeast: 5,
  },
  {
    ...parse,
    says: "parse, 1460 B chunks, up to 16 KiB",
    where: { chunks: 1460, size: UP_TO_16K },
    atLeast: 2,
  },
  { ...parse, says: "parse, 1 B chunks", where: { chunks: 1 }, atLeast: 3 },
  { ...encode, says: "encode, client, up to 125 B", where: { role: "client", size: SMALL }, atLeast: 3 },
  { ...encode, says: "encode, server, up to 125 B", where: { role: "server", size: SMALL }, atLeast: 2.3 },
  { ...encode, says: "encode, any size", where: {}, atLeast: 1 },
  ...[
    { against: "ws", atLeast: 5 },
    { against: "net", atMost: 1.4 },
  ].map((bound) => ({
    ...echo,
    says: "echo, 64 connections, 16 in flight, 125 B",
    where: BUSY,
    ...bound,
  })),
  ...[
    { against: "ws", atLeast: 1 },
    { against: "net", atMost: 1.2 },
  ].map((bound) => ({
    ...echo,
    says: "echo, one in flight, 125 B",
    where: { inFlight: 1, size: 125 },
    ...bound,
  })),
  // Where messages are in flight: with one, all of them cost what the system's calls cost, and nobody is four times another.
  {
    ...echo,
    says: "echo on Bun, 16 in flight",
    runtimes: ["bun"],
    where: BUSY,
    against: "bun-serve",
    atMost: 1.3,
  },
  {
    ...echo,
    says: "echo on Deno, 16 in flight",
    runtimes: ["deno"],
    where: BUSY,
    against: "deno-serve",
    atLeast: 4,
  },
  {
    workload: "memory",
    says: "idle connection, the protocol's heap",
    runtimes: NODE,
    where: { place: "core" },
    atMost: 500,
  },
  {
    workload: "broadcast",
    says: "broadcast to 1,000 peers, single",
    runtimes: NODE,
    where: { burst: 1 },
    against: "net",
    atMost: 1.15,
  },
  {
    workload: "broadcast",
    says: "broadcast to 1,000 peers, bursts of 16",
    runtimes: NODE,
    where: { burst: 16 },
    against: "ws",
    atLeast: 4,
  },
  { ...growth, says: "twice the messages in a chunk", where: { axis: "messages" } },
  { ...growth, says: "a message twice as large", where: { axis: "size" } },
  { ...growth, says: "twice the fragments", where: { axis: "fragments" } },
  { ...growth, says: "twice the chunks of a size", where: { axis: "chunks" } },
  { ...growth, says: "the same message in twice the chunks", where: { axis: "cuts" } },
  { ...compress, says: "inflate, 200 B", where: { direction: "inflate", size: 200 }, atLeast: 8 },
  { ...compress, says: "inflate, 2 KiB", where: { direction: "inflate", size: 2048 }, atLeast: 3 },
  { ...compress, says: "inflate, 64 KiB", where: { direction: "inflate", size: 65536 }, atLeast: 1.3 },
  { ...compress, says: "deflate, 200 B", where: { direction: "deflate", size: 200 }, atLeast: 4 },
  { ...compress, says: "deflate, 2 KiB", where: { direction: "deflate", size: 2048 }, atLeast: 1.2 },
  { ...compress, says: "deflate, 64 KiB", where: { direction: "deflate", size: 65536 }, atLeast: 1 },
  {
    ...compress,
    says: "compression itself (zlib's level 6 is what ws uses)",
    where: { direction: "deflate" },
    measure: "ratio",
    atLeast: 0.98,
  },
  ...[false, true].map((takeover) => ({
    workload: "windows",
    says: `memory after a compressed message, ${takeover ? "with" : "without"} takeover`,
    runtimes: NODE,
    where: { deflate: { takeover } },
    against: "ws",
    atLeast: takeover ? 2 : 4,
  })),
];

/** Whether a spec has the fields that a target names. */
export function matches(where, spec) {
  return Object.entries(where).every(([field, wanted]) => {
    const value = spec[field];
    if (Array.isArray(wanted)) return wanted.includes(value);
    if (typeof wanted === "object") return typeof value === "object" && matches(wanted, value);
    return value === wanted;
  });
}

/** Of two medians, and where it lies with 95 %: both are off, but hardly both as far as they can be, and in opposite directions. */
function quotient(above, below) {
  const off = (summary) => (notch(summary)[1] - summary.median) / summary.median;
  const value = above.median / below.median;
  const widest = 1 + Math.hypot(off(above), off(below));
  return { value, low: value / widest, high: value * widest };
}

/** One case against a target: undefined where there is nothing to be told. */
function told(target, { id, results }) {
  const measure = target.measure ?? HEADLINE[target.workload];
  const own = results[OWN];
  if (own === undefined || own.status === "absent") return undefined;
  if (own.status === "failed") return { id, error: own.error };
  const mine = own.measures[measure];
  if (target.against === undefined) {
    const [low, high] = notch(mine);
    return { id, value: mine.median, low, high };
  }
  const other = results[target.against];
  if (other?.status !== "ok") return undefined;
  const theirs = other.measures[measure];
  const isInverse = (target.atMost !== undefined) !== LARGER_IS_BETTER.has(measure);
  if (mine.median === 0 || theirs.median === 0) return undefined;
  const reached = isInverse ? quotient(mine, theirs) : quotient(theirs, mine);
  // How far one can get: what moves the bytes and does nothing else; and what keeps the contract, and does nothing else. Over sockets a bare
  // one stands for both: no server does less.
  const limit = (results.limit ?? results.net)?.measures?.[measure];
  const least = (results.least ?? results.net)?.measures?.[measure];
  if (target.atLeast === undefined) return { id, ...reached };
  const told = { id, ...reached };
  if (limit?.median > 0) told.limit = theirs.median / limit.median;
  if (least?.median > 0) told.least = theirs.median / least.median;
  return told;
}

/**
 * Every target that has to do with the runtimes of a run: `status` "reached", "missed", "open" (missed by less than the noise: the interval
 * from `low` to `high` has the target), "failed", or "not measured".
 * @param {{ runtimes: object, cases: { runtime: string, workload: string, id: string, spec: object, results: object }[] }} results
 * @returns {{ runtime: string, workload: string, says: string, against?: string, atLeast?: number, atMost?: number, status: string,
 *   value?: number, low?: number, high?: number, limit?: number, least?: number, leastReachesIn?: number, worst?: string, of?: number, reachedIn?: number }[]}
 */
export function verdictsOf({ runtimes, cases }) {
  const verdicts = [];
  for (const runtime of Object.keys(runtimes)) {
    for (const target of TARGETS) {
      if (!target.runtimes.includes(runtime)) continue;
      const { workload, says, where, against, atLeast, atMost } = target;
      const verdict = { runtime, workload, says, against, atLeast, atMost };
      const all = cases
        .filter((row) => row.runtime === runtime && row.workload === workload && matches(where, row.spec))
        .map((row) => told(target, row))
        .filter((one) => one !== undefined);
      const failed = all.find(({ error }) => error !== undefined);
      if (all.length === 0) verdicts.push({ ...verdict, status: "not measured" });
      else if (failed !== undefined) verdicts.push({ ...verdict, status: "failed", worst: failed.id });
      else {
        const sign = atLeast === undefined ? -1 : 1;
        const { id, ...worst } = all.reduce((a, b) => (sign * b.value < sign * a.value ? b : a));
        const reaches = (ratio) => sign * ratio >= sign * (atLeast ?? atMost);
        const reached = reaches(worst.value);
        const open = reaches(sign > 0 ? worst.high : worst.low);
        const status = reached ? "reached" : open ? "open" : "missed";
        const bounds = all.map(({ least }) => least).filter((one) => one !== undefined);
        if (bounds.length > 0) {
          worst.least = Math.min(...bounds); // of the same cases its own worst
          worst.leastReachesIn = bounds.filter(reaches).length;
        }
        const reachedIn = all.filter(({ value: ratio }) => reaches(ratio)).length;
        verdicts.push({ ...verdict, status, ...worst, worst: id, of: all.length, reachedIn });
      }
    }
  }
  return verdicts;
}

const inUnit = ({ workload, against }, value) =>
  against === undefined ? formatQuantity(value, UNITS[workload]) : formatRatio(value);

/** "≥ 5× ws", "≤ 1.4× net", "≤ 500 B" */
export const targetName = (verdict) =>
  `${verdict.atLeast === undefined ? "≤" : "≥"} ` +
  [
    verdict.against === undefined ? inUnit(verdict, verdict.atMost) : `${verdict.atLeast ?? verdict.atMost}×`,
    verdict.against,
  ]
    .filter(Boolean)
    .join(" ");

/** Cells of text: what, target, measured, its interval, how far one can get, the verdict, and in which case. */
export function verdictCells(verdict) {
  const { says, status, value, low, high, limit, least, worst, of, reachedIn } = verdict;
  const measured = value === undefined ? "" : inUnit(verdict, value);
  const interval = value === undefined ? "" : `${inUnit(verdict, low)} – ${inUnit(verdict, high)}`;
  const which =
    worst === undefined ? "" : of > 1 ? `worst of ${of}, ${reachedIn} of which reach it: ${worst}` : worst;
  return [
    says,
    targetName(verdict),
    measured,
    interval,
    formatRatio(limit),
    formatRatio(least),
    status,
    which,
  ];
}

export const VERDICT_HEAD = ["", "target", "measured", "95 %", "limit", "least", "verdict", "case"];

/** The table at the end of a run. */
export function formatVerdicts(verdicts, runtime) {
  const rows = verdicts.filter((verdict) => verdict.runtime === runtime && verdict.status !== "not measured");
  const unmeasured = verdicts.filter(
    (verdict) => verdict.runtime === runtime && verdict.status === "not measured",
  );
  const lines = [];
  if (rows.length > 0) {
    const grid = [VERDICT_HEAD, ...rows.map(verdictCells)];
    const widths = VERDICT_HEAD.map((_, column) => Math.max(...grid.map((row) => row[column].length)));
    const isLeft = (column) => column === 0 || column > 5;
    lines.push("", `against the targets on ${runtime}`);
    for (const row of grid) {
      const cells = row.map((text, i) => (isLeft(i) ? text.padEnd(widths[i]) : text.padStart(widths[i])));
      lines.push(cells.join("  ").trimEnd());
    }
  }
  if (rows.length > 0 && unmeasured.length > 0) {
    lines.push(`${unmeasured.length} targets were not measured.`);
  }
  return lines.join("\n");
}
