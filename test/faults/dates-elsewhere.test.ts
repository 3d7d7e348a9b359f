import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const NOW_MS = Date.UTC(2026, 10, 6, 8, 49, 37);
// The three forms of a date in HTTP, of which only the first two name a zone. Half a minute from now; and one that lies behind.
const HEADERS = ["Fri, 06 Nov 2026 08:50:07 GMT", "Friday, 06-Nov-26 08:50:07 GMT", "Fri Nov  6 08:50:07 2026", "Fri Nov  6 08:49:00 2026"];
const MODULE = join(import.meta.dirname, "../../src/resilience/retry-after.ts");
const PROGRAM = `
  const { retryAfterMs } = await import(${JSON.stringify(MODULE)});
  const waits = ${JSON.stringify(HEADERS)}.map((header) => retryAfterMs(header, ${NOW_MS}));
  process.stdout.write(JSON.stringify({ waits, offsetMinutes: new Date(${NOW_MS}).getTimezoneOffset() }));
`;

test.each([
  ["UTC", 0],
  ["Asia/Tokyo", -540],
  ["America/New_York", 300],
  ["Asia/Kathmandu", -345],
])("in %s a date of Retry-After means the same moment as anywhere", (zone, offsetMinutes) => {
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", PROGRAM], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, TZ: zone },
  });
  expect([child.status, child.stderr]).toEqual([0, ""]);
  expect(JSON.parse(child.stdout)).toEqual({ waits: [30_000, 30_000, 30_000, 0], offsetMinutes });
});
