import { evenedContests, summarizeAll } from "./stats.js";

/** At least this many rounds, however small the budget. */
const MIN_ROUNDS = 5;

/**
 * Interleaves contestants round by round, each round in another order, so that nobody always follows the same one, until the budget is used up.
 * @param {{ name: string, sample(): Promise<Record<string, number>> }[]} contestants
 * @param {number} budget in milliseconds
 * @returns {Promise<Map<string, { samples?: object[], measures?: object, error?: string }>>} samples as they are; measures without the machine's phases
 */
export async function interleave(contestants, budget) {
  const samples = new Map(contestants.map(({ name }) => [name, []]));
  const failed = new Map();
  const started = performance.now();
  for (let round = 0; round < MIN_ROUNDS || performance.now() - started < budget; round++) {
    for (const { name, sample } of shuffled(contestants)) {
      if (failed.has(name)) continue;
      try {
        samples.get(name).push(await sample());
      } catch (error) {
        failed.set(name, String(error instanceof Error ? error.message : error));
      }
    }
    if (failed.size === contestants.length) break;
  }
  for (const name of failed.keys()) samples.delete(name);
  const [even] = evenedContests([samples]);
  return new Map(
    contestants.map(({ name }) => {
      if (failed.has(name)) return [name, { error: failed.get(name) }];
      return [name, { samples: samples.get(name), measures: summarizeAll(even.get(name)) }];
    }),
  );
}

function shuffled(list) {
  const rest = [...list];
  return list.map(() => rest.splice(Math.floor(Math.random() * rest.length), 1)[0]);
}
