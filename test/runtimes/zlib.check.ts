// The contract of a DEFLATE codec on whatever runtime this runs on, bundled. Exits with 1 where something does not hold. Node and Deno
// must hand out their garbage collector (--expose-gc, --v8-flags=--expose-gc).

import { zlibCodec } from "../../src/adapters/zlib.js";
import type { DeflateCodec } from "../../src/deflate/codec.js";
import type { Check } from "../support/deflate-contract.js";
import { CONTRACT, deflate, expectThat, inflate, prose } from "../support/deflate-contract.js";

const { gc, Bun } = globalThis as {
  readonly gc?: () => void;
  readonly Bun?: { gc(force: boolean): void };
};

/** Frees what nobody holds; what is to be done then is done in a later turn. */
async function collect(): Promise<void> {
  if (Bun !== undefined) Bun.gc(true);
  else if (gc !== undefined) gc();
  else throw new Error("there is no garbage collector to be called");
  await new Promise<void>((done) => setTimeout(done, 10));
}

/** Uses codecs that each hold 200 KiB or more, and drops them. */
function drop(codec: DeflateCodec, count: number): void {
  for (let times = 0; times < count; times++) {
    inflate(codec.inflator(15), deflate(codec.deflator(15, 6), prose(6000)));
  }
}

async function checkGarbage(codec: DeflateCodec): Promise<void> {
  const each = 200;
  const rounds = 10;
  const round = async (): Promise<number> => {
    drop(codec, each);
    await collect();
    await collect();
    return process.memoryUsage().rss;
  };
  await round();
  const before = await round();
  let after = before;
  for (let times = 0; times < rounds; times++) after = await round();
  const grown = Math.round((after - before) / rounds / each / 1024);
  expectThat(grown < 50, `each that is dropped leaves ${grown} KiB behind`);
}

const codec = zlibCodec();
if (codec === undefined) throw new Error("there is no platform codec");

const checks: readonly (Omit<Check, "run"> & { run(codec: DeflateCodec): void | Promise<void> })[] = [
  ...CONTRACT,
  { name: "what is dropped without release gives its memory back", run: checkGarbage },
];
let failures = 0;
for (const check of checks) {
  try {
    await check.run(codec);
  } catch (error) {
    failures++;
    console.log(`FAILED: ${check.name}:`, error);
  }
}
console.log(`${checks.length} checks, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
