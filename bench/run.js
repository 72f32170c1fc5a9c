// The harness: measures what is asked for, prints a table, and writes the results and a report.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { HEADLINE, selectCases, WORKLOADS } from "./cases.js";
import { parseSize } from "./lib/frames.js";
import { Child } from "./lib/lines.js";
import { Progress } from "./lib/progress.js";
import { formatReport } from "./lib/report.js";
import { interleave } from "./lib/rounds.js";
import { findRuntime, RUNTIMES } from "./lib/runtimes.js";
import { agree, evenedContests, summarizeAll, summarizeTogether } from "./lib/stats.js";
import { formatTable } from "./lib/table.js";
import { FORMAT, formatVerdicts, OWN, TARGETS, verdictsOf } from "./targets.js";
import { growthOf } from "./workloads/growth.js";
import { measureBroadcast, measureEcho, measureHandshakes, measureIdleSockets } from "./workloads/sockets.js";

const MEASURE = fileURLToPath(new URL("measure.js", import.meta.url));
const HERE = fileURLToPath(new URL(".", import.meta.url));

const USAGE = `node bench/run.js [options]

  --full               every case, and longer: about an hour for a runtime
  --runtime <names>    ${Object.keys(RUNTIMES).join(", ")}; default node
  --workload <names>   ${WORKLOADS.join(", ")}
  --peer <names>       as they stand over the table's columns
  --size <sizes>       of messages: 16,125,1K,64K,1M
  --case <text>        only the cases whose name has it: "server, binary"
  --budget <seconds>   how long to measure, warming up not counted
  --out <folder>       where results.json and report.html go; default bench/out
  --add                keep what is there of other cases
  --list               names the cases and measures nothing
Names are parted by commas.`;

const { values } = parseArgs({
  options: {
    full: { type: "boolean", default: false },
    runtime: { type: "string", default: "node" },
    workload: { type: "string" },
    peer: { type: "string" },
    size: { type: "string" },
    case: { type: "string" },
    budget: { type: "string" },
    out: { type: "string", default: join(HERE, "out") },
    add: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

/** How often memory is measured: it hardly varies, and ten thousand sockets take their time. */
const repeatsOf = ({ spec }) => (values.full ? 5 : spec.place === "core" ? 3 : 1);

const listOf = (text) => text?.split(",").map((part) => part.trim());
const runtimes = listOf(values.runtime).map(findRuntime);
const tasks = runtimes.flatMap((runtime) =>
  selectCases({
    full: values.full,
    runtime: runtime.name,
    workloads: listOf(values.workload),
    peers: listOf(values.peer),
    sizes: listOf(values.size)?.map(parseSize),
    matching: values.case,
  }).map((task) => ({ ...task, runtime, repeats: repeatsOf(task) })),
);
if (tasks.length === 0) {
  console.error("no case is left by these filters");
  process.exit(2);
}

// How long to measure each, in milliseconds: what goes over sockets is noisier, and needs longer.
const BUDGETS = values.full
  ? {
      parse: 1600,
      encode: 1600,
      growth: 8000,
      compress: 4000,
      echo: 5000,
      broadcast: 8000,
      handshakes: 10_000,
      memory: 0,
      windows: 0,
    }
  : {
      parse: 1000,
      encode: 1000,
      growth: 3000,
      compress: 2000,
      echo: 6000,
      broadcast: 6000,
      handshakes: 5000,
      memory: 0,
      windows: 0,
    };
let stretch = 1;
if (values.budget !== undefined) {
  stretch = (Number(values.budget) * 1000) / tasks.reduce((sum, { workload }) => sum + BUDGETS[workload], 0);
  if (!(stretch > 0)) throw new Error("--budget takes seconds");
}
for (const task of tasks) task.budget = BUDGETS[task.workload] * stretch;

/** How long to wait for a peer that is made ready, or for a sample of it, in milliseconds. */
const PATIENCE = 120_000;

// What one process takes another may take a tenth more for, and from this size on messages cost what the memory for them costs, which
// differs more: several of each are asked.
const LARGE = 16384;
const PROCESSES = values.full ? { small: 2, large: 3 } : { small: 1, large: 3 };
/** Where they take more than so many times what others take, a full run asks up to twice as many. */
const AGREEMENT = 1.15;
/** In which peers that is looked for: in those that a target is told from. */
const COMPARED = new Set(TARGETS.map(({ against }) => against).concat(OWN));

// What comes on top of a budget: processes, checks, warming up; connections.
const BESIDES = {
  parse: 2200,
  encode: 2000,
  growth: values.full ? 12_000 : 5000,
  compress: 2500,
  echo: 3000,
  broadcast: 4000,
  handshakes: 3000,
  memory: 25_000,
  windows: 5000,
};
const timesOf = ({ workload, spec }) => {
  if (!["parse", "encode", "compress"].includes(workload)) return 1;
  return spec.size >= LARGE ? PROCESSES.large : PROCESSES.small;
};
const expected =
  tasks.reduce((sum, task) => sum + task.budget + BESIDES[task.workload] * timesOf(task), 0) / 60_000;
console.error(
  `${tasks.length} cases, about ${expected < 1.5 ? "a minute" : `${Math.round(expected)} minutes`}`,
);

if (values.list) {
  for (const { workload, id, runtime, peers } of tasks) {
    console.log(`${runtime.name}  ${workload}: ${id}  (${peers.join(", ")})`);
  }
  process.exit(0);
}

/**
 * Asks every peer's own process for samples, in turn, round by round.
 * @returns {Promise<Map<string, { status: string, version?: string, error?: string, samples?: object[] }>>}
 */
async function contest({ runtime, workload, spec, peers }, budget) {
  const results = new Map();
  const contestants = [];
  const children = [];
  try {
    const left = [...peers];
    const prepareNext = async () => {
      for (let peer = left.shift(); peer !== undefined; peer = left.shift()) {
        const child = new Child(runtime, MEASURE);
        children.push(child);
        try {
          const told = await child.ask({ do: "prepare", workload, spec, peer }, PATIENCE);
          results.set(peer, told);
          const sample = () => child.ask({ do: "sample" }, PATIENCE);
          if (told.status === "ok") contestants.push({ name: peer, sample });
        } catch (error) {
          results.set(peer, { status: "failed", error: error.message });
        }
      }
    };
    // Two at a time, where all that is timed meanwhile is how long a sample is to be.
    await Promise.all(workload === "growth" ? [prepareNext()] : [prepareNext(), prepareNext()]);
    for (const [peer, { samples, error }] of await interleave(contestants, budget)) {
      const { version } = results.get(peer);
      results.set(
        peer,
        error === undefined ? { status: "ok", version, samples } : { status: "failed", version, error },
      );
    }
  } finally {
    await Promise.all(children.map((child) => child.end()));
  }
  return results;
}

/** The samples of all contests that a case is measured in, together, as `tell` has it. */
async function inProcesses(task, tell) {
  const times = timesOf(task);
  const most = values.full && times > 1 ? 2 * times : times;
  const key = HEADLINE[task.workload];
  const contests = [];
  /** Of those who failed in none, each contest's samples, with the machine's phases taken out where they are figures of one message. */
  const samplesOf = () => {
    const whole = task.peers.filter((peer) => contests.every((one) => one.get(peer).samples !== undefined));
    const all = contests.map((one) => new Map(whole.map((peer) => [peer, one.get(peer).samples])));
    const even = task.workload === "growth" ? all : evenedContests(all);
    return new Map(whole.map((peer) => [peer, even.map((one) => one.get(peer))]));
  };
  const isSettled = () =>
    [...samplesOf()].every(([peer, processes]) => !COMPARED.has(peer) || agree(processes, key, AGREEMENT));
  while (contests.length < times || (contests.length < most && !isSettled())) {
    contests.push(await contest(task, task.budget / times));
  }
  const results = {};
  const versions = {};
  const samples = samplesOf();
  for (const peer of task.peers) {
    const all = contests.map((one) => one.get(peer));
    const { status, version, error } = all.find(({ status }) => status !== "ok") ?? all[0];
    if (version !== undefined) versions[peer] = version;
    results[peer] =
      status === "ok"
        ? { status, ...tell(samples.get(peer)) }
        : { status, ...(error === undefined ? {} : { error }) };
  }
  return { results, versions };
}

const throughput = (task) => inProcesses(task, (processes) => ({ measures: summarizeTogether(processes) }));
const growth = (task) => inProcesses(task, ([samples]) => growthOf(task.spec, samples));

/** What an idle connection keeps: each in a process of its own, in turn. */
async function idleInProcess({ runtime, spec, peers, repeats }) {
  const samples = new Map();
  const results = {};
  const versions = {};
  for (let i = 0; i < repeats; i++) {
    for (const peer of peers) {
      if (results[peer] !== undefined) continue;
      const child = new Child(runtime, MEASURE);
      try {
        const { status, version, sample } = await child.ask({
          do: "idle",
          peer,
          deflate: spec.deflate,
        });
        versions[peer] = version;
        if (status === "absent") results[peer] = { status };
        else samples.set(peer, [...(samples.get(peer) ?? []), sample]);
      } catch (error) {
        results[peer] = { status: "failed", error: error.message };
      } finally {
        await child.end();
      }
    }
  }
  for (const [peer, list] of samples) results[peer] ??= { status: "ok", measures: summarizeAll(list) };
  return { results: inOrder(results, peers), versions };
}

const inOrder = (results, peers) =>
  Object.fromEntries(
    peers.filter((name) => results[name] !== undefined).map((name) => [name, results[name]]),
  );

const MEASURES = {
  parse: throughput,
  encode: throughput,
  growth,
  compress: throughput,
  echo: measureEcho,
  broadcast: measureBroadcast,
  handshakes: measureHandshakes,
  memory: (task) => (task.spec.place === "core" ? idleInProcess(task) : measureIdleSockets(task)),
  windows: idleInProcess,
};

function git(...args) {
  try {
    return execFileSync("git", args, {
      cwd: HERE,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

const cpus = os.cpus();
const machine = {
  cpu: cpus[0]?.model.trim(),
  cores: cpus.length,
  memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
  system: `${os.platform()} ${/^\d+(\.\d+)*/.exec(os.release())?.[0] ?? ""} ${os.arch()}`,
};
/** What was said to glibc's allocator and to Node: it holds for every peer, and changes what they cost. */
const environment = Object.entries(process.env)
  .filter(([name]) => name.startsWith("MALLOC_") || name === "GLIBC_TUNABLES" || name === "NODE_OPTIONS")
  .map(([name, value]) => `${name}=${value}`);
const run = {
  date: new Date().toISOString(),
  mode: values.full ? "full" : "short",
  commit: git("rev-parse", "--short=12", "HEAD"),
  changed: git("status", "--porcelain", "--", "../src") !== "",
  ...(environment.length > 0 ? { environment } : {}),
};

const keyOf = ({ runtime, workload, id }) => `${runtime}  ${workload}: ${id}`;

/** What there is of cases that are not measured now. */
function keptOf(folder) {
  const earlier = JSON.parse(readFileSync(join(folder, "results.json"), "utf8"));
  if (earlier.format !== FORMAT || JSON.stringify(earlier.machine) !== JSON.stringify(machine)) {
    throw new Error(
      `nothing can be added to what is in ${folder}: it is of another machine, or of another harness`,
    );
  }
  const again = new Set(tasks.map((task) => keyOf({ ...task, runtime: task.runtime.name })));
  const versions = new Map(runtimes.map(({ name, version }) => [name, version]));
  const isKept = (name) =>
    (versions.get(name) ?? earlier.runtimes[name].version) === earlier.runtimes[name].version;
  return {
    runtimes: Object.fromEntries(Object.entries(earlier.runtimes).filter(([name]) => isKept(name))),
    cases: earlier.cases.filter((row) => isKept(row.runtime) && !again.has(keyOf(row))),
  };
}

const kept = values.add ? keptOf(values.out) : { runtimes: {}, cases: [] };
const results = {
  format: FORMAT,
  machine,
  runtimes: {
    ...kept.runtimes,
    ...Object.fromEntries(
      runtimes.map(({ name, version }) => [name, { version, peers: { ...kept.runtimes[name]?.peers } }]),
    ),
  },
  verdicts: [],
  cases: kept.cases,
};

/** Where each case stands, whichever was measured first. */
const places = new Map(
  Object.keys(RUNTIMES)
    .flatMap((runtime) => selectCases({ full: true, runtime }).map((one) => keyOf({ ...one, runtime })))
    .map((key, place) => [key, place]),
);
const placeOf = (row) => places.get(keyOf(row)) ?? Infinity;

function write() {
  results.cases.sort((a, b) => placeOf(a) - placeOf(b));
  results.verdicts = verdictsOf(results);
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, "results.json"), `${JSON.stringify(results, rounded, 1)}\n`);
  writeFileSync(join(values.out, "report.html"), formatReport(results));
}

/** Four digits say all that is known. */
function rounded(_, value) {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
}

const progress = new Progress(tasks.length);
let interrupted = false;
process.on("SIGINT", () => {
  if (interrupted) process.exit(130);
  interrupted = true; // what was measured is written
});

for (const task of tasks) {
  if (interrupted) break;
  const { workload, id, spec, runtime, peers } = task;
  progress.begin(`${runtimes.length > 1 ? `${runtime.name}  ` : ""}${workload}: ${id}`);
  let measured;
  try {
    measured = await MEASURES[workload](task);
  } catch (error) {
    const failed = { status: "failed", error: error.message };
    measured = { results: Object.fromEntries(peers.map((name) => [name, failed])), versions: {} };
  }
  Object.assign(results.runtimes[runtime.name].peers, measured.versions);
  results.cases.push({
    runtime: runtime.name,
    workload,
    id,
    spec,
    run,
    results: inOrder(measured.results, peers),
  });
  progress.end(Object.values(measured.results).filter(({ status }) => status === "failed").length);
  write();
}
progress.finish();

for (const { name } of runtimes) console.log(formatTable(results, name));
for (const { name } of runtimes) console.log(formatVerdicts(results.verdicts, name));
const shown = values.out.startsWith(HERE) ? `bench/${values.out.slice(HERE.length)}` : values.out;
console.log(`\n${shown}/results.json and ${shown}/report.html have all of it.`);
