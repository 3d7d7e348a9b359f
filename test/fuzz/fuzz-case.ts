import { Random, words } from "./random.ts";
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

const TELLING = [
  ...words`: HTTP/1.1 chunked %00 { " , ; -`,
  "\r\n",
  "\r\n\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  "\t",
  "0\r\n\r\n",
  "\u00ff",
  "\u007f",
];

/** The bytes with a few of them changed, taken away, doubled or put in, or cut off somewhere. */
function mutated(random: Random, bytes: Buffer): Buffer {
  let result = bytes;
  for (let times = 1 + random.below(3); times > 0; times--) result = once(random, result);
  return result;
}

function once(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(random.pick([1, 4, 40])));
  const [before, within, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
  switch (random.below(7)) {
    case 0:
      return Buffer.concat([before, after]);
    case 1:
      return Buffer.concat([before, within, within, after]);
    case 2:
      return Buffer.concat([before, Buffer.from(random.pick(TELLING), "latin1"), within, after]);
    case 3:
      return Buffer.concat([before, Buffer.from(within.map((byte) => byte ^ (1 << random.below(8)))), after]);
    case 4:
      return Buffer.concat([before, Buffer.from(within.map(() => random.below(256))), after]);
    case 5:
      return Buffer.concat([before, Buffer.from(random.pick(TELLING), "latin1").subarray(0, within.length), after]);
    default:
      return random.chance(0.5) ? before : Buffer.concat([after, before]);
  }
}
