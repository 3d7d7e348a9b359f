import { expect, test } from "vitest";
import { readPriority } from "../../src/http/priority.ts";

test.each([
  [undefined, 1],
  ["", 1],
  ["u=0", 0],
  ["u=2", 0],
  ["u=3", 1],
  ["u=4", 2],
  ["u=7", 2],
  ["u=5, i", 2],
  ["i, u=1", 0],
  ["  u=2  ", 0],
  ["u=4;q=1", 2],
  ["U=1", 1],
  ["u=8", 1],
  ["u=-1", 1],
  ["u=01", 1],
  ["u=1.0", 1],
  ['u="1"', 1],
  ["u", 1],
  ["u=?1", 1],
  ["u = 1", 1],
  ["urgency=1", 1],
  ["x=u=1", 1],
  ['note="a, u=0", u=6', 2],
  ['note="a, u=0"', 1],
  ["u=1, u=6", 2],
  ["u=1, u=nonsense", 1],
  ["?, =, u=2, ;;", 0],
])("%j has priority %d", (header, priority) => {
  expect(readPriority(header)).toBe(priority);
});
