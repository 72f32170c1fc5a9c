// One clock for every runtime: wall time, and the CPU time of the whole process, its garbage collector's threads included.

const base = performance.now();

/** Nanoseconds. */
export const wall = () => (performance.now() - base) * 1e6;

/** Nanoseconds, user and system time added. */
export function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/** Lets everything run that waits for its turn: ticks, microtasks, immediates. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
