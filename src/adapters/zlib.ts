// DEFLATE by the platform's zlib, on Node, Deno and Bun. All three build their zlib streams on the same native handle, which writes
// synchronously, resumes at any byte and tells how much it read and wrote. Nothing that is documented can do that: the functions that
// end in Sync are one-shot, so that a bomb could not be pulled in parts. As the handle is documented nowhere, and Node ends the process
// where it is called in a wrong way, its use is copied from the platform's own and then tried out; if anything is not as expected there
// is no codec here, and the portable one takes its place.

import * as nodeZlib from "node:zlib";

import type { DeflateCodec, Deflator, Inflator } from "../deflate/codec.js";
import { UsageError } from "../errors.js";
import type { SharedHandle } from "./zlib/deflator.js";
import { boundOf, ZlibDeflator } from "./zlib/deflator.js";
import type { ZlibModule } from "./zlib/handle.js";
import { DEFLATE_RAW, Native, scratch } from "./zlib/handle.js";
import { ZlibInflator } from "./zlib/inflator.js";

export type { ZlibModule } from "./zlib/handle.js";

function check(name: string, value: number, least: number, most: number): void {
  if (!(Number.isInteger(value) && value >= least && value <= most)) {
    throw new UsageError("bad-option", `${name} is an integer from ${least} to ${most}`);
  }
}

function codecOf(native: Native): DeflateCodec {
  const shared = new Map<number, SharedHandle>();
  return {
    inflator(windowBits) {
      check("windowBits", windowBits, 8, 15);
      return new ZlibInflator(native, windowBits);
    },
    deflator(windowBits, level) {
      check("windowBits", windowBits, 8, 15);
      check("level", level, 1, 9);
      // zlib has no raw window of 8. With 9 it looks back by 2^9 less its lookahead of 262, which is within 2^8; that is tried out.
      const bits = Math.max(windowBits, 9);
      const key = bits * 16 + level;
      let handle = shared.get(key);
      if (handle === undefined) {
        handle = { handle: native.open(DEFLATE_RAW, bits, level), user: undefined };
        shared.set(key, handle);
      }
      return new ZlibDeflator(native, bits, level, handle);
    },
  };
}

function deflated(deflator: Deflator, bytes: Uint8Array, room: number): Uint8Array {
  const output = new Uint8Array(boundOf(bytes.length) + room);
  deflator.push(bytes, 0, bytes.length, true);
  let at = 0;
  for (;;) {
    const to = Math.min(at + room, output.length);
    at = deflator.pull(output, at, to);
    if (at < to) return output.subarray(0, at - 4);
    if (at === output.length) throw new Error("zlib deflates to more than there can be");
  }
}

/** Undefined where it is not a whole message of DEFLATE. */
function inflated(inflator: Inflator, bytes: Uint8Array, size: number, room: number): Uint8Array | undefined {
  const output = new Uint8Array(size + 1);
  inflator.push(bytes, 0, bytes.length);
  let at = 0;
  for (;;) {
    const to = Math.min(at + room, output.length);
    at = inflator.pull(output, at, to);
    if (at < 0) return undefined;
    if (at < to) return inflator.end() ? output.subarray(0, at) : undefined;
    if (at > size) return undefined;
  }
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a?.length === b.length && b.every((byte, at) => a[at] === byte);
}

/** Whether the codec does what it must, tried out once: what a platform changes without notice shows here. */
function works(codec: DeflateCodec, zlib: ZlibModule): boolean {
  // Bytes without pattern, twice: nothing to be found within 300 bytes, much within 1024.
  const noise = new Uint8Array(600);
  for (let at = 0, word = 1; at < 300; at++) {
    word = (word * 75 + 74) % 65537;
    noise[at] = noise[at + 300] = word >>> 3;
  }
  const inflator = codec.inflator(15);
  const deflator = codec.deflator(15, 6);
  const first = deflated(deflator, noise, 1024);
  const again = deflated(deflator, noise, 7); // small outputs
  const third = deflated(deflator, noise, 1024);
  const small = codec.deflator(8, 6);
  const narrow = deflated(small, noise, 1024);
  const narrowInflator = codec.inflator(8);
  const trials: readonly (() => boolean)[] = [
    () => first.length < 400 && again.length < 50 && third.length < 50,
    () => same(inflated(inflator, first, 600, 1024), noise),
    () => same(inflated(inflator, again, 600, 7), noise),
    () => same(inflated(inflator, third, 600, 600), noise),
    // A message cut off, and an empty payload.
    () =>
      inflated(inflator, first.subarray(0, 200), 600, 1024) === undefined &&
      inflator.pull(scratch, 0, 1) === -1,
    () => {
      inflator.reset();
      return !inflator.end();
    },
    // A final block, after which the window goes on.
    () => {
      inflator.reset();
      const final = zlib.deflateRawSync(noise);
      const padded = new Uint8Array(final.length + 1);
      padded.set(final);
      return (
        same(inflated(inflator, padded, 600, 1024), noise) &&
        same(inflated(inflator, again, 600, 1024), noise)
      );
    },
    // Not DEFLATE, and a distance too far.
    () => {
      inflator.reset();
      return inflated(inflator, Uint8Array.of(6, 6, 6), 600, 1024) === undefined;
    },
    () => {
      inflator.reset();
      return inflated(inflator, again, 600, 1024) === undefined;
    },
    // Byte by byte zlib knows nothing but its window of 2^8 bytes.
    () => narrow.length > 550 && same(inflated(narrowInflator, narrow, 600, 1), noise),
  ];
  const passed = trials.every((trial) => trial());
  for (const one of [inflator, deflator, small, narrowInflator]) {
    one.release();
    one.release();
  }
  return passed;
}

/**
 * A codec on the native handle of the platform's zlib. Undefined where that cannot be used safely. `zlib` is `node:zlib`, or a test's.
 *
 * A deflator that has seen 4 KiB or less needs only those. Beyond that it has native memory of its own, and an inflator has from the
 * first byte on: how much is measured in docs/compression.md. What is never released goes with the garbage.
 */
export function findZlibCodec(zlib: ZlibModule): DeflateCodec | undefined {
  try {
    const native = Native.find(zlib);
    if (native === undefined) return undefined;
    const codec = codecOf(native);
    return works(codec, zlib) ? codec : undefined;
  } catch {
    return undefined; // it is not as it is known here: that is the answer
  }
}

let found: { readonly codec: DeflateCodec | undefined } | undefined;

/** The codec of this platform, where it has one. The first call tries it out, which takes some milliseconds. */
export function zlibCodec(): DeflateCodec | undefined {
  found ??= { codec: findZlibCodec(nodeZlib) };
  return found.codec;
}
