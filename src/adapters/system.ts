import { portableUtf8 } from "../bytes/utf8.js";
import type { Platform } from "../platform.js";
import type { Host } from "./pump.js";

// What Node, Deno and Bun give a connection alike: entropy, time, UTF-8 coding, timers.

/** Random words are drawn from the system in bulk. */
const POOL_SIZE = 2048;
const pool = new Int32Array(POOL_SIZE);
let drawn = POOL_SIZE;

/** Below this many bytes or code units the portable coding is faster than a call into the engine. */
const NATIVE_FROM = 64;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** What the system gives a connection: entropy, time, and UTF-8 coding. */
export const systemPlatform: Platform = {
  random() {
    if (drawn === POOL_SIZE) {
      crypto.getRandomValues(pool);
      drawn = 0;
    }
    const word = pool[drawn] as number;
    pool[drawn++] = 0; // a key that was used is not left lying around
    return word;
  },
  clock: () => performance.now(),
  utf8: {
    decode(bytes, start, end) {
      if (end - start < NATIVE_FROM) return portableUtf8.decode(bytes, start, end);
      try {
        return decoder.decode(bytes.subarray(start, end));
      } catch {
        return undefined; // not UTF-8
      }
    },
    encodeInto(text, target, offset) {
      if (text.length < NATIVE_FROM) return portableUtf8.encodeInto(text, target, offset);
      return offset + encoder.encodeInto(text, target.subarray(offset)).written;
    },
    byteLength: (text) => Buffer.byteLength(text),
  },
};

/** The longest delay that the timers know, in milliseconds; a longer one would fire at once. */
export const MAX_DELAY: number = 2 ** 31 - 1;

/** The system's clock and timers; errors go to the console. */
export const systemHost: Host = {
  now: () => performance.now(),
  after(milliseconds, run) {
    if (milliseconds === Infinity) return () => undefined;
    // After the poll phase: what arrived while the process was busy is life, and is read first.
    const timer = setTimeout(() => setImmediate(run), Math.min(milliseconds, MAX_DELAY)).unref();
    return () => {
      clearTimeout(timer);
    };
  },
  report: (error) => {
    console.error("sansocket: a handler failed:", error);
  },
};
