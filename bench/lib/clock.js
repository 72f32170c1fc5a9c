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

/**
 * What a batch costs the harness itself: to look at both clocks, and to wait for a turn in which nothing is done. The least of a few
 * means, so that it is rather less than more than it is amid messages.
 */
export async function costOfTurn() {
  const least = { cpu: Infinity, wall: Infinity };
  for (let group = 0; group < 5; group++) {
    const times = { cpu: 0, wall: 0 };
    for (let i = 0; i < 20; i++) {
      const cpuBefore = cpu();
      const wallBefore = wall();
      await turn();
      times.wall += wall() - wallBefore;
      times.cpu += cpu() - cpuBefore;
    }
    for (const key of ["cpu", "wall"]) least[key] = Math.min(least[key], times[key] / 20);
  }
  return least;
}
