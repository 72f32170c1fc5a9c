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

/** How often the shares of rounds and contestants are looked for: they hardly change after a few times. */
const POLISHINGS = 10;

/**
 * What the machine's slow seconds did to samples that were taken in turn, taken out of them: what a round took more of everybody is the machine's, not
 * anybody's. Each row of `table` is a contestant's, each column a round's. Tukey's median polish of the logarithms tells the share of each round; all are
 * brought to that of the median round. Where there are fewer than three contestants, or a sample of 0, nothing is known, and all stays as it is.
 * @param {number[][]} table
 * @returns {number[][]}
 */
export function evened(table) {
  if (table.length < 3 || !table.flat().every((value) => value > 0)) return table;
  const rest = table.map((row) => row.map(Math.log));
  const shares = rest[0].map(() => 0);
  for (let i = 0; i < POLISHINGS; i++) {
    for (const row of rest) {
      const level = summarize(row).median;
      for (let round = 0; round < row.length; round++) row[round] -= level;
    }
    for (let round = 0; round < shares.length; round++) {
      const share = summarize(rest.map((row) => row[round])).median;
      for (const row of rest) row[round] -= share;
      shares[round] += share;
    }
  }
  const typical = summarize(shares).median;
  return table.map((row) => row.map((value, round) => value / Math.exp(shares[round] - typical)));
}

/**
 * The same for whole samples: contests of the same contestants, each a map of their samples, which are alike in number and in their keys.
 * @param {Map<string, Record<string, number>[]>[]} contests
 * @returns {Map<string, Record<string, number>[]>[]}
 */
export function evenedContests(contests) {
  const names = [...contests[0].keys()];
  const all = names.map((name) => contests.flatMap((contest) => contest.get(name)));
  const keys = Object.keys(all[0]?.[0] ?? {});
  const tables = new Map(keys.map((key) => [key, evened(all.map((row) => row.map((one) => one[key])))]));
  let first = 0;
  return contests.map((contest) => {
    const from = first;
    first += contest.get(names[0])?.length ?? 0;
    return new Map(
      names.map((name, row) => [
        name,
        contest
          .get(name)
          .map((_, round) =>
            Object.fromEntries(keys.map((key) => [key, tables.get(key)[row][from + round]])),
          ),
      ]),
    );
  });
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
