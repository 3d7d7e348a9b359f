import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "../docs/run.ts";
import { eventually } from "../support/eventually.ts";

const EXAMPLES = fileURLToPath(new URL("../../src/threads/examples/", import.meta.url));
const MOST_LINES = 60;

/** The lines that an example prints. It has to end by itself, and well. */
async function linesOf(example: string): Promise<string[]> {
  const { code, stdout, stderr } = await run(process.execPath, [join(EXAMPLES, example, "main.ts")], { timeoutMs: 60_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.trimEnd().split("\n");
}

test.concurrent("search: one finds the number, and no other searches to the end of its share", async () => {
  const [first, ...searches] = await linesOf("search");
  expect(first).toMatch(/^[0-9a-f]{16}\.\.\. is the hash of 654321$/);
  expect(searches[1]).toBe("search 1 found 654321");
  for (const n of [0, 2, 3]) {
    const [, tried, share] =
      new RegExp(`^search ${n} was stopped \\(found\\) after (\\d+) of (\\d+) numbers$`).exec(searches[n] ?? "") ?? [];
    expect(Number(share)).toBe(2_500_000);
    expect(Number(tried)).toBeLessThan(Number(share));
  }
  expect(searches).toHaveLength(4);
});

test.concurrent("requests: those that are slow are hung up on at the deadline, the others are answered or have failed alone", async () => {
  // Where a thread takes two seconds to start, those that are fast miss the deadline too: not in every run.
  const lines = await eventually(
    "a run that the machine did not hold up",
    () => linesOf("requests"),
    (seen) => !seen.some((line) => /^.(fast|broken).*canceled, deadline$/.test(line)),
  );
  expect(lines).toEqual([
    "/fast/1: this is /fast/1",
    "/slow/2: canceled, deadline",
    "/fast/3: this is /fast/3",
    "/broken/4: failed with 500",
    "/slow/5: canceled, deadline",
    "/fast/6: this is /fast/6",
    "the server saw 2 of 6 requests hang up",
  ]);
});

test.concurrent("tiles: a view that is superseded has most of its tiles never begun, the last view has all", async () => {
  const lines = await linesOf("tiles");
  const views = lines.slice(0, 4).map((line) => (line.match(/\d+(?=,|$)/g) ?? []).map(Number));
  for (const [drawn = 0, stopped = 0, never = 0] of views.slice(0, 3)) {
    expect(drawn).toBeGreaterThan(0);
    expect(drawn + stopped + never).toBe(12);
    // Two threads: what they had, and what had been given to them meanwhile.
    expect(never).toBeGreaterThanOrEqual(8);
  }
  expect(views[3]).toEqual([12, 0, 0]);
  const picture = lines.slice(4);
  expect(picture).toHaveLength(24);
  // The set lies on the real axis and nowhere near the corners.
  expect(picture[12]).toMatch(/#{40}/);
  expect([picture[0], picture[23]].join("")).not.toContain("#");
});

test.each(readdirSync(EXAMPLES))("%s is short", (example) => {
  const lines = readdirSync(join(EXAMPLES, example)).flatMap((file) =>
    readFileSync(join(EXAMPLES, example, file), "utf8")
      .trimEnd()
      .split("\n"),
  );
  expect(lines.length).toBeGreaterThan(10);
  expect(lines.length).toBeLessThan(MOST_LINES);
});
