// What is measured: every case of every workload, and which of them a short run takes.

import { formatSize, parseSize } from "./lib/frames.js";
import { PEERS } from "./peers/index.js";
import { serversFor } from "./servers/index.js";

export const WORKLOADS = [
  "parse",
  "encode",
  "growth",
  "compress",
  "echo",
  "broadcast",
  "handshakes",
  "memory",
  "windows",
];

const SIZES = ["0", "16", "125", "1K", "16K", "64K", "1M"].map(parseSize);
const KINDS = ["binary", "ascii", "chinese"];

const upTo = (limit) => SIZES.filter((size) => size <= limit);
const from = (least, sizes = SIZES) => sizes.filter((size) => size >= least);

function* parse(full) {
  for (const role of ["server", "client"]) {
    for (const kind of KINDS) {
      const text = kind !== "binary";
      for (const touched of text ? [true] : [true, false]) {
        const spec = { role, kind, touched, fragments: 1 };
        if (!full && role === "client" && (text || !touched)) continue;
        let sizes = text ? from(16, upTo(full ? 1048576 : 65536)) : SIZES;
        if (!full && !touched) sizes = upTo(125);
        for (const size of sizes) yield { ...spec, size, chunks: 65536 };
        if (!full && (role === "client" || text || !touched)) continue;
        for (const size of full ? SIZES : from(16, upTo(16384))) yield { ...spec, size, chunks: 1460 };
        // What is not linear in its chunks would take hours at 1 MiB.
        for (const size of full ? upTo(16384) : from(16, upTo(1024))) yield { ...spec, size, chunks: 1 };
        for (const size of full ? from(16) : [1024, 16384]) {
          yield { ...spec, size, chunks: 65536, fragments: 4 };
        }
      }
    }
  }
}

/** Powers of two, both ends among them. */
function doublings(first, last) {
  const steps = [];
  for (let step = first; step <= last; step *= 2) steps.push(step);
  return steps;
}

/**
 * What there is more and more of: twice as much is to take twice the time, not more. Messages begin at 1 MiB: smaller ones are put into
 * memory that was just freed, and is in the caches and mapped; all of these are not, which is another price for a byte, whoever asks.
 */
function* growth(full) {
  for (const kind of full ? ["binary", "chinese"] : ["binary"]) {
    const spec = { role: "server", kind };
    yield { ...spec, axis: "messages", steps: full ? doublings(512, 65536) : doublings(2048, 16384) };
    yield { ...spec, axis: "size", steps: doublings(1048576, 16777216) };
    yield { ...spec, axis: "fragments", steps: full ? doublings(256, 8192) : doublings(512, 4096) };
    yield { ...spec, axis: "chunks", steps: full ? doublings(1024, 65536) : doublings(2048, 16384) };
    yield { ...spec, axis: "cuts", steps: full ? doublings(1024, 262144) : doublings(2048, 16384) };
  }
}

/** With 4 KiB: sixteen of those in a turn are more than a slab holds, and none of them is large. */
const ENCODED_SIZES = [...upTo(1024), 4096, ...from(16384)];

function* encode(full) {
  for (const role of ["client", "server"]) {
    for (const kind of full ? KINDS : ["binary", "ascii"]) {
      const sizes = full ? ENCODED_SIZES : kind === "binary" ? from(16) : [16, 125, 1024];
      for (const size of sizes) {
        for (const perTurn of full ? [1, 16] : [16]) yield { role, kind, size, perTurn };
      }
    }
  }
}

function* compress() {
  for (const direction of ["inflate", "deflate"]) {
    for (const takeover of [false, true]) {
      for (const size of [200, 2048, 65536]) yield { direction, role: "server", size, deflate: { takeover } };
    }
  }
}

/** Bytes on their way at once, on all connections: more would measure the memory. */
const MAX_IN_FLIGHT = 67108864;

function* echo(full) {
  if (full) {
    for (const connections of [1, 64, 512]) {
      for (const inFlight of [1, 16, 64]) {
        for (const size of [16, 125, 1024, 16384, 65536]) {
          if (connections * inFlight * size <= MAX_IN_FLIGHT) yield { connections, inFlight, size };
        }
      }
    }
  } else {
    yield { connections: 1, inFlight: 1, size: 125 };
    for (const inFlight of [1, 16, 64]) yield { connections: 64, inFlight, size: 125 };
  }
  yield { connections: 64, inFlight: 4, size: 16384 };
}

function* broadcast(full) {
  for (const size of full ? [16, 125, 1024, 16384] : [125]) {
    for (const burst of [1, 16]) yield { connections: 1000, burst, size };
  }
}

const GRIDS = {
  parse,
  encode,
  growth,
  compress,
  echo,
  broadcast,
  *handshakes(full) {
    for (const connections of full ? [1, 16, 64] : [16]) yield { connections };
  },
  *memory() {
    yield { connections: 10_000, place: "core" };
    yield { connections: 10_000, place: "sockets" };
  },
  *windows() {
    for (const takeover of [false, true]) yield { connections: 500, place: "core", deflate: { takeover } };
  },
};

/** "125 B", "16 KiB" */
export const sizeName = (size) =>
  formatSize(size).replace(/(\d)([KM]?)$/, (_, digit, unit) => `${digit} ${unit}${unit && "i"}B`);

/** How much of it there is at a step of a growth. */
export const stepName = (axis, step) => (axis === "size" ? sizeName(step) : String(step));

function growthName({ axis, kind, steps }) {
  const range = `${stepName(axis, steps[0])} to ${stepName(axis, steps[steps.length - 1])}`;
  const names = {
    messages: `${range} messages of 16 B in one chunk`,
    size: `a message of ${range}`,
    fragments: `a message of ${range} fragments of 16 B, pings between`,
    chunks: `a message of ${range} chunks of 16 B`,
    cuts: `a message of 256 KiB in ${range} chunks`,
  };
  return `${names[axis]}, ${kind}`;
}

const takeoverName = ({ deflate }) => `${deflate.takeover ? "with" : "without"} context takeover`;

function describe(workload, spec) {
  const size = spec.size === undefined ? "" : sizeName(spec.size);
  switch (workload) {
    case "parse": {
      const chunks = { 1: "1 B chunks", 1460: "1460 B chunks" }[spec.chunks] ?? "64 KiB chunks";
      const untouched = spec.touched ? "" : ", untouched";
      return `${spec.role}, ${spec.kind}, ${size}, ${spec.fragments > 1 ? `${spec.fragments} fragments and pings` : chunks}${untouched}`;
    }
    case "encode":
      return `${spec.role}, ${spec.kind}, ${size}, ${spec.perTurn} per turn`;
    case "growth":
      return growthName(spec);
    case "compress":
      return `${spec.direction}, JSON, ${size}, ${takeoverName(spec)}`;
    case "echo":
      return `${spec.connections} connections, ${spec.inFlight} in flight, ${size}`;
    case "broadcast":
      return `${spec.connections} peers, ${size}, ${spec.burst === 1 ? "single" : `bursts of ${spec.burst}`}`;
    case "handshakes":
      return `${spec.connections} at a time`;
    case "windows":
      return `${spec.connections} idle connections, ${takeoverName(spec)}`;
    default:
      return `${spec.connections} idle connections, ${spec.place === "core" ? "no sockets" : "over sockets"}`;
  }
}

/** What one of them is counted in. */
export const UNITS = {
  parse: "ns per message",
  encode: "ns per message",
  growth: "times the time for twice the work, the mean of all doublings",
  compress: "ns per message",
  echo: "ns per message",
  broadcast: "ns per message and peer",
  handshakes: "ns per connection",
  memory: "bytes per connection",
  windows: "bytes per connection",
};

/** Which of its measures is told first. */
export const HEADLINE = {
  parse: "cpu",
  encode: "cpu",
  growth: "doubling",
  compress: "cpu",
  echo: "cpu",
  broadcast: "cpu",
  handshakes: "cpu",
  memory: "heap",
  windows: "rss", // zlib's memory is in no heap
};

/** Which is told beside it. */
export const BESIDE = { compress: "ratio", memory: "rss", windows: "heap" };

/** Measures that are better the larger they are. */
export const LARGER_IS_BETTER = new Set(["ratio"]);

/** What is linear takes twice the time for twice the work; a tenth more is the caches' share, which hold the less of it the more it is. */
export const LINEAR = 2.2;

/**
 * @param {{ full: boolean, runtime: string, workloads?: string[], peers?: string[], sizes?: number[], matching?: string }} filter
 * @returns {{ workload: string, id: string, spec: object, peers: string[] }[]}
 */
export function selectCases({ full, runtime, workloads, peers, sizes, matching }) {
  const cases = [];
  for (const workload of WORKLOADS) {
    if (workloads !== undefined && !workloads.includes(workload)) continue;
    for (const spec of GRIDS[workload](full)) {
      const id = describe(workload, spec);
      if (sizes !== undefined && !sizes.includes(spec.size)) continue;
      if (matching !== undefined && !`${workload}: ${id}`.includes(matching)) continue;
      const inProcess = ["parse", "encode", "growth", "compress"].includes(workload) || spec.place === "core";
      const all = inProcess ? PEERS : serversFor(runtime);
      const chosen = all.filter((name) => peers === undefined || peers.includes(name));
      if (chosen.length > 0) cases.push({ workload, id, spec, peers: chosen });
    }
  }
  return cases;
}
