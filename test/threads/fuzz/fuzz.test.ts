import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { seedOf } from "../../support/seed.ts";

const SEED = seedOf("FUZZ_THREADS_SEED");
const SECONDS = 20;
const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
// The last run that it begins may wait for the ends of many threads, on a machine that is busy otherwise.
const LIMIT_MS = 300_000;

test(`${SECONDS} s of good and hostile tasks, kills and cancels contradict nothing that they noted (FUZZ_THREADS_SEED=${SEED})`, {
  timeout: LIMIT_MS,
}, async () => {
  const { code, output } = await fuzz("--seconds", String(SECONDS), "--seed", String(SEED));
  expect(code, output).toBe(0);
  expect(output).toMatch(/^\d+ runs, all well\n$/m);
  // One that was refused everything would have seen nothing.
  for (const kind of ["ok", "failed", "canceled, stopped", "canceled, not started"]) expect(output).toContain(`${kind} `);
});

test.each([
  ["--seconds", "soon"],
  ["--seed", "0x1"],
  ["--run", "1.5"],
])("it refuses %s %s", async (name, value) => {
  expect(await fuzz(name, value)).toEqual({ code: 1, output: `${name} ${value}: must be a whole number\n` });
});

function fuzz(...options: string[]): Promise<{ readonly code: unknown; readonly output: string }> {
  return new Promise((resolve) => {
    // Not `node test/...` by way of npm: a signal for the child would not come through.
    execFile(process.execPath, [MAIN, ...options], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), output: `${stdout}${stderr}` });
    });
  });
}
