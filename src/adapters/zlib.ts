// DEFLATE by the platform's zlib, on Node, Deno and Bun. All three build their zlib streams on the same native handle, which writes
// synchronously, resumes at any byte and tells how much it read and wrote. Nothing that is documented can do that: the functions that
// end in Sync are one-shot, so that a bomb could not be pulled in parts. As the handle is documented nowhere, and Node ends the process
// where it is called in a wrong way, its use is copied from the platform's own and then tried out; if anything is not as expected there
// is no codec here, and the portable one takes its place.

import * as nodeZlib from "node:zlib";

import type { DeflateCodec, Deflator, Inflator } from "../deflate/codec.js";
import { UsageError } from "../errors.js";

/** As much of `node:zlib` as the codec stands on. */
export type ZlibModule = Pick<typeof nodeZlib, "createInflateRaw" | "deflateRawSync" | "inflateRawSync">;

interface Handle {
  onerror: () => void;
  init(...args: unknown[]): unknown;
  writeSync(...args: unknown[]): unknown;
  reset(): void;
  close(): void;
}

type HandleClass = new (mode: number) => Handle;

// As zlib and the handles' `mode` count them.
const NO_FLUSH = 0;
const SYNC_FLUSH = 2;
const BLOCK = 5;
const DEFLATE_RAW = 5;
const INFLATE_RAW = 6;

/** zlib's default. Less saves nothing that counts: the hash table and the window stay as large. */
const MEM_LEVEL = 8;
const STRATEGY = 0;

/** Below this many bytes a loop is faster than making a view. */
const COPY_LOOP = 64;

const MAX_WINDOW = 1 << 15;

/** More than any count. */
const UNTOLD = 0xffffffff;

const EMPTY = new Uint8Array(0);

/** Takes what nobody reads. */
const scratch = new Uint8Array(MAX_WINDOW);

/**
 * The ways in which platforms call their own handle. They differ in where the array goes that takes the counts of what is left of output
 * and input.
 */
interface Dialect {
  readonly init: string;
  readonly write: string;
  readonly countsAtWrite: boolean;
  /** A handle that was never closed gives its memory back with the garbage. */
  readonly collected: boolean;
  initArgs(windowBits: number, level: number, counts: Uint32Array, written: () => void): unknown[];
}

const nodeArgs: Dialect["initArgs"] = (windowBits, level, counts, written) => [
  windowBits,
  level,
  MEM_LEVEL,
  STRATEGY,
  counts,
  written,
  undefined,
];

const DIALECTS: readonly Dialect[] = [
  // Node until 24, Bun
  {
    init: "number number number number counts function undefined",
    write: "number bytes number number bytes number number",
    countsAtWrite: false,
    collected: true,
    initArgs: nodeArgs,
  },
  // Node 26: whether bytes after the end are an error
  {
    init: "number number number number counts function undefined boolean",
    write: "number bytes number number bytes number number",
    countsAtWrite: false,
    collected: true,
    initArgs: (...args) => [...nodeArgs(...args), false],
  },
  // Deno
  {
    init: "number number number number function undefined",
    write: "number bytes number number bytes number number counts",
    countsAtWrite: true,
    collected: false,
    initArgs: (windowBits, level, _counts, written) => [
      windowBits,
      level,
      MEM_LEVEL,
      STRATEGY,
      written,
      undefined,
    ],
  },
];

/** What would be called after a write that is not synchronous. */
const written = (): void => undefined;

function describe(args: readonly unknown[]): string {
  return args
    .map((arg) => (arg instanceof Uint32Array ? "counts" : arg instanceof Uint8Array ? "bytes" : typeof arg))
    .join(" ");
}

/** Runs `run`, and gives back with what arguments `target`'s methods were called meanwhile, each of them once. */
function watch(
  target: object,
  names: readonly string[],
  run: () => void,
): (readonly unknown[])[] | undefined {
  const calls = new Map<string, readonly unknown[]>();
  let again = false;
  const originals = names.map((name) => ({ name, is: Object.getOwnPropertyDescriptor(target, name) }));
  try {
    for (const { name, is } of originals) {
      const method: unknown = is?.value;
      if (is === undefined || typeof method !== "function") return undefined;
      Object.defineProperty(target, name, {
        ...is,
        value(this: unknown, ...args: unknown[]): unknown {
          if (calls.has(name)) again = true;
          calls.set(name, args);
          return Reflect.apply(method, this, args);
        },
      });
    }
    run();
  } finally {
    for (const { name, is } of originals) if (is !== undefined) Object.defineProperty(target, name, is);
  }
  const found = names.map((name) => calls.get(name));
  return again || found.includes(undefined) ? undefined : (found as (readonly unknown[])[]);
}

/** The native zlib: opens handles, and writes through them. One write at a time, so that all share where the counts come to. */
class Native {
  /** After a write: room that is left in the output, and bytes that are left of the input. */
  readonly counts: Uint32Array = new Uint32Array(2);
  private readonly Handle: HandleClass;
  private readonly dialect: Dialect;
  private failed = false;
  private readonly onerror = (): void => {
    this.failed = true;
  };

  private readonly abandoned = new FinalizationRegistry<Handle>((handle) => {
    handle.close();
  });

  private constructor(Handle: HandleClass, dialect: Dialect) {
    this.Handle = Handle;
    this.dialect = dialect;
  }

  /** Undefined where the platform does not call its handle in one of the ways that are known here. */
  static find(zlib: ZlibModule): Native | undefined {
    const stream = zlib.createInflateRaw() as unknown as { _handle: Handle; close(): void };
    const Handle = stream._handle.constructor as HandleClass;
    stream.close();
    const block = Uint8Array.of(3, 0); // the smallest there is, and empty
    const calls = watch(Handle.prototype as object, ["init", "writeSync"], () => {
      zlib.inflateRawSync(block, { windowBits: 10, chunkSize: 1024 });
    });
    const [init = [], write = []] = calls ?? [];
    const dialect = DIALECTS.find(
      (known) => known.init === describe(init) && known.write === describe(write),
    );
    if (dialect === undefined || init[0] !== 10 || init[2] !== MEM_LEVEL) return undefined;
    if (write[2] !== 0 || write[3] !== block.length || write[5] !== 0 || write[6] !== 1024) return undefined;
    return new Native(Handle, dialect);
  }

  /** Who has an `owner` is closed with it. */
  open(mode: number, windowBits: number, level: number, owner?: object): Handle {
    const handle = new this.Handle(mode);
    handle.onerror = this.onerror;
    handle.init(...this.dialect.initArgs(windowBits, level, this.counts, written));
    if (owner !== undefined && !this.dialect.collected) this.abandoned.register(owner, handle, handle);
    return handle;
  }

  close(handle: Handle): void {
    this.abandoned.unregister(handle);
    handle.close();
  }

  /** False where the input is not DEFLATE. */
  write(
    handle: Handle,
    flush: number,
    input: Uint8Array,
    from: number,
    to: number,
    output: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    // Again, as arrays can be detached: Node ends the process over a wrong range.
    requireRange(input, from, to);
    requireRange(output, start, end);
    this.failed = false;
    this.counts[0] = this.counts[1] = UNTOLD;
    if (this.dialect.countsAtWrite) {
      handle.writeSync(flush, input, from, to - from, output, start, end - start, this.counts);
    } else {
      handle.writeSync(flush, input, from, to - from, output, start, end - start);
    }
    if (this.failed) return false;
    const { 0: room = UNTOLD, 1: unread = UNTOLD } = this.counts;
    if (room > end - start || unread > to - from) throw new Error("zlib did not tell what it read and wrote");
    return true;
  }
}

/** The last `size` bytes that were added. Grows with them. */
class History {
  private readonly size: number;
  private ring: Uint8Array = EMPTY;
  private next = 0;
  private length = 0;

  constructor(size: number) {
    this.size = size;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    let from = Math.max(start, end - this.size);
    const wanted = Math.min(this.size, this.length + end - from);
    if (wanted > this.ring.length) this.grow(wanted);
    while (from < end) {
      const count = Math.min(end - from, this.ring.length - this.next);
      copy(bytes, from, from + count, this.ring, this.next);
      from += count;
      this.next += count;
      if (this.next === this.size) this.next = 0;
      this.length = Math.min(this.size, this.length + count);
    }
  }

  clear(): void {
    this.next = 0;
    this.length = 0;
  }

  /** The bytes, oldest first, as a stored block (RFC 1951 3.2.4) in parts. */
  asStoredBlock(): readonly Uint8Array[] {
    const low = this.length & 255;
    const high = this.length >>> 8;
    const { ring, next, length } = this;
    return [
      Uint8Array.of(0, low, high, low ^ 255, high ^ 255),
      length < this.size ? EMPTY : ring.subarray(next),
      ring.subarray(0, length < this.size ? length : next),
    ];
  }

  /** Only before it has come round, so that the bytes lie in order from the ring's beginning. */
  private grow(wanted: number): void {
    let capacity = 256;
    while (capacity < wanted) capacity *= 2;
    const ring = new Uint8Array(Math.min(capacity, this.size));
    ring.set(this.ring.subarray(0, this.length));
    this.ring = ring;
    this.next = this.length;
  }
}

function copy(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void {
  if (end - start > COPY_LOOP) {
    target.set(source.subarray(start, end), at);
    return;
  }
  for (let from = start, to = at; from < end; from++, to++) target[to] = source[from] as number;
}

/** What a sender leaves out of a message's end (RFC 7692 7.2.1), and one byte that nobody should want. */
const TAIL = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0xff);

/** Final blocks that a message may have before they must be this many bytes long on average: each costs a window's copy. */
const FREE_RESTARTS = 64;
const BYTES_PER_RESTART = 64;

/**
 * Of a window smaller than 2^15 zlib takes care only where it must look back past what this pull has written. So a peer that breaks the
 * agreed window may be understood, or not, by how much is pulled at once; nothing but its own message is hurt.
 */
class ZlibInflator implements Inflator {
  private readonly native: Native;
  private readonly history: History;
  private handle: Handle | undefined;
  private bytes: Uint8Array = EMPTY;
  private position = 0;
  private limit = 0;
  /** The last pull was filled, so that there may be more although all input was read. */
  private filled = false;
  private failed = false;
  private restarts = 0;
  private received = 0;

  constructor(native: Native, windowBits: number) {
    this.native = native;
    this.history = new History(1 << windowBits);
    this.handle = native.open(INFLATE_RAW, windowBits, 0, this);
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    requireRange(bytes, start, end);
    this.bytes = bytes;
    this.position = start;
    this.limit = end;
    this.received += end - start;
  }

  pull(target: Uint8Array, start: number, end: number): number {
    const handle = live(this.handle);
    const { native } = this;
    if (this.failed) return -1;
    let at = start;
    while (at < end && (this.position < this.limit || this.filled)) {
      if (!native.write(handle, SYNC_FLUSH, this.bytes, this.position, this.limit, target, at, end)) {
        this.failed = true;
        return -1;
      }
      const room = native.counts[0] as number;
      const unread = native.counts[1] as number;
      this.history.add(target, at, end - room);
      at = end - room;
      this.position = this.limit - unread;
      this.filled = room === 0;
      // With room left zlib reads on to the end of its input, or of a final block.
      if (unread > 0 && room > 0 && !this.restart(handle)) {
        this.failed = true;
        return -1;
      }
    }
    if (!this.filled && this.position === this.limit) this.bytes = EMPTY; // not pinned while idle
    return at;
  }

  end(): boolean {
    const handle = live(this.handle);
    if (this.failed) return false;
    // With BLOCK zlib stops at the end of a block. So there it must have read the four bytes, all of them, to no output.
    const room = 16;
    const { counts } = this.native;
    const read = this.native.write(handle, BLOCK, TAIL, 0, TAIL.length, scratch, 0, room);
    this.failed = !read || counts[0] !== room || counts[1] !== 1;
    this.restarts = 0;
    this.received = 0;
    return !this.failed;
  }

  reset(): void {
    live(this.handle).reset();
    this.history.clear();
    this.bytes = EMPTY;
    this.position = this.limit = 0;
    this.filled = this.failed = false;
    this.restarts = this.received = 0;
  }

  release(): void {
    if (this.handle !== undefined) this.native.close(this.handle);
    this.handle = undefined;
    this.bytes = EMPTY;
  }

  /** After a final block further blocks follow, and may look back past it (RFC 7692 7.2.3.4): zlib begins anew with the window. */
  private restart(handle: Handle): boolean {
    this.restarts++;
    const read = this.received - (this.limit - this.position); // not what is there: that depends on chunks
    if (this.restarts > FREE_RESTARTS + read / BYTES_PER_RESTART) return false;
    handle.reset();
    return this.history
      .asStoredBlock()
      .every((part) =>
        this.native.write(handle, SYNC_FLUSH, part, 0, part.length, scratch, 0, scratch.length),
      );
  }
}

/** A handle that deflators share while they are young; what it remembers is `user`'s window. */
interface SharedHandle {
  readonly handle: Handle;
  user: ZlibDeflator | undefined;
}

/** As long as a deflator has seen no more bytes than this it has no handle of its own, which costs far more than the rest. */
const YOUNG = 4096;

/** No deflated bytes are longer, the flush at their end included. */
const boundOf = (length: number): number => length + (length >>> 3) + (length >>> 6) + 64;

/** The empty stored block, and the bits before it. */
const MARK_ROOM = 16;

class ZlibDeflator implements Deflator {
  private readonly native: Native;
  private readonly windowBits: number;
  private readonly level: number;
  private readonly shared: SharedHandle;
  private handle: Handle | undefined;
  private released = false;
  /** What went through a shared handle, so that any handle can be brought there. */
  private young: Uint8Array = EMPTY;
  private age = 0;

  private bytes: Uint8Array = EMPTY;
  private position = 0;
  private limit = 0;
  /** What is to be done with the input. `mark`: it is compressed, and the empty stored block is to come. */
  private stage: "idle" | "feed" | "flush" | "mark" = "idle";
  /** zlib holds bytes that came since the last flush. */
  private begun = false;
  /** What did not find room. */
  private spill: Uint8Array = EMPTY;

  constructor(native: Native, windowBits: number, level: number, shared: SharedHandle) {
    this.native = native;
    this.windowBits = windowBits;
    this.level = level;
    this.shared = shared;
  }

  push(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    requireRange(bytes, start, end);
    this.bytes = bytes;
    this.position = start;
    this.limit = end;
    this.stage = last ? "flush" : "feed";
  }

  pull(target: Uint8Array, start: number, end: number): number {
    if (this.released) throw released();
    let at = start;
    while (at < end) {
      if (this.spill.length > 0) {
        const count = Math.min(this.spill.length, end - at);
        copy(this.spill, 0, count, target, at);
        this.spill = this.spill.subarray(count);
        at += count;
        continue;
      }
      if (this.stage === "idle") break;
      at = this.write(target, at, end);
    }
    if (this.stage === "idle") this.bytes = EMPTY; // not pinned while idle
    return at;
  }

  reset(): void {
    if (this.released) throw released();
    this.handle?.reset();
    this.forget();
  }

  release(): void {
    if (this.handle !== undefined) this.native.close(this.handle);
    this.handle = undefined;
    this.forget();
    this.released = true;
    this.young = EMPTY;
  }

  private forget(): void {
    if (this.shared.user === this) this.shared.user = undefined;
    this.age = 0;
    this.stage = "idle";
    this.begun = false;
    this.bytes = this.spill = EMPTY;
  }

  /**
   * One step. zlib repeats the empty stored block where a flush is called again, and a full output leaves open whether it was written.
   * So without room for all there can be, the data's end is one step, and the empty block another.
   */
  private write(target: Uint8Array, at: number, end: number): number {
    const { native } = this;
    if (this.stage === "mark") {
      const fits = end - at >= MARK_ROOM;
      const output = fits ? target : new Uint8Array(MARK_ROOM);
      const from = fits ? at : 0;
      const to = fits ? end : MARK_ROOM;
      const written = to - this.run(this.own(), SYNC_FLUSH, output, from, to);
      this.stage = "idle";
      this.begun = false;
      if (fits) return written;
      this.spill = output.subarray(0, written);
      return at;
    }
    const length = this.limit - this.position;
    const whole = this.stage === "flush" && !this.begun && end - at >= boundOf(length);
    if (whole && this.handle === undefined && this.age + length <= YOUNG) {
      const handle = this.borrow();
      this.remember(length);
      const room = this.run(handle, SYNC_FLUSH, target, at, end);
      this.stage = "idle";
      return end - room;
    }
    const flush = this.stage === "feed" ? NO_FLUSH : whole ? SYNC_FLUSH : BLOCK;
    const room = this.run(this.own(), flush, target, at, end);
    this.position = this.limit - (native.counts[1] as number);
    this.begun = !whole;
    if (room > 0) this.stage = this.stage === "feed" || whole ? "idle" : "mark";
    return end - room;
  }

  /** Returns the room that is left. */
  private run(handle: Handle, flush: number, target: Uint8Array, at: number, end: number): number {
    if (!this.native.write(handle, flush, this.bytes, this.position, this.limit, target, at, end)) {
      throw new Error("zlib cannot deflate: no memory");
    }
    return this.native.counts[0] as number;
  }

  private own(): Handle {
    if (this.handle === undefined) {
      this.handle = this.native.open(DEFLATE_RAW, this.windowBits, this.level, this);
      this.bring(this.handle);
      this.young = EMPTY;
      if (this.shared.user === this) this.shared.user = undefined;
    }
    return this.handle;
  }

  /** The shared handle, with our window. */
  private borrow(): Handle {
    const { handle } = this.shared;
    if (this.shared.user !== this) {
      this.shared.user = undefined;
      handle.reset();
      this.bring(handle);
      this.shared.user = this;
    }
    return handle;
  }

  private bring(handle: Handle): void {
    if (this.age > 0) {
      this.native.write(handle, SYNC_FLUSH, this.young, 0, this.age, scratch, 0, scratch.length);
    }
  }

  private remember(length: number): void {
    const age = this.age + length;
    if (age > this.young.length) {
      let capacity = 256;
      while (capacity < age) capacity *= 2;
      const grown = new Uint8Array(capacity);
      grown.set(this.young.subarray(0, this.age));
      this.young = grown;
    }
    copy(this.bytes, this.position, this.limit, this.young, this.age);
    this.age = age;
  }
}

function released(): UsageError {
  return new UsageError("bad-state", "the codec was released");
}

function requireRange(bytes: Uint8Array, start: number, end: number): void {
  if (!(start >= 0 && start <= end && end <= bytes.length)) {
    throw new UsageError("bad-argument", `[${start}, ${end}) must lie within the ${bytes.length} bytes`);
  }
}

function live(handle: Handle | undefined): Handle {
  if (handle === undefined) throw released();
  return handle;
}

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
