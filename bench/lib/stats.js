/** The value at `share` (0 to 1) of the sorted values, between two of them by proportion. */
export function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.ceil(place);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** Median and quartiles: one slow round moves neither. */
export function summarize(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    q1: quantile(sorted, 0.25),
    q3: quantile(sorted, 0.75),
    n: sorted.length,
  };
}

/** The same for each key that the samples have. */
export function summarizeAll(samples) {
  return Object.fromEntries(
    Object.keys(samples[0]).map((key) => [key, summarize(samples.map((sample) => sample[key]))]),
  );
}

/** What each process takes. */
const mediansOf = (processes, key) =>
  processes.map((samples) => summarize(samples.map((sample) => sample[key])).median);

/**
 * The samples of several processes together. `apart`: half of what lies between the lowest and the highest of their medians: rounds say
 * nothing about what differs from process to process.
 */
export function summarizeTogether(processes) {
  const measures = summarizeAll(processes.flat());
  for (const [key, summary] of Object.entries(measures)) {
    const medians = mediansOf(processes, key);
    summary.apart = (Math.max(...medians) - Math.min(...medians)) / 2;
  }
  return measures;
}

/** Whether no process takes more than `most` times what another takes. */
export function agree(processes, key, most) {
  const medians = mediansOf(processes, key);
  return Math.max(...medians) <= most * Math.min(...medians);
}

/**
 * Where the median lies, near enough with 95 %: the notch of a box plot, 1.57 interquartile ranges over the root of n, and no less than
 * what lies between processes.
 */
export function notch({ median, q1, q3, n, apart = 0 }) {
  const half = Math.max((1.57 * (q3 - q1)) / Math.sqrt(n), apart);
  return [Math.max(0, median - half), median + half];
}
