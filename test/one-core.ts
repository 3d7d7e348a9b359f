import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";

const USAGE = `usage: npm run test:one-core -- [--repeat N] [files or folders of tests]

Runs the tests on one core that a busy loop wants too (Linux): all of them, or those that are named. A test that depends on how fast the
machine is fails here first. The whole suite takes ten minutes a run. Ends with 1 when a run fails.

  --repeat N  runs (default: 1)
`;

const CORE = "0";
// Vitest itself, not npx: to end that would leave its child.
const VITEST = [process.execPath, "node_modules/vitest/vitest.mjs", "run", "--config", "test/vitest.config.ts", "--reporter=dot"];
const NO_USAGE = 2;

/** Its processes, to be ended in whatever way this one ends. */
const children = new Set<ChildProcess>();

function onOneCore(command: readonly string[]): ChildProcess {
  const child = spawn("taskset", ["-c", CORE, ...command], { stdio: ["ignore", "inherit", "inherit"] });
  children.add(child);
  child.once("exit", () => children.delete(child));
  child.once("error", ({ message }) => {
    refuse(message);
    process.exit();
  });
  return child;
}

async function passes(tests: readonly string[]): Promise<boolean> {
  const [code] = await once(onOneCore([...VITEST, ...tests]), "exit");
  return code === 0;
}

async function repeat(runs: number, tests: readonly string[]): Promise<void> {
  // It ends by itself too, where this process is killed and ends nothing any more.
  onOneCore([process.execPath, "-e", `while (process.ppid === ${process.pid});`]);
  let failed = 0;
  for (let run = 1; run <= runs; run++) {
    const startMs = performance.now();
    const passed = await passes(tests);
    if (!passed) failed++;
    const seconds = Math.round((performance.now() - startMs) / 1_000);
    process.stdout.write(`run ${run} of ${runs} on one core beside a busy loop: ${passed ? "passed" : "FAILED"} in ${seconds} s\n`);
  }
  process.stdout.write(`${runs - failed} runs passed, ${failed} failed\n`);
  process.exit(failed === 0 ? 0 : 1);
}

function refuse(reason: string): void {
  process.stderr.write(`${reason}\n`);
  process.exitCode = NO_USAGE;
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { repeat: { type: "string", default: "1" }, help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) process.stdout.write(USAGE);
  else if (!/^[1-9]\d{0,3}$/.test(values.repeat)) refuse(`--repeat ${values.repeat}: must be a whole number, 1 or more`);
  else if (process.platform !== "linux") refuse("test:one-core needs taskset, so it runs on Linux only");
  else {
    process.once("exit", () => {
      for (const child of children) child.kill("SIGKILL");
    });
    for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
    void repeat(Number(values.repeat), positionals);
  }
}

try {
  main();
} catch (error) {
  // An option that there is not.
  refuse((error as Error).message);
}
