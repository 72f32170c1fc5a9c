import * as zlib from "node:zlib";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { findZlibCodec, zlibCodec } from "../../src/adapters/zlib.js";
import type { ZlibModule } from "../../src/adapters/zlib.js";
import type { DeflateCodec } from "../../src/deflate/codec.js";
import { UsageError } from "../../src/errors.js";
import { concat, CONTRACT, deflate, expectSame, inflate, noise, prose } from "../support/deflate-contract.js";
import { holds } from "../support/property.js";

const found = zlibCodec();
if (found === undefined) throw new Error("there is no platform codec on this Node");
const codec: DeflateCodec = found;

describe("the contract of a DEFLATE codec", () => {
  it.each(CONTRACT)("$name", (check) => {
    check.run(codec);
  });
});

describe("what is sent", () => {
  it("is what RFC 7692 7.2.3.1 and 7.2.3.2 show", () => {
    const deflator = codec.deflator(15, 6);
    const hello = new TextEncoder().encode("Hello");
    expect(deflate(deflator, hello)).toEqual(Uint8Array.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00));
    expect(deflate(deflator, hello)).toEqual(Uint8Array.of(0xf2, 0x00, 0x11, 0x00, 0x00));
    deflator.release();
  });
});

describe("what a peer sends", () => {
  it("lets nobody else's code run while it is found to be wrong", async () => {
    let ran = false;
    const later = new Promise<void>((done) => {
      process.nextTick(() => {
        ran = true;
        done();
      });
    });
    const inflator = codec.inflator(15);
    expect(inflate(inflator, Uint8Array.of(7))).toBeUndefined();
    inflator.release();
    expect(ran).toBe(false);
    await later;
  });
});

describe("properties", () => {
  const limits = fc.record({
    chunk: fc.integer({ min: 1, max: 3000 }),
    room: fc.integer({ min: 1, max: 3000 }),
  });
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.nat(6000), fc.nat(1000)).map(([size, seed]) => prose(size, seed)),
    fc.tuple(fc.nat(6000), fc.nat(1000)).map(([size, seed]) => noise(size, seed)),
  );

  holds(
    "messages with takeover and resets, any chunks and room: zlib and the codec read one another",
    100,
    fc.property(
      fc.integer({ min: 8, max: 15 }),
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.record({ message, out: limits, in: limits, reset: fc.boolean() }), { maxLength: 12 }),
      (windowBits, level, steps) => {
        const [deflator, inflator] = [codec.deflator(windowBits, level), codec.inflator(windowBits)];
        const all: Uint8Array[] = [];
        for (const step of steps) {
          if (step.reset) {
            deflator.reset();
            inflator.reset();
          }
          const payload = deflate(deflator, step.message, step.out.chunk, step.out.room);
          expectSame(inflate(inflator, payload, step.in.chunk, step.in.room), step.message, "round trip");
          all.push(payload, Uint8Array.of(0, 0, 255, 255));
        }
        const plain = zlib.inflateRawSync(concat(all), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
        expectSame(plain, concat(steps.map((step) => step.message)), "to zlib");
        deflator.release();
        inflator.release();
      },
    ),
  );

  holds(
    "any bytes: an answer, and the same on any chunks and room",
    300,
    fc.property(fc.uint8Array({ maxLength: 100 }), limits, (bytes, { chunk, room }) => {
      const [whole, parts] = [codec.inflator(15), codec.inflator(15)];
      const one = inflate(whole, bytes);
      const other = inflate(parts, bytes, chunk, room);
      expect(other).toEqual(one);
      whole.release();
      parts.release();
    }),
  );

  holds(
    "it deflates as small as zlib does",
    50,
    fc.property(message, fc.integer({ min: 1, max: 9 }), (bytes, level) => {
      const deflator = codec.deflator(15, level);
      const flushed = zlib.deflateRawSync(bytes, { level, finishFlush: zlib.constants.Z_SYNC_FLUSH });
      expect(deflate(deflator, bytes)).toHaveLength(flushed.length === 0 ? 1 : flushed.length - 4);
      deflator.release();
    }),
  );
});

describe("a caller's mistakes", () => {
  it.each([7, 16, 9.5, NaN])("windowBits of %s", (windowBits) => {
    expect(() => codec.inflator(windowBits)).toThrow(UsageError);
    expect(() => codec.deflator(windowBits, 6)).toThrow(UsageError);
  });

  it.each([-1, 0, 10, 1.5, NaN])("level of %s", (level) => {
    expect(() => codec.deflator(15, level)).toThrow(UsageError);
  });

  it.each([
    [0, 11, 0, 10],
    [5, 4, 0, 10],
    [-1, 4, 0, 10],
    [0, 10, 0, 11],
    [0, 10, -1, 5],
    [NaN, 10, 0, 10],
  ])("input [%s, %s) and output [%s, %s) of arrays of 10 bytes", (from, to, start, end) => {
    const bytes = new Uint8Array(10).fill(0x55);
    const [inflator, deflator] = [codec.inflator(15), codec.deflator(15, 6)];
    expect(() => {
      inflator.push(bytes, from, to);
      inflator.pull(new Uint8Array(10), start, end);
    }).toThrow(UsageError);
    expect(() => {
      deflator.push(bytes, from, to, true);
      deflator.pull(new Uint8Array(10), start, end);
    }).toThrow(UsageError);
  });

  it("use after release", () => {
    const [inflator, deflator] = [codec.inflator(15), codec.deflator(15, 6)];
    inflator.release();
    deflator.release();
    const target = new Uint8Array(10);
    for (const use of [
      () => inflator.pull(target, 0, 10),
      () => inflator.end(),
      () => {
        inflator.reset();
      },
      () => deflator.pull(target, 0, 10),
      () => {
        deflator.reset();
      },
    ]) {
      expect(use).toThrow(UsageError);
    }
  });
});

interface Handle {
  onerror: () => void;
  init: (...args: unknown[]) => unknown;
  writeSync: (...args: unknown[]) => unknown;
  reset: () => void;
  close: () => void;
}

interface HandleClass {
  new (mode: number): Handle;
  readonly prototype: Handle;
}

const { _handle: real } = zlib.createInflateRaw() as unknown as { _handle: Handle };
const RealHandle = real.constructor as HandleClass;
const { init: realInit, writeSync: realWrite } = RealHandle.prototype;

/** A zlib whose streams stand on `Class`, called with these arguments by its own functions. */
function zlibOn(
  Class: HandleClass,
  { init = [new Uint32Array(2), () => undefined, undefined] as unknown[], write = [] as unknown[] } = {},
): ZlibModule {
  return {
    createInflateRaw: () => {
      const _handle = new Class(6);
      // Node ends the process where a handle is collected that was never initialized.
      if (_handle instanceof RealHandle) {
        Reflect.apply(realInit, _handle, [15, -1, 8, 0, new Uint32Array(2), () => undefined, undefined]);
      }
      return { _handle, close: () => undefined };
    },
    deflateRawSync: zlib.deflateRawSync,
    inflateRawSync: (bytes: Uint8Array, options: { windowBits: number; chunkSize: number }) => {
      const handle = new Class(6);
      handle.init(options.windowBits, -1, 8, 0, ...init);
      const target = new Uint8Array(options.chunkSize);
      handle.writeSync(4, bytes, 0, bytes.length, target, 0, target.length, ...write);
      return target;
    },
  };
}

/** The real handle, wrong in one thing. */
function faulty(faults: Partial<Handle>): ZlibModule {
  class Faulty extends RealHandle {}
  Object.assign(Faulty.prototype, { init: realInit, writeSync: realWrite }, faults);
  return zlibOn(Faulty);
}

describe("a platform on which the handle is not what it was: no codec, so that the portable one takes its place", () => {
  it("the stand-in itself works while nothing is wrong with it", () => {
    expect(findZlibCodec(faulty({}))).toBeDefined();
  });

  const without = (name: "createInflateRaw" | "inflateRawSync" | "deflateRawSync"): ZlibModule => ({
    ...zlibOn(RealHandle),
    [name]: () => {
      throw new Error("not here");
    },
  });

  it.each<readonly [string, ZlibModule]>([
    ["no createInflateRaw", without("createInflateRaw")],
    ["no inflateRawSync", without("inflateRawSync")],
    ["no deflateRawSync", without("deflateRawSync")],
    ["streams have no handle", { ...zlib, createInflateRaw: () => ({ close: () => undefined }) }],
    ["its functions do not use the handle", { ...zlibOn(RealHandle), inflateRawSync: () => Buffer.of() }],
    [
      "a write that does nothing",
      faulty({
        writeSync: () => undefined,
      }),
    ],
    [
      "a write that throws",
      faulty({
        writeSync: () => {
          throw new Error("no");
        },
      }),
    ],
    [
      "a write that flushes in another way",
      faulty({
        writeSync(this: Handle, flush, ...rest) {
          return Reflect.apply(realWrite, this, [flush === 5 ? 2 : flush, ...rest]);
        },
      }),
    ],
    [
      "a write that leaves errors out",
      faulty({
        writeSync(this: Handle, ...args) {
          this.onerror = () => undefined;
          return Reflect.apply(realWrite, this, args);
        },
      }),
    ],
    [
      "a reset that does nothing",
      faulty({
        reset: () => undefined,
      }),
    ],
    [
      "a close that throws",
      faulty({
        close: () => {
          throw new Error("no");
        },
      }),
    ],
    [
      "a window larger than asked for",
      faulty({
        init(this: Handle, windowBits, ...rest) {
          return Reflect.apply(realInit, this, [windowBits === 9 ? 10 : windowBits, ...rest]);
        },
      }),
    ],
    [
      "counts that come in the other order",
      faulty({
        init(this: Handle & { counts?: Uint32Array }, ...args) {
          this.counts = args[4] as Uint32Array;
          return Reflect.apply(realInit, this, args);
        },
        writeSync(this: Handle & { counts?: Uint32Array }, ...args) {
          Reflect.apply(realWrite, this, args);
          this.counts?.reverse();
        },
      }),
    ],
  ])("%s", (_, broken) => {
    expect(findZlibCodec(broken)).toBeUndefined();
  });

  it.each<readonly [string, { readonly init?: unknown[]; readonly write?: unknown[] }]>([
    ["init takes no dictionary", { init: [new Uint32Array(2), () => undefined] }],
    ["init takes one argument more", { init: [new Uint32Array(2), () => undefined, undefined, 7] }],
    ["init takes no counts", { init: [() => undefined, undefined] }],
    ["a write takes one argument more", { write: [1] }],
  ])("%s: the handle is not even touched, as Node would end the process", (_, args) => {
    let calls = 0;
    class Watched {
      onerror = (): void => undefined;
      declare init: () => void;
      declare writeSync: () => void;
      declare reset: () => void;
      declare close: () => void;
    }
    const count = (): void => {
      calls++;
    };
    const methods = { init: count, writeSync: count, reset: count, close: count };
    Object.assign(Watched.prototype, methods);
    expect(findZlibCodec(zlibOn(Watched, args))).toBeUndefined();
    expect(calls).toBe(2); // the platform's own
    expect(Watched.prototype).toMatchObject(methods);
  });

  it("its methods are the platform's own again afterwards", () => {
    const before = [RealHandle.prototype.init, RealHandle.prototype.writeSync];
    findZlibCodec(zlib);
    expect([RealHandle.prototype.init, RealHandle.prototype.writeSync]).toEqual(before);
  });
});
