import fc from "fast-check";
import { it } from "vitest";

/** Multiplies the number of runs of each property: FUZZ_FACTOR=100 for a long soak. */
const FACTOR = Number(process.env["FUZZ_FACTOR"] ?? 1);

/** A test that `property` holds: `runs` random cases of it, times FUZZ_FACTOR. */
export function holds<T>(name: string, runs: number, property: fc.IProperty<T>): void {
  it(name, { timeout: 30_000 * Math.max(1, FACTOR) }, () => {
    fc.assert(property, { numRuns: Math.ceil(runs * FACTOR) });
  });
}
