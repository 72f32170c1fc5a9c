import type { Platform } from "../platform.js";
import { webPlatform } from "./engine.js";
import { nodeUtf8 } from "./node-utf8.js";
import type { Host } from "./pump.js";
import { zlibCodec } from "./zlib.js";

// What Node, Deno and Bun give a connection alike: besides the Web's globals, Node's own modules and timers.

/** What the system gives a connection: entropy, time, and kernels. */
export const systemPlatform: Platform = {
  ...webPlatform,
  utf8: nodeUtf8,
  get deflate() {
    return zlibCodec(); // found out when it is first needed
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
