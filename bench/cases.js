// What is measured: every case of every workload, and which of them a short run takes.

import { formatSize, parseSize } from "./lib/frames.js";
import { PEERS } from "./peers/index.js";
import { serversFor } from "./servers/index.js";

export const WORKLOADS = [
  "parse",
  "encode",
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
        const short = role === "server" && touched;
        const whole = text ? from(16, upTo(full ? 1048576 : 65536)) : SIZES;
        const few = full || short ? whole : whole.filter((size) => [0, 16, 125].includes(size));
        if (full || role === "server" || kind === "binary") {
          for (const size of few) yield { ...spec, size, chunks: 65536 };
        }
        if (full || (short && !text)) {
          const cut = full ? SIZES : [125, 1024, 16384];
          for (const size of cut) yield { ...spec, size, chunks: 1460 };
          // What is not linear in its chunks would take hours at 1 MiB.
          for (const size of full ? upTo(16384) : [16, 125, 1024]) yield { ...spec, size, chunks: 1 };
          for (const size of full ? from(16) : [1024, 16384]) {
            yield { ...spec, size, chunks: 65536, fragments: 4 };
          }
        }
      }
    }
  }
  // Twice as many fragments of the same size are to cost twice as much, not more.
  for (const fragments of full ? [256, 512, 1024, 2048, 4096, 8192] : [1024, 2048, 4096]) {
    const spec = { role: "server", kind: "binary", touched: true, fragments };
    yield { ...spec, size: fragments * 16, chunks: 65536 };
  }
}

function* encode(full) {
  for (const role of ["client", "server"]) {
    for (const kind of full ? KINDS : ["binary", "ascii"]) {
      const sizes = full ? SIZES : kind === "binary" ? from(16) : [16, 125, 1024];
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
      for (const inFlight of [1, 4, 16, 64]) {
        for (const size of [16, 125, 1024, 16384, 65536]) {
          if (connections * inFlight * size <= MAX_IN_FLIGHT) yield { connections, inFlight, size };
        }
      }
    }
    return;
  }
  yield { connections: 1, inFlight: 1, size: 125 };
  for (const inFlight of [1, 4, 16, 64]) yield { connections: 64, inFlight, size: 125 };
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
  compress: "cpu",
  echo: "cpu",
  broadcast: "cpu",
  handshakes: "cpu",
  memory: "heap",
  windows: "rss", // zlib's memory is in no heap
};

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
      const inProcess = ["parse", "encode", "compress"].includes(workload) || spec.place === "core";
      const all = inProcess ? PEERS : serversFor(runtime);
      const chosen = all.filter((name) => peers === undefined || peers.includes(name));
      if (chosen.length > 0) cases.push({ workload, id, spec, peers: chosen });
    }
  }
  return cases;
}
