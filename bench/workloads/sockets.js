// The workloads over loopback TCP: each server in a process of its own, which tells its own CPU time and memory.

import { fileURLToPath } from "node:url";

import { sleep, wall } from "../lib/clock.js";
import { Child } from "../lib/lines.js";
import { Listening, listen, openMany, pingPong, Script, shakeHands } from "../lib/load.js";
import { interleave } from "../lib/rounds.js";
import { summarizeAll } from "../lib/stats.js";

const HOST = "127.0.0.1";
const SCRIPT = fileURLToPath(new URL("../serve.js", import.meta.url));
/** Frames that differ before they repeat, bounded by bytes. */
const MAX_SCRIPT = 4 * 1048576;

async function startServer(runtime, name, size) {
  const child = new Child(runtime, SCRIPT);
  try {
    const told = await child.ask({ do: "start", name, host: HOST, size }, 20_000);
    return { ...told, name, child, where: { host: HOST, port: told.port } };
  } catch (error) {
    await child.end();
    throw error;
  }
}

/** Runs `count` messages or connections, and tells what one cost the server, and how long it took. */
async function timed({ child }, run) {
  const cpuBefore = await child.ask({ do: "cpu" });
  const wallBefore = wall();
  const count = await run();
  const wallTime = wall() - wallBefore;
  const cpuTime = (await child.ask({ do: "cpu" })) - cpuBefore;
  if (!(count > 0)) throw new Error("nothing came back");
  return { cpu: cpuTime / count, wall: wallTime / count };
}

/**
 * Starts every server, warms each up, and interleaves them.
 * @param {(server: object) => Promise<{ run(duration: number): Promise<number>, stop(): void }>} prepare
 */
async function compare({ runtime, peers, spec, budget }, prepare) {
  const results = {};
  const versions = {};
  const contestants = [];
  const running = [];
  const duration = Math.min(500, Math.max(100, budget / peers.length / 6));
  try {
    for (const name of peers) {
      try {
        const server = await startServer(runtime, name, spec.size ?? 125);
        running.push(server);
        versions[name] = server.version;
        const load = await prepare(server);
        server.stop = load.stop;
        await load.run(duration);
        contestants.push({ name, sample: () => timed(server, () => load.run(duration)) });
      } catch (error) {
        results[name] = failure(error);
      }
    }
    for (const [name, { measures, error }] of await interleave(contestants, budget)) {
      results[name] = error === undefined ? { status: "ok", measures } : failure(error);
    }
  } finally {
    for (const server of running) server.stop?.();
    await Promise.all(running.map(({ child }) => child.end()));
  }
  return { results, versions };
}

const failure = (error) => ({
  status: "failed",
  error: error instanceof Error ? error.message : String(error),
});

const destroyAll = (connections) => () => {
  for (const connection of connections) connection.destroy();
};

export function measureEcho(task) {
  const { connections, inFlight, size } = task.spec;
  const fitting = Math.floor(MAX_SCRIPT / Math.max(1, size));
  const variety = Math.max(2, Math.min(Math.max(16, inFlight), fitting));
  return compare(task, async (server) => {
    const script = new Script({ size, variety, raw: server.isRaw });
    const opened = await openMany(server.where, connections, script);
    return { run: (duration) => pingPong(opened, inFlight, duration), stop: destroyAll(opened) };
  });
}

export function measureBroadcast(task) {
  const { connections, burst, size } = task.spec;
  return compare(task, async (server) => {
    const opened = await openMany(server.where, connections, new Listening(size));
    await sleep(200); // until the server knows all of them
    const broadcast = () => server.child.ask({ do: "broadcast", burst });
    return { run: (duration) => listen(opened, burst, duration, broadcast), stop: destroyAll(opened) };
  });
}

export function measureHandshakes(task) {
  return compare(task, (server) =>
    Promise.resolve({
      run: (duration) => shakeHands(server.where, task.spec.connections, duration),
      stop: () => undefined,
    }),
  );
}

/** Idle connections that have each echoed a message. */
export async function measureIdleSockets({ runtime, peers, spec, repeats }) {
  const samples = new Map(peers.map((name) => [name, []]));
  const results = {};
  const versions = {};
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const name of peers) {
      if (results[name] !== undefined) continue;
      let server;
      let opened = [];
      try {
        server = await startServer(runtime, name, 16);
        versions[name] = server.version;
        const script = new Script({ size: 16, variety: 2, raw: server.isRaw });
        const few = await openMany(server.where, 50, script);
        await pingPong(few, 1, 20);
        const before = await settled(server);
        opened = await openMany(server.where, spec.connections, script);
        await pingPong(opened, 1, 1);
        const after = await settled(server);
        destroyAll(few)();
        const sample = {};
        for (const key of Object.keys(after)) {
          sample[key] = Math.max(0, after[key] - before[key]) / spec.connections;
        }
        samples.get(name).push(sample);
      } catch (error) {
        results[name] = failure(error);
      } finally {
        destroyAll(opened)();
        await server?.child.end();
      }
    }
  }
  for (const [name, list] of samples) results[name] ??= { status: "ok", measures: summarizeAll(list) };
  return { results, versions };
}

async function settled({ child }) {
  await sleep(300);
  await child.ask({ do: "memory" });
  await sleep(100);
  return child.ask({ do: "memory" });
}
