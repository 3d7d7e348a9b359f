import { expect, test } from "vitest";
import { experimentNamed, experimentNames } from "../../load/lab/experiments.ts";
import { PAGES, SCRIPTS } from "./pages.ts";
import { entryPoints, run } from "./run.ts";

const AT_A_TIME = 2;
// A script that does not know --help starts its work, which may take minutes.
const LONGEST_MS = 60_000;
/** Scripts that run a file of this project; the others run programs with options of their own. */
const ours = Object.entries(SCRIPTS).filter(([, script]) => entryPoints(script).length > 0);

// Without npm, which would double the time.
test("every script answers --help with its own name, and does nothing else", async () => {
  const left = [...ours];
  const silent: string[] = [];
  const client = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [name, script] = next;
      const usage = name === "start" ? "usage: npm start" : `usage: npm run ${name}`;
      const files = entryPoints(script);
      const answers = await Promise.all(files.map((file) => run(process.execPath, [file, "--help"], { timeoutMs: LONGEST_MS })));
      const isFine =
        files.length === 1 && answers.every(({ code, stdout, stderr }) => code === 0 && stderr === "" && stdout.includes(usage));
      if (!isFine) silent.push(`${name}: ${JSON.stringify(answers)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, client));
  expect(silent).toEqual([]);
  expect(ours.length).toBeGreaterThan(12);
});

const BENCH = "load/lab/bench.ts";

test("every experiment is in the list with its question and on the page, and answers --help with its own name", async () => {
  const { stdout } = await run(process.execPath, [BENCH]);
  for (const name of experimentNames()) {
    const { question } = await experimentNamed(name);
    expect(PAGES.get("docs/performance.md")).toContain(`\`${name}\``);
    expect(stdout).toMatch(new RegExp(`^  ${name} +${RegExp.escape(question)}$`, "m"));
  }
  const { code, stdout: help, stderr } = await run(process.execPath, [BENCH, "journal", "--help"]);
  expect({ code, stderr, help }).toMatchObject({ code: 0, stderr: "", help: expect.stringContaining("usage: npm run bench -- journal ") });
});

test("the lab names an experiment and an option that it does not know, and a size that is none", async () => {
  const [missing, unknown, none] = await Promise.all([
    run(process.execPath, [BENCH, "journals"]),
    run(process.execPath, [BENCH, "cancel", "--nonsense"]),
    run(process.execPath, [BENCH, "cancel", "--orders", "few"]),
  ]);
  expect(missing).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^there is no experiment "journals"[^\n]*\n$/) });
  expect(unknown).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^[^\n]*--nonsense[^\n]*\n$/) });
  expect(none).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(/^--orders few: must be a whole number[^\n]*\n$/) });
});
