import { UsageError } from "../../errors.js";

// The native handle below `node:zlib`: how each platform calls its own, found out by watching.

/** As much of `node:zlib` as the codec stands on. */
export interface ZlibModule {
  createInflateRaw(): object;
  deflateRawSync(bytes: Uint8Array): Uint8Array;
  inflateRawSync(
    bytes: Uint8Array,
    options: { readonly windowBits: number; readonly chunkSize: number },
  ): Uint8Array;
}

export interface Handle {
  onerror: () => void;
  init(...args: unknown[]): unknown;
  writeSync(...args: unknown[]): unknown;
  reset(): void;
  close(): void;
}

type HandleClass = new (mode: number) => Handle;

// As zlib and the handles' `mode` count them.
export const NO_FLUSH = 0;
export const SYNC_FLUSH = 2;
export const BLOCK = 5;
export const DEFLATE_RAW = 5;
export const INFLATE_RAW = 6;

/** zlib's default. Less saves nothing that counts: the hash table and the window stay as large. */
const MEM_LEVEL = 8;
const STRATEGY = 0;

/** Below this many bytes a loop is faster than making a view. */
const COPY_LOOP = 64;

const MAX_WINDOW = 1 << 15;

/** More than any count. */
const UNTOLD = 0xffffffff;

export const EMPTY: Uint8Array = new Uint8Array(0);

/** Takes what nobody reads. */
export const scratch: Uint8Array = new Uint8Array(MAX_WINDOW);

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
export class Native {
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

export function copy(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void {
  if (end - start > COPY_LOOP) {
    target.set(source.subarray(start, end), at);
    return;
  }
  for (let from = start, to = at; from < end; from++, to++) target[to] = source[from] as number;
}

export function released(): UsageError {
  return new UsageError("bad-state", "the codec was released");
}

export function requireRange(bytes: Uint8Array, start: number, end: number): void {
  if (!(start >= 0 && start <= end && end <= bytes.length)) {
    throw new UsageError("bad-argument", `[${start}, ${end}) must lie within the ${bytes.length} bytes`);
  }
}

export function live(handle: Handle | undefined): Handle {
  if (handle === undefined) throw released();
  return handle;
}
