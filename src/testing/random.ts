/**
 * Numbers that look random and are the same for the same seed: each call returns a 32-bit integer, as a platform's
 * `random` does. For tests only: whoever sees some of them can tell the rest.
 */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    // A counter with an odd step goes through all 32-bit integers; multiplying and folding scatters them.
    state = (state + 0x61c88647) | 0;
    let word = state;
    for (const factor of [0x2c1b3c6d, 0x297a2d39]) {
      word = Math.imul(word ^ (word >>> 15), factor);
    }
    return word ^ (word >>> 16);
  };
}
