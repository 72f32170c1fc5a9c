// Measures what a codec of permessage-deflate holds for one connection that takes its context over, each cell in a
// process of its own. Prints the table of docs/compression.md; with --write it puts it there. dist/ has to be built.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { portableDeflate } from "sansocket";
import { nodePlatform } from "sansocket/node";

const CODECS = { zlib: nodePlatform.deflate, portable: portableDeflate };
const BITS = [15, 12, 10, 9, 8];
/** What has gone through: one small message, or more than any window. */
const SIZES = [2048, 262_144];
/** So many are held at once: the more, the less the machine's own ups and downs count. */
const COUNTS = [4000, 500];
/** A small nursery, so that the engine's own room is not counted. */
const FLAGS = ["--expose-gc", "--min-semi-space-size=1", "--max-semi-space-size=1"];
const PAGE = new URL("../docs/compression.md", import.meta.url);

/** Letters without a pattern: there is much to remember of them. */
function letters(size) {
  let word = 1;
  return Uint8Array.from({ length: size }, () => {
    word = (word * 75 + 74) % 65_537;
    return 97 + ((word >>> 4) % 26);
  });
}

function drain(codec, bytes, last, target) {
  codec.push(bytes, 0, bytes.length, last);
  let size = 0;
  for (let at = target.length; at === target.length; size += at) at = codec.pull(target, 0, target.length);
  return size;
}

/** Memory in KiB: what is resident, and what the engine knows of. Pages that were free before hide some of it from the first. */
function memory() {
  globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  return [rss / 1024, (heapUsed + external) / 1024];
}

/** The memory of one codec in KiB, in a process that has measured nothing else. */
function measure(name, kind, bits, size) {
  const codec = CODECS[name];
  const target = new Uint8Array(2 * size);
  const text = letters(size);
  const deflator = codec.deflator(bits, 5);
  const coded = target.slice(0, drain(deflator, text, true, target) - 4);
  const make = () => {
    if (kind === "deflator") {
      const made = codec.deflator(bits, 5);
      drain(made, text, true, target);
      return made;
    }
    const made = codec.inflator(bits);
    drain(made, coded, false, target);
    if (!made.end()) throw new Error("the message was not whole");
    return made;
  };
  const warm = Array.from({ length: 20 }, make);
  const count = COUNTS[SIZES.indexOf(size)];
  const kept = [];
  const before = memory();
  for (let index = 0; index < count; index++) {
    kept.push(make());
    if (index % (count >> 6) === 0) globalThis.gc(); // what is outgrown is not what is held
  }
  const after = memory();
  for (const made of [...warm, ...kept]) made.release();
  return Math.max(...after.map((now, index) => (now - before[index]) / count));
}

const [name, kind, bits, size] = process.argv.slice(2);
if (kind !== undefined) {
  process.stdout.write(String(measure(name, kind, Number(bits), Number(size))));
} else {
  const script = fileURLToPath(import.meta.url);
  const cell = (...args) => {
    const printed = execFileSync(process.execPath, [...FLAGS, script, ...args.map(String)], {
      encoding: "utf8",
    });
    return `${Math.max(Math.round(Number(printed)), 1)} KiB`;
  };
  const rows = Object.keys(CODECS).flatMap((codec) =>
    BITS.map((windowBits) => {
      const cells = ["deflator", "inflator"].flatMap((each) =>
        SIZES.map((through) => cell(codec, each, windowBits, through)),
      );
      return `| ${[codec, windowBits, ...cells].join(" | ")} |`;
    }),
  );
  const table = [
    "| codec | window bits | deflator, after 2 KiB | after 256 KiB | inflator, after 2 KiB | after 256 KiB |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
    "",
    `Node ${process.versions.node}, ${process.platform} ${process.arch}.`,
  ].join("\n");
  console.log(table);
  if (name === "--write") {
    const marks = /(<!-- codec-memory -->)[^]*(<!-- \/codec-memory -->)/;
    const text = readFileSync(PAGE, "utf8").replace(marks, `$1\n\n${table}\n\n$2`);
    writeFileSync(PAGE, await format(text, { parser: "markdown", ...(await resolveConfig(PAGE)) }));
  }
}
