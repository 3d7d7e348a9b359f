import { afterEach, expect, test } from "vitest";
import { retryAfterMs } from "../../src/resilience/retry-after.ts";

const NOW_MS = Date.UTC(2026, 10, 6, 8, 49, 37);
// The three forms of a date in HTTP, of which only the first two name a zone. Half a minute from now; and one that lies behind.
const HEADERS = ["Fri, 06 Nov 2026 08:50:07 GMT", "Friday, 06-Nov-26 08:50:07 GMT", "Fri Nov  6 08:50:07 2026", "Fri Nov  6 08:49:00 2026"];
const ZONE = process.env.TZ;

afterEach(() => {
  if (ZONE === undefined) delete process.env.TZ;
  else process.env.TZ = ZONE;
});

test.each([
  ["UTC", 0],
  ["Asia/Tokyo", -540],
  ["America/New_York", 300],
  ["Asia/Kathmandu", -345],
])("in %s a date of Retry-After means the same moment as anywhere", (zone, offsetMinutes) => {
  process.env.TZ = zone;
  expect(new Date(NOW_MS).getTimezoneOffset()).toBe(offsetMinutes);
  expect(HEADERS.map((header) => retryAfterMs(header, NOW_MS))).toEqual([30_000, 30_000, 30_000, 0]);
});
