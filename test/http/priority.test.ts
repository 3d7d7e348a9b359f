import { expect, test } from "vitest";
import { readUrgency } from "../../src/http/priority.ts";

test.each([
  [undefined, 3],
  ["", 3],
  ["u=0", 0],
  ["u=7", 7],
  ["u=5, i", 5],
  ["i, u=1", 1],
  ["  u=2  ", 2],
  ["u=4;q=1", 4],
  ["U=1", 3],
  ["u=8", 3],
  ["u=-1", 3],
  ["u=01", 3],
  ["u=1.0", 3],
  ['u="1"', 3],
  ["u", 3],
  ["u=?1", 3],
  ["u = 1", 3],
  ["urgency=1", 3],
  ["x=u=1", 3],
  ['note="a, u=0", u=6', 6],
  ['note="a, u=0"', 3],
  ["u=1, u=6", 6],
  ["u=1, u=nonsense", 3],
  ["?, =, u=2, ;;", 2],
])("%j has urgency %d", (header, urgency) => {
  expect(readUrgency(header)).toBe(urgency);
});
