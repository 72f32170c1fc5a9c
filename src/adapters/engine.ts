import { portableUtf8 } from "../bytes/utf8.js";
import { UsageError } from "../errors.js";
import { quote } from "../handshake/headers.js";
import type { Platform } from "../platform.js";
import type { Host } from "./pump.js";
import { simdMask, simdMaskInto } from "./simd.js";

// What engines with an event loop have in common, whoever made them: browsers, workers, Deno, Bun, Node.

/** The globals that are used, as far as they are. */
interface Engine {
  readonly console: { error(...data: readonly unknown[]): void };
  readonly crypto: { getRandomValues(array: Int32Array): unknown };
  readonly performance: { now(): number };
  readonly TextDecoder: new (
    label: string,
    options: { readonly fatal: boolean; readonly ignoreBOM: boolean },
  ) => { decode(bytes: Uint8Array): string };
  readonly TextEncoder: new () => Encoder;
  readonly URL: new (url: string) => { readonly href: string };
  /** Browsers have none. */
  setImmediate?(run: () => void): unknown;
  setTimeout(run: () => void, milliseconds?: number): Timer;
  clearTimeout(timer: Timer): void;
}

/** Part of a `TextEncoder`. */
interface Encoder {
  encodeInto(text: string, target: Uint8Array): { readonly read: number; readonly written: number };
}

/** A number in browsers; elsewhere it may be told not to keep the process alive. */
type Timer = number | { unref?(): unknown };

const engine = globalThis as unknown as Engine;

/** Random words are drawn in bulk. */
const POOL_SIZE = 2048;
const pool = new Int32Array(POOL_SIZE);
let drawn = POOL_SIZE;

/** Below this many bytes or code units the portable coding is faster than a call into the engine. */
const NATIVE_FROM = 64;
let decoder: { decode(bytes: Uint8Array): string } | undefined;
let encoder: Encoder | undefined;

/** What the Web's globals give a connection: entropy (`crypto`), time (`performance`), and UTF-8 coding. */
export const webPlatform: Platform = {
  random() {
    if (drawn === POOL_SIZE) {
      engine.crypto.getRandomValues(pool);
      drawn = 0;
    }
    const word = pool[drawn] as number;
    pool[drawn++] = 0; // a key that was used is not left lying around
    return word;
  },
  clock: () => engine.performance.now(),
  utf8: {
    decode(bytes, start, end) {
      if (end - start < NATIVE_FROM) return portableUtf8.decode(bytes, start, end);
      decoder ??= new engine.TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
      try {
        return decoder.decode(bytes.subarray(start, end));
      } catch {
        return undefined; // not UTF-8
      }
    },
    encodeInto(text, target, offset) {
      if (text.length < NATIVE_FROM) return portableUtf8.encodeInto(text, target, offset);
      encoder ??= new engine.TextEncoder();
      const { read, written } = encoder.encodeInto(text, target.subarray(offset));
      const end = offset + written;
      const left = text.length - read;
      if (left === 0) return end;
      if (left > target.length - end) return target.length; // it does not fit
      // Node 26 stops early where the target has no byte to spare.
      return portableUtf8.encodeInto(text.slice(read), target, end);
    },
    byteLength: (text) => portableUtf8.byteLength(text),
  },
  mask: simdMask,
  maskInto: simdMaskInto,
};

/** The longest delay that timers know, in milliseconds; a longer one would fire at once. */
export const MAX_DELAY: number = 2 ** 31 - 1;

/** The engine's clock and timers; errors go to the console. */
export const webHost: Host = {
  now: () => engine.performance.now(),
  after(milliseconds, run, awaited = false) {
    if (milliseconds === Infinity) return () => undefined;
    // After the poll phase, or once more around the loop: what arrived while the thread was busy is life, and is read first.
    let isOff = false;
    const due = (): void => {
      // Made when it is due: every connection has a timer that waits.
      const now = (): void => {
        if (!isOff) run();
      };
      if (engine.setImmediate === undefined) engine.setTimeout(now);
      else engine.setImmediate(now);
    };
    const timer = engine.setTimeout(due, Math.min(milliseconds, MAX_DELAY));
    if (!awaited && typeof timer === "object") timer.unref?.();
    return () => {
      isOff = true;
      engine.clearTimeout(timer);
    };
  },
  report: (error) => {
    engine.console.error("sansocket: a handler failed:", error);
  },
};

/**
 * A URL in ASCII: the engine percent-encodes what has to be, and writes other alphabets so.
 * @throws {UsageError} "bad-url"
 */
export function hrefOf(url: string | { readonly href: string }): string {
  try {
    return new engine.URL(typeof url === "string" ? url : url.href).href;
  } catch {
    throw new UsageError("bad-url", `${quote(url)} is no WebSocket URL`);
  }
}
