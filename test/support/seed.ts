/** The seed of a randomized test: a new one each time, or the one given in the environment to see a failure again. */
export function seedOf(variable: string): number {
  const given = process.env[variable];
  return given === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(given);
}
