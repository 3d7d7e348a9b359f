import { expect, test } from "vitest";
import { retryAfterMs } from "../../src/resilience/retry-after.ts";

const NOW_MS = Date.UTC(2026, 10, 6, 8, 49, 37);
const HOUR_MS = 3_600_000;

test.each([
  [undefined, undefined],
  ["", undefined],
  ["soon", undefined],
  ["-1", undefined],
  ["1.5", undefined],
  ["2026", 2_026_000],
  ["0", 0],
  [" 7 ", 7_000],
  ["3600", HOUR_MS],
  ["3601", HOUR_MS],
  ["9".repeat(30), HOUR_MS],
  ["Fri, 06 Nov 2026 08:50:07 GMT", 30_000],
  ["Friday, 06-Nov-26 08:50:07 GMT", 30_000],
  ["Fri Nov  6 08:50:07 2026", 30_000],
  ["Fri, 06 Nov 2026 08:49:00 GMT", 0],
  ["Fri, 06 Nov 2027 08:49:00 GMT", HOUR_MS],
  ["Fri, 99 Nov 2026 08:49:00 GMT", undefined],
])("Retry-After: %s asks for %s ms", (header, expected) => {
  expect(retryAfterMs(header, NOW_MS)).toBe(expected);
});
