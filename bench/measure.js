// A process that measures one peer in one case of a workload that needs no sockets, and ends: what another peer leaves behind, or what
// was measured before, changes nothing, whatever the filters are.

import { costOfTurn } from "./lib/clock.js";
import { collect } from "./lib/collect.js";
import { BINARY, makeFrame, makePayload } from "./lib/frames.js";
import { answerLines } from "./lib/lines.js";
import { prepareDeflate, prepareEncode, prepareInflate, prepareParse } from "./lib/loop.js";
import { loadPeer } from "./peers/index.js";
import { makeBatch, verifyEncode } from "./workloads/encode.js";
import { makeCompress, makeCompressedFrame, makeJson, verifyCompress } from "./workloads/compress.js";
import { stepSpec, worksOf } from "./workloads/growth.js";
import { makeStream, verifyParse } from "./workloads/parse.js";

/** In nanoseconds: long enough that what the others have put out of the caches since is soon back. */
const SAMPLE = 16e6;
const WARM_UP = 250e6;
/** A step of a growth that takes longer than this, in nanoseconds, is the peer's last. */
const LONGEST_STEP = 300e6;
const IDLE = 10_000;
const IDLE_DEFLATE = 500;

let uncaught;
process.on("uncaughtException", (error) => {
  uncaught = error;
});

/** What a peer threw outside of every call. */
function throwUncaught() {
  if (uncaught !== undefined) throw new Error(`uncaught: ${uncaught.message}`);
}

const WORKLOADS = {
  parse: { prepare: makeStream, verify: verifyParse, loop: () => prepareParse },
  encode: { prepare: makeBatch, verify: verifyEncode, loop: () => prepareEncode },
  compress: {
    prepare: makeCompress,
    verify: verifyCompress,
    loop: ({ direction }) => (direction === "inflate" ? prepareInflate : prepareDeflate),
  },
};

/** What was prepared: gives the next sample. */
let sample;

/** A peer that throws here fails the case, and so does one whose bytes are wrong. */
async function prepare({ workload, spec, peer: name }) {
  const peer = await loadPeer(name);
  const { version } = peer;
  sample = await (workload === "growth" ? prepareGrowth : prepareThroughput)(peer, spec, workload);
  return { status: sample === undefined ? "absent" : "ok", version };
}

/** Runs batches until the engine has compiled them for good, or one takes longer than `longest`; how many of them make a sample. */
async function warmUp(run, least, longest = Infinity) {
  let batch;
  for (let spent = 0, i = 0; i < 3 || spent < least; i++) {
    batch = await run();
    spent += batch.wall;
    if (batch.wall > longest) return { batches: 1, isSlow: true };
  }
  return { batches: Math.max(1, Math.round(SAMPLE / Math.max(1, batch.wall))), isSlow: false };
}

/** What the peer had of a batch's time. Never less than half is left: what is no longer than the harness's own part would be told by noise alone. */
function net(time, ofTurn) {
  return Math.max(time - ofTurn, time / 2);
}

async function prepareThroughput(peer, spec, workload) {
  const { prepare, verify, loop } = WORKLOADS[workload];
  const prepared = prepare(spec);
  const count = workload === "parse" ? prepared.messages : prepared.messages.length;
  if (!(await verify(peer, spec, prepared))) return undefined;
  throwUncaught();
  const batch = loop(spec)(peer, spec, prepared);
  const run = () => batch(!peer.isLimit);
  const { batches } = await warmUp(run, WARM_UP);
  return async () => {
    const ofTurn = await costOfTurn();
    let cpu = 0;
    let wall = 0;
    let ratio;
    for (let i = 0; i < batches; i++) {
      const times = await run();
      cpu += times.cpu;
      wall += times.wall;
      ratio = times.ratio;
    }
    throwUncaught();
    const times = {
      cpu: net(cpu / batches, ofTurn.cpu) / count,
      wall: net(wall / batches, ofTurn.wall) / count,
    };
    return ratio === undefined ? times : { ...times, ratio };
  };
}

/** Each step of a growth in turn: a doubling is told from two steps that ran right after each other. */
async function prepareGrowth(peer, spec) {
  const runs = [];
  for (const step of spec.steps) {
    const parse = stepSpec(spec, step);
    const stream = makeStream(parse);
    if (!(await verifyParse(peer, parse, stream))) return undefined;
    throwUncaught();
    const batch = prepareParse(peer, parse, stream);
    const run = () => batch(!peer.isLimit);
    const { batches, isSlow } = await warmUp(run, WARM_UP / 2, LONGEST_STEP);
    runs.push({ step, run, batches, works: batches * worksOf(spec, step) });
    if (isSlow) break;
  }
  if (runs.length === 1) throw new Error("so slow that there was no second step");
  return async () => {
    const ofTurn = await costOfTurn();
    const times = {};
    for (const { step, run, batches, works } of runs) {
      let cpu = 0;
      for (let i = 0; i < batches; i++) cpu += (await run()).cpu;
      times[step] = (net(cpu / batches, ofTurn.cpu) * batches) / works;
    }
    throwUncaught();
    return times;
  };
}

/** What an idle connection keeps, once the engine has collected what nobody needs. */
async function measureIdle({ peer: name, deflate }) {
  const peer = await loadPeer(name);
  if (peer.createIdle === undefined) return { status: "absent", version: peer.version };
  if (deflate !== undefined) return measureIdleDeflate(peer, deflate);
  const message = makeFrame(BINARY, makePayload("binary", 16, 1), { key: 0x12345678 });
  const sample = await kept(IDLE, 100, () => peer.createIdle(message));
  return { status: "ok", version: peer.version, sample };
}

/** The same after one compressed message of 2 KiB each way. zlib's memory is in no heap: `rss` tells it. */
async function measureIdleDeflate(peer, { takeover }) {
  if (peer.hasDeflate !== true) return { status: "absent", version: peer.version };
  const [asked, answered] = [1, 2].map((seed) => Buffer.from(makeJson(2048, seed)));
  const message = makeCompressedFrame(asked, { masked: true });
  const deflate = { takeover, reply: answered };
  const sample = await kept(IDLE_DEFLATE, 20, () => peer.createIdle(message, deflate));
  return { status: "ok", version: peer.version, sample };
}

/** What each of `count` connections keeps, after `warmUp` others. */
async function kept(count, warmUp, create) {
  for (let i = 0; i < warmUp; i++) await create();
  const idle = new Array(count).fill(undefined);
  const settle = () => new Promise((resolve) => setTimeout(resolve, 50));
  await settle();
  collect();
  const before = process.memoryUsage();
  for (let i = 0; i < count; i++) idle[i] = await create();
  await settle();
  collect();
  const after = process.memoryUsage();
  if (idle.includes(undefined)) throw new Error("a connection is missing");
  const grown = (key) => Math.max(0, after[key] - before[key]) / count;
  return { heap: grown("heapUsed"), buffers: grown("arrayBuffers"), rss: grown("rss") };
}

const HOW = { prepare, sample: () => sample(), idle: measureIdle };

answerLines((question) => HOW[question.do](question));
