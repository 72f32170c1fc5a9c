// The README's figures and the page of targets: made of the committed result set, never typed. `node scripts/bench-readme.js` writes them.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";

import { HEADLINE } from "../bench/cases.js";
import { formatRatio } from "../bench/lib/table.js";
import { matches, targetName, verdictsOf } from "../bench/targets.js";

const README = new URL("../README.md", import.meta.url);
const RESULTS = new URL("../docs/bench/results.json", import.meta.url);
const TARGETS_PAGE = new URL("../docs/bench/targets.md", import.meta.url);
const PLACE = /(<!-- bench -->\n)[^]*?(\n<!-- \/bench -->)/;
const COMPRESSION_PLACE = /(<!-- bench:compression -->\n)[^]*?(<!-- \/bench:compression -->)/;

/** The committed result set; undefined as long as there is none. */
export const readResults = () =>
  existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, "utf8")) : undefined;

const NO_RESULTS = "No result set is committed yet, so this page quotes none.";

const whole = { chunks: 65536, fragments: 1, touched: true };
const receive = (says, size, kind, role = "server") => ({
  says,
  workload: "parse",
  where: { ...whole, role, kind, size },
});
const send = (says, size, role) => ({
  says,
  workload: "encode",
  where: { role, kind: "binary", size, perTurn: 16 },
});
const echo = (says, connections, inFlight, size) => ({
  says,
  workload: "echo",
  where: { connections, inFlight, size },
});

/** What a newcomer asks for. What is slower than ws is counted below the table, whatever stands in it. */
const HEADLINES = [
  receive("a server receives messages of 16 B", 16, "binary"),
  receive("… of 125 B", 125, "binary"),
  receive("… of 1 KiB", 1024, "binary"),
  receive("… of 16 KiB", 16384, "binary"),
  receive("… of 64 KiB", 65536, "binary"),
  receive("… of 1 MiB", 1048576, "binary"),
  receive("texts of 125 B, ASCII", 125, "ascii"),
  receive("texts of 1 KiB, Chinese", 1024, "chinese"),
  receive("a client receives messages of 125 B", 125, "binary", "client"),
  send("a server sends messages of 125 B", 125, "server"),
  send("… of 64 KiB", 65536, "server"),
  send("a client sends messages of 125 B", 125, "client"),
  send("… of 64 KiB", 65536, "client"),
  echo("an echo server, 64 connections, one message of 125 B in flight", 64, 1, 125),
  echo("… 16 messages in flight", 64, 16, 125),
  echo("… 4 messages of 16 KiB in flight", 64, 4, 16384),
  {
    says: "one message sent to 1,000 peers",
    workload: "broadcast",
    where: { connections: 1000, burst: 1, size: 125 },
  },
  { says: "… 16 in a turn", workload: "broadcast", where: { connections: 1000, burst: 16, size: 125 } },
  { says: "an opening handshake, 16 at a time", workload: "handshakes", where: { connections: 16 } },
];

/** How many times as good as `ws` a case went; undefined where one of both has no figure. */
function timesAsFast({ workload, results }) {
  const [mine, theirs] = ["sansocket", "ws"].map(
    (peer) => results[peer]?.measures?.[HEADLINE[workload]]?.median,
  );
  return mine > 0 && theirs > 0 ? theirs / mine : undefined;
}

/** What was slower than `ws`, counted, and the worst of it. */
function slower(results, runtime) {
  const compared = results.cases
    .filter((row) => row.runtime === runtime && HEADLINE[row.workload] === "cpu")
    .map((row) => ({ name: `${row.workload}: ${row.id}`, ratio: timesAsFast(row) }))
    .filter(({ ratio }) => ratio !== undefined)
    .sort((a, b) => a.ratio - b.ratio);
  const count = compared.filter(({ ratio }) => ratio < 1).length;
  const worst =
    count > 0 ? `, the worst of them “${compared[0].name}” (${formatRatio(compared[0].ratio)})` : "";
  return `in ${count} of ${compared.length} cases on Node ${results.runtimes[runtime].version}${worst}`;
}

/** The heap that an idle connection of `peer` takes, in bytes, by itself or over a socket. */
function idleHeap(results, runtime, place, peer) {
  const one = results.cases.find(
    (row) => row.runtime === runtime && row.workload === "memory" && row.spec.place === place,
  );
  return one?.results[peer]?.measures?.heap.median.toFixed(0) ?? "?";
}

/** What stands between the marks: how many times as fast as ws, on Node. */
export function section(results) {
  if (results === undefined) return NO_RESULTS;
  const runtimes = ["node", "node-latest"].filter((name) => results.runtimes[name] !== undefined);
  const rows = HEADLINES.map(({ says, workload, where }) => {
    const cells = runtimes.map((runtime) => {
      const one = results.cases.find(
        (row) => row.runtime === runtime && row.workload === workload && matches(where, row.spec),
      );
      const ratio = one && timesAsFast(one);
      return ratio === undefined ? "failed" : formatRatio(ratio);
    });
    return `| ${[says, ...cells].join(" | ")} |`;
  });
  const versions = runtimes.map((name) => `Node ${results.runtimes[name].version}`);
  const idle = (place, peer) =>
    runtimes.map((runtime) => idleHeap(results, runtime, place, peer)).join(" and ");
  const verdicts = verdictsOf(results).filter(({ status }) => status !== "not measured");
  const reached = verdicts.filter(({ status }) => status === "reached").length;
  const { cpu, system } = results.machine;
  return [
    `| times as fast as \`ws\` | ${versions.join(" | ")} |`,
    `|${" --- |".repeat(versions.length + 1)}`,
    ...rows,
    "",
    `CPU time per message, against \`ws\` ${results.runtimes[runtimes[0]].peers.ws}; every byte checked; on ${cpu}, ${system}.`,
    `Slower than \`ws\` ${runtimes.map((runtime) => slower(results, runtime)).join("; ")}.`,
    "",
    `The protocol's share of an idle connection is ${idle("core", "sansocket")} B of heap. A server's whole connection, with its socket and ` +
      `the request that opened it, takes ${idle("sockets", "sansocket")} B, to the ${idle("sockets", "ws")} B of \`ws\` and the ` +
      `${idle("sockets", "net")} B of a bare socket.`,
    "",
    "Every case, with the plots: [docs/bench/report.html](docs/bench/report.html). " +
      `Of the ${verdicts.length} targets that we set out for ${reached} are reached: [docs/bench/targets.md](docs/bench/targets.md) ` +
      "has each of them, and how far one can get.",
  ].join("\n");
}

function measured({ against, atMost, status, value, of, reachedIn }) {
  if (status === "failed") return "failed";
  const isRatio = against !== undefined || atMost < 10; // else bytes
  const told = isRatio ? formatRatio(value) : `${value.toFixed(0)} B`;
  if (status === "reached") return told;
  return `${told} (${status}${of > 1 ? `, ${reachedIn} of ${of}` : ""})`;
}

function bound({ least, leastReachesIn, status, of } = {}) {
  const told = formatRatio(least);
  return status === "reached" || !(of > 1) || told === "" ? told : `${told} (${leastReachesIn} of ${of})`;
}

/** The page of targets: a row for each, and for each runtime what was measured, and how far one can get. */
export async function targetsPage(results) {
  const verdicts = verdictsOf(results).filter(({ status }) => status !== "not measured");
  const runtimes = Object.keys(results.runtimes).filter((name) =>
    verdicts.some(({ runtime }) => runtime === name),
  );
  const isTold = (name) => verdicts.some(({ runtime, least }) => runtime === name && least !== undefined);
  const nameOf = (verdict) => `${verdict.says} | ${targetName(verdict)}`;
  const rows = [...new Set(verdicts.map(nameOf))].map((name) => {
    const cells = runtimes.flatMap((runtime) => {
      const verdict = verdicts.find((one) => one.runtime === runtime && nameOf(one) === name);
      const told = verdict === undefined ? "" : measured(verdict);
      return isTold(runtime) ? [told, bound(verdict)] : [told];
    });
    return `| ${[name, ...cells].join(" | ")} |`;
  });
  const heads = runtimes.flatMap((name) => [
    `${name === "node-latest" ? "node" : name} ${results.runtimes[name].version}`,
    ...(isTold(name) ? ["_least_"] : []),
  ]);
  const head = ["", "target", ...heads];
  const count = (is) => verdicts.filter(is).length;
  const commits = new Set(results.cases.map(({ run }) => run.commit));
  const page = [
    "# Targets",
    "",
    "What sansocket is to reach, and what the committed result set shows of it. This page is made of it: `node scripts/bench-readme.js`.",
    `Of ${verdicts.length} targets ${count(({ status }) => status === "reached")} are reached, and ` +
      `${count(({ status }) => status === "open")} are open. ` +
      `Of the rest ${count(({ status, least, atLeast }) => status === "missed" && least < atLeast)} are out of reach for _least_, too.`,
    commits.size > 1
      ? "The set was measured in parts, of several commits: [results.json](results.json) says for each case which `run` it is of."
      : `All of it is of commit ${[...commits].join()}.`,
    "",
    "Told is the worst case of each, in CPU time: times as fast where the target says ≥, times the cost where it says ≤. “(missed, 3 of 4)” is reached",
    "in three cases of four; “open” is missed by less than the noise. _least_ is what the harness's peer of that name reaches in its own worst case of",
    "the same, and in how many cases it reaches the target: it keeps the contract (events are objects that are pulled one by one, payloads stay valid, memory that",
    "somebody sees is cleared, texts are checked as they come) with this package's kernels, and does nothing else: it trusts every header, answers nothing and bounds",
    "nothing. Where it is below a target, what stands in the way is the event, the view, the mask or the decoder, and for messages of 16 KiB and more the",
    "memory that has to be made for them. Over sockets a bare `net` socket stands for it, which sends what it was given.",
    "",
    `| ${head.join(" | ")} |`,
    `|${" --- |".repeat(head.length)}`,
    ...rows,
    "",
  ].join("\n");
  const path = fileURLToPath(TARGETS_PAGE);
  return await format(page, { ...(await resolveConfig(path)), filepath: path });
}

export const readTargetsPage = () =>
  existsSync(TARGETS_PAGE) ? readFileSync(TARGETS_PAGE, "utf8") : undefined;

/** What compression saves and costs on Node: rows for each size of message, ratios only. */
export function compressionSection(results) {
  const told = ["node", "node-latest"]
    .map((runtime) => ({
      name: `Node ${results?.runtimes[runtime]?.version}`,
      ...compressionOn(results, runtime),
    }))
    .filter(({ rows }) => rows !== undefined);
  if (told.length === 0) return "";
  return [
    "| JSON | on | bytes saved | deflate | inflate | with context takeover: bytes saved | deflate | inflate |",
    `|${" --- |".repeat(8)}`,
    ...told.flatMap(({ name, rows }) =>
      rows.map(([size, ...cells]) => `| ${[size, name, ...cells].join(" | ")} |`),
    ),
    "",
    "Deflate and inflate: CPU time, times as fast as `ws`. Each at its default level, which is 5 here and 6 in `ws`; in brackets the bytes that " +
      "`ws` saves. A connection that has had a message of 2 KiB each way takes " +
      `${told.map(({ without }) => `${without} %`).join(" and ")} of the memory that one of \`ws\` takes, ` +
      `with context takeover ${told.map(({ with_ }) => `${with_} %`).join(" and ")}.`,
    "",
  ].join("\n");
}

function compressionOn(results, runtime) {
  const cases = results?.cases.filter((row) => row.runtime === runtime) ?? [];
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
    const saved = (peer) => Math.round((1 - 1 / median(deflate, peer, "ratio")) * 100);
    return `${saved("sansocket")} % (${saved("ws")} %) | ${faster(deflate)} | ${faster(inflate)}`;
  };
  const rows = [
    [200, "200 B"],
    [2048, "2 KiB"],
    [65536, "64 KiB"],
  ].map(([size, name]) => [name, cell(size, false), cell(size, true)]);
  const memory = [false, true].map((takeover) => find("windows", { takeover }));
  if (rows.flat().includes(undefined) || memory.includes(undefined)) return {};
  const [without, with_] = memory.map((one) =>
    Math.round((median(one, "sansocket", "rss") / median(one, "ws", "rss")) * 100),
  );
  return { rows, without, with_ };
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
  const results = readResults();
  writeFileSync(README, await update(readFileSync(README, "utf8"), results));
  if (results !== undefined) writeFileSync(TARGETS_PAGE, await targetsPage(results));
}
