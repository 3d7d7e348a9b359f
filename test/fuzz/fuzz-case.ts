import { mutated } from "./mutations.ts";
import { Random } from "./random.ts";
import { fuzzRequest, type ListenerName } from "./requests.ts";

/** How a client leaves: when all is answered, at once with its own side only, or at once with a reset. */
export type Ending = "after_answers" | "half_close" | "reset";

/** What one connection sends. */
export interface FuzzCase {
  readonly n: number;
  readonly listener: ListenerName;
  /** The bytes, in the pieces in which they are written. */
  readonly pieces: readonly Buffer[];
  readonly requests: number;
  readonly ending: Ending;
  /** The `X-Request-Id`s in the order in which they were sent; none where nobody can tell any more. */
  readonly ids: readonly string[];
  /** The statuses that each answer may have; absent where nobody can tell how many there will be. */
  readonly expected?: readonly (readonly number[])[];
  /** The server has to end the connection after the last of the expected answers, because nobody can tell where the next request begins. */
  readonly closes: boolean;
}

/** The n-th case of a seed: the same each time it is asked for. */
export function fuzzCase(seed: number, n: number): FuzzCase {
  const random = new Random(seed, n);
  const listener = random.chance(0.15) ? "admin" : "public";
  const count = random.pick([1, 1, 2, 3, 6]);
  const made = Array.from({ length: count }, (_, k) => {
    const id = `f${n}-${k}`;
    return { id, ...fuzzRequest(random, listener, id) };
  });
  // Whatever comes behind a request that ends the connection is not looked at, so mostly that comes last.
  if (random.chance(0.8)) made.sort((a, b) => Number(a.closes) - Number(b.closes));
  const joined = Buffer.concat(made.map(({ bytes }) => bytes));
  const intact = random.chance(0.7);
  const bytes = intact ? joined : mutated(random, joined);
  const ending = random.pick<Ending>([...Array<Ending>(7).fill("after_answers"), "half_close", "reset"]);

  const closing = made.findIndex(({ closes }) => closes);
  const answered = closing < 0 ? made : made.slice(0, closing + 1);
  const expected = answered.map(({ statuses }) => statuses).filter((statuses) => statuses !== undefined);
  const predictable = intact && ending === "after_answers" && expected.length === answered.length;
  return {
    n,
    listener,
    pieces: inPieces(random, bytes),
    requests: count,
    ending,
    ids: intact ? made.map(({ id }) => id) : [],
    ...(predictable && { expected }),
    closes: closing >= 0,
  };
}

function inPieces(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  let rest = bytes;
  while (rest.length > 0 && pieces.length < 20) {
    const piece = rest.subarray(0, random.chance(0.6) ? rest.length : 1 + random.below(random.pick([3, 100, rest.length])));
    pieces.push(piece);
    rest = rest.subarray(piece.length);
  }
  if (rest.length > 0) pieces.push(rest);
  return pieces;
}
