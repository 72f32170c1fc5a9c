// A process that measures one case of a workload that needs no sockets, and ends. One process for each case, so that what
// is measured before does not change what is measured after, whatever the filters are.

import { collect } from "./lib/collect.js";
import { BINARY, makeFrame, makePayload } from "./lib/frames.js";
import { answerLines } from "./lib/lines.js";
import { interleave } from "./lib/rounds.js";
import { loadPeer } from "./peers/index.js";
import { makeBatch, verifyEncode } from "./workloads/encode.js";
import { makeCompress, makeCompressedFrame, makeJson, verifyCompress } from "./workloads/compress.js";
import { growthOf, stepSpec, worksOf } from "./workloads/growth.js";
import { makeStream, verifyParse } from "./workloads/parse.js";

const SAMPLE = 8e6; // nanoseconds
const WARM_UP = 120e6;
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
  parse: { prepare: makeStream, verify: verifyParse, loop: () => "prepareParse" },
  encode: { prepare: makeBatch, verify: verifyEncode, loop: () => "prepareEncode" },
  compress: {
    prepare: makeCompress,
    verify: verifyCompress,
    loop: ({ direction }) => (direction === "inflate" ? "prepareInflate" : "prepareDeflate"),
  },
};

async function measureThroughput({ workload, spec, peers, budget }) {
  const { prepare, verify, loop } = WORKLOADS[workload];
  const prepared = prepare(spec);
  const count = workload === "parse" ? prepared.messages : prepared.messages.length;
  const results = {};
  const contestants = [];
  const versions = {};
  for (const name of peers) {
    try {
      const peer = await loadPeer(name);
      versions[name] = peer.version;
      uncaught = undefined;
      const takesPart = await verify(peer, spec, prepared);
      throwUncaught();
      if (!takesPart) {
        results[name] = { status: "absent" };
        continue;
      }
      const loops = await import(`./lib/loop.js?peer=${name}`);
      const run = loops[loop(spec)](peer, spec, prepared);
      const check = !peer.isLimit;
      let batch;
      for (let spent = 0, i = 0; i < 3 || spent < WARM_UP; i++) {
        batch = await run(check);
        spent += batch.wall;
      }
      const batches = Math.max(1, Math.round(SAMPLE / Math.max(1, batch.wall)));
      contestants.push({
        name,
        async sample() {
          let cpu = 0;
          let wall = 0;
          let ratio;
          for (let i = 0; i < batches; i++) {
            const times = await run(check);
            cpu += times.cpu;
            wall += times.wall;
            ratio = times.ratio;
          }
          throwUncaught();
          const times = { cpu: cpu / batches / count, wall: wall / batches / count };
          return ratio === undefined ? times : { ...times, ratio };
        },
      });
    } catch (error) {
      results[name] = { status: "failed", error: String(error instanceof Error ? error.message : error) };
    }
  }
  for (const [name, { samples, error }] of await interleave(contestants, budget)) {
    results[name] = error === undefined ? { status: "ok", samples } : { status: "failed", error };
  }
  return { results, versions };
}

/** Each step of a growth in turn, for each peer in turn: a doubling is told from two steps that ran right after each other. */
async function measureGrowth({ spec, peers, budget }) {
  const steps = spec.steps.map((step) => {
    const parse = stepSpec(spec, step);
    return { step, parse, stream: makeStream(parse), works: worksOf(spec, step) };
  });
  const results = {};
  const contestants = [];
  const versions = {};
  for (const name of peers) {
    try {
      const peer = await loadPeer(name);
      versions[name] = peer.version;
      const { prepareParse } = await import(`./lib/loop.js?peer=${name}`);
      const runs = [];
      for (const { step, parse, stream, works } of steps) {
        uncaught = undefined;
        if (!(await verifyParse(peer, parse, stream))) break;
        throwUncaught();
        const run = prepareParse(peer, parse, stream);
        const check = !peer.isLimit;
        let batch;
        for (let spent = 0, i = 0; i < 3 || spent < WARM_UP / 2; i++) {
          batch = await run(check);
          spent += batch.wall;
          if (batch.wall > LONGEST_STEP) break;
        }
        const batches = Math.max(1, Math.round(SAMPLE / Math.max(1, batch.wall)));
        runs.push({ step, run: () => run(check), batches, works: batches * works });
        if (batch.wall > LONGEST_STEP) break;
      }
      if (runs.length === 0) {
        results[name] = { status: "absent" };
        continue;
      }
      if (runs.length === 1) throw new Error("so slow that there was no second step");
      contestants.push({
        name,
        async sample() {
          const times = {};
          for (const { step, run, batches, works } of runs) {
            let cpu = 0;
            for (let i = 0; i < batches; i++) cpu += (await run()).cpu;
            times[step] = cpu / works;
          }
          throwUncaught();
          return times;
        },
      });
    } catch (error) {
      results[name] = { status: "failed", error: String(error instanceof Error ? error.message : error) };
    }
  }
  for (const [name, { samples, error }] of await interleave(contestants, budget)) {
    results[name] =
      error === undefined ? { status: "ok", ...growthOf(spec, samples) } : { status: "failed", error };
  }
  return { results, versions };
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

const HOW = { memory: measureIdle, growth: measureGrowth };

answerLines((question) => (HOW[question.workload] ?? measureThroughput)(question));
