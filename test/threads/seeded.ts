/** The seed of a randomized test: a new one each time, or the one given in the environment to see a failure again. */
export function seedOf(variable: string): number {
  const given = process.env[variable];
  return given === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(given);
}

/** Numbers from 0 to 1 that depend on nothing but the seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
