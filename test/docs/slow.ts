import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { experimentNames } from "../../load/lab/experiments.ts";
import { CHROMIUM } from "../support/browser.ts";
import { SCRIPTS } from "./pages.ts";
import { helpFaultOf, ours, type Ran, type RunOptions, run } from "./run.ts";
import { CAMPAIGNS, EXPERIMENTS, OTHERS, SMALL_RUNS } from "./small-runs.ts";

const npmRun = (name: string, args: string | undefined, options?: RunOptions): Promise<Ran> =>
  run("sh", ["-c", `npm run --silent ${name} -- ${args}`], options);

function directoryHere(): string {
  const directory = mkdtempSync(join(tmpdir(), "docs-run-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test("every experiment and campaign is here", () => {
  expect(Object.keys(EXPERIMENTS).sort()).toEqual(experimentNames());
  expect(Object.keys(SCRIPTS).filter((name) => name.startsWith("campaign:") && !(name in SMALL_RUNS))).toEqual([]);
});

test("every script answers --help with its own name, and does nothing else", async () => {
  for (const name of ours) expect(await helpFaultOf(name)).toBe(undefined);
});

describe("an experiment with small sizes measures what it says, met or missed", () => {
  test.each(Object.entries(EXPERIMENTS))("%s %s", async (name, sizes) => {
    const results = directoryHere();
    const { code, stdout, stderr } = await npmRun("bench", `${name} ${sizes} --results ${results}`);
    if (code === 1 && /^[^\n]*: this needs .*\n$/.test(stderr)) {
      console.log(`left out: ${stderr}`);
      return;
    }
    const verdicts = stdout.match(/^(met|MISSED) /gm) ?? [];
    expect({ code, verdicts: verdicts.length, stdout, stderr }).toMatchObject({
      code: verdicts.some((verdict) => verdict.startsWith("MISSED")) ? 1 : 0,
      verdicts: expect.toSatisfy((count: number) => count > 0),
      stderr: expect.not.stringMatching(/Error|^ +at /m),
    });
    const { targets, variants } = JSON.parse(readFileSync(join(results, `${name}.json`), "utf8"));
    expect([targets.length, variants.length > 0]).toEqual([verdicts.length, true]);
  });
});

test("npm run lab writes figures and a report of them", async () => {
  const directory = directoryHere();
  const report = join(directory, "report.html");
  await npmRun("lab", `${OTHERS.lab} --results ${directory} --report ${report}`);
  expect(JSON.parse(readFileSync(join(directory, "cancel.json"), "utf8")).name).toBe("cancel");
  expect(readFileSync(report, "utf8")).toContain("<html");
});

describe("a campaign with small sizes finds nothing wrong", () => {
  test.each(Object.entries(CAMPAIGNS))("%s %s", async (name, sizes) => {
    const { code, stdout, stderr } = await npmRun(name, sizes);
    expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: expect.stringMatching(/^met /m) });
  });
});

test("npm run load finds nothing wrong", async () => {
  const { code, stderr } = await npmRun("load", `${OTHERS.load} --results ${directoryHere()}`);
  expect({ code, stderr }).toMatchObject({ code: 0 });
});

test("npm run fuzz finds nothing wrong", async () => {
  const { code, stdout } = await npmRun("fuzz", OTHERS.fuzz);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/all well/) });
});

test("npm run fuzz:threads finds nothing wrong", async () => {
  const { code, stdout } = await npmRun("fuzz:threads", OTHERS["fuzz:threads"]);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/all well/) });
});

test("npm run demo leaves nothing behind", async () => {
  const directory = directoryHere();
  const { code, stderr } = await npmRun("demo", OTHERS.demo, { env: { TMPDIR: directory, PORT: "0", ADMIN_PORT: "0" } });
  expect({ code, stderr, left: readdirSync(directory) }).toEqual({ code: 0, stderr: "", left: [] });
});

// All schedules with three preemptions take too long even here; one part of them shows that the command works.
test("npm run test:schedules runs one part of it", async () => {
  const { code, stdout } = await npmRun("test:schedules", OTHERS["test:schedules"]);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/\d+ schedules: Capacity/) });
});

test("npm run test:mutants finds a fault in one file", async () => {
  const { code, stdout } = await npmRun("test:mutants", OTHERS["test:mutants"]);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/1 faults, 1 found, 0 not\n$/) });
});

test.skipIf(process.platform !== "linux")("npm run test:one-core runs some of the tests on one core, twice", async () => {
  const { code, stdout } = await npmRun("test:one-core", OTHERS["test:one-core"]);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/2 runs passed, 0 failed\n$/) });
});

test("npm run test:add-step runs some of the tests in a copy with a further step", async () => {
  const { code, stdout } = await npmRun("test:add-step", OTHERS["test:add-step"]);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/Tests .*passed/) });
});

test.skipIf(CHROMIUM === undefined)("npm run screenshots makes every picture", async () => {
  const directory = directoryHere();
  const { code, stdout, stderr } = await npmRun("screenshots", `--to ${directory}`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const pictures = readdirSync(directory).sort();
  expect(pictures.length).toBeGreaterThan(50);
  expect(stdout.trim().split("\n").sort()).toEqual(pictures.map((name) => join(directory, name)));
});
