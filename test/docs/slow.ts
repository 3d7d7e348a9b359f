import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SCRIPTS } from "./pages.ts";
import { run } from "./run.ts";

/** Every benchmark, as small as it can be and still do all it does. */
const SMALL: Readonly<Record<string, string>> = {
  "bench:storm": "--seconds 1 --rounds 1",
  "bench:cancel": "--orders 60",
  "bench:waiting": "--orders 200 --processes 1",
  "bench:express": "--warmup 1 --seconds 1 --pairs 1 --processes 1",
  "bench:goroutines": "--seconds 1 --rounds 1",
  "bench:journal": "--seconds 1 --rounds 1",
  "bench:journal-scale": "--orders 2000 --keys",
  "bench:ill-provider": "--seconds 2 --rate 20",
  "bench:hung-vendor": "--seconds 3 --rate 20",
  "bench:backlog": "--compensations 12000 --events 500 --rate 20 --seconds 2",
  "bench:hot-order": "--attempts 500 --seconds 2",
  "bench:retention": "--orders 3000 --rate 10 --seconds 2",
  "bench:telemetry": "--pairs 1",
  "bench:readers": "--seconds 2",
  "bench:overload": "--seconds 3",
  "bench:start": "--pairs 1",
  "bench:pages": "--pages 3 --pairs 1 --seconds 1",
  "bench:page-heap": "--minutes 1 --connections 2",
  "bench:engines": "--seconds 1",
  "bench:tricks": "--processes 1 --pairs 1 --seconds 1 --warmup 1 --orders 200",
  "bench:connections": "--slow 20 --rounds 1 --seconds 1 --opened 500",
};
const NEEDS: Readonly<Record<string, string>> = { "bench:goroutines": "go", "bench:readers": "sqlite3" };

const npmRun = (name: string, args: string) => run("sh", ["-c", `npm run --silent ${name} -- ${args}`]);
const isMissing = async (program: string | undefined) =>
  program !== undefined && (await run("sh", ["-c", `command -v ${program}`])).code !== 0;

test("every benchmark is here", () => {
  expect(Object.keys(SMALL).sort()).toEqual(
    Object.keys(SCRIPTS)
      .filter((name) => name.startsWith("bench:"))
      .sort(),
  );
});

describe("a benchmark with small sizes measures what it says, met or missed", () => {
  test.each(Object.entries(SMALL))("%s %s", async (name, sizes) => {
    if (await isMissing(NEEDS[name])) return console.log(`${name} is left out: there is no ${NEEDS[name]}`);
    const { code, stdout, stderr } = await npmRun(name, sizes);
    const verdicts = stdout.match(/^(met|MISSED) /gm) ?? [];
    expect({ code, verdicts: verdicts.length, stdout, stderr }).toMatchObject({
      code: verdicts.some((verdict) => verdict.startsWith("MISSED")) ? 1 : 0,
      verdicts: expect.toSatisfy((count: number) => count > 0),
      stderr: expect.not.stringMatching(/Error|^ +at /m),
    });
  });
});

test("npm run load finds nothing wrong", async () => {
  const { code, stdout } = await npmRun("load", "--duration 1 --connections 16");
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.not.stringContaining("FAULT") });
});

test("npm run fuzz finds nothing wrong", async () => {
  const { code, stdout } = await npmRun("fuzz", "--requests 3000");
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/all well/) });
});

test("npm run demo leaves nothing behind", async () => {
  const directory = mkdtempSync(join(tmpdir(), "demo-run-"));
  try {
    const { code, stderr } = await run("sh", ["-c", "npm run --silent demo -- --once"], {
      env: { TMPDIR: directory, PORT: "0", ADMIN_PORT: "0" },
    });
    expect({ code, stderr, left: readdirSync(directory) }).toEqual({ code: 0, stderr: "", left: [] });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
