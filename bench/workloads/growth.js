// What grows, step by step, each twice the step before: a cost that is linear doubles with it. Each step is a case of `parse`.

import { LINEAR } from "../cases.js";
import { summarize } from "../lib/stats.js";

const SMALL = 16;
/** A masked frame with so much in it. */
const SMALL_FRAME = 22;
const CUT = 262144;

/**
 * Every step's stream has as many bytes as that of the last, so that no step has less of its input in the caches than another: it is as
 * many works as make it up.
 * @param {{ role: string, kind: string, axis: string, steps: number[] }} spec
 */
export function stepSpec({ role, kind, axis, steps }, step) {
  const works = worksOf({ axis, steps }, step);
  const spec = { role, kind, touched: true, fragments: 1, chunks: 65536, messages: works };
  switch (axis) {
    case "messages":
      return { ...spec, size: SMALL, messages: works * step, chunks: step * SMALL_FRAME };
    case "size":
      return { ...spec, size: step };
    case "fragments":
      return { ...spec, size: step * SMALL, fragments: step };
    case "chunks":
      return { ...spec, size: step * SMALL, chunks: SMALL };
    case "cuts":
      return { ...spec, size: CUT, chunks: CUT / step };
    default:
      throw new Error(`nothing grows along ${axis}`);
  }
}

/** How many works there are in a step's stream. */
export const worksOf = ({ axis, steps }, step) => (axis === "cuts" ? 1 : steps[steps.length - 1] / step);

/**
 * What the rounds say, each of them the time of the work at each step: `steps` has them with their own doublings, `measures.doubling` the
 * (geometric) mean of those from the first step to the last, and `linear` whether that is one. The mean, for any one of them may have the
 * edge of a cache in it, also where bytes are only moved; what is quadratic takes four times as long each time.
 * @param {{ steps: readonly number[] }} spec
 * @param {readonly Record<number, number>[]} samples nanoseconds by step
 */
export function growthOf({ steps }, samples) {
  const reached = steps.filter((step) => samples[0][step] !== undefined);
  const last = reached.length - 1;
  const told = reached.map((step, i) => {
    const cpu = summarize(samples.map((times) => times[step]));
    if (i === 0) return { step, cpu };
    return { step, cpu, doubling: summarize(samples.map((times) => times[step] / times[reached[i - 1]])) };
  });
  const doubling = summarize(
    samples.map((times) => (times[reached[last]] / times[reached[0]]) ** (1 / last)),
  );
  return {
    measures: { doubling },
    linear: doubling.median <= LINEAR,
    steps: told,
    // The steps behind the last one that was reached took too long.
    ...(reached.length < steps.length ? { stopped: reached[last] } : {}),
  };
}
