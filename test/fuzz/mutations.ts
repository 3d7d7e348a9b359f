import type { Random } from "./random.ts";

const TELLING = [
  "\r\n",
  "\r\n\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  ":",
  "\t",
  "0\r\n\r\n",
  "HTTP/1.1",
  "chunked",
  "\u00ff",
  "%00",
  "{",
  '"',
  "\u007f",
  ",",
  ";",
  "-",
];

/** The bytes with a few of them changed, taken away, doubled or put in, or cut off somewhere. */
export function mutated(random: Random, bytes: Buffer): Buffer {
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
