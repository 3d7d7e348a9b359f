import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { CopyWithStep, readGuide } from "./guide.ts";

const USAGE = `usage: npm run test:add-step -- [--keep] [files or folders of tests]

Adds the step of CONTRIBUTING.md, "Add a step", to a copy of the project, and runs the check and the tests there: all of them, or those
that are named, without the ones that are about the three steps (tag three-steps). Takes as long as npm test. Ends with 1 when one fails.

  --keep  leaves the copy where it is
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { keep: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
});
if (values.help) process.stdout.write(USAGE);
else {
  const guide = readGuide();
  const copy = new CopyWithStep(guide);
  process.stdout.write(`the project with the step of ${guide.file}: ${copy.directory}\n`);
  try {
    const complaints = copy.complaints();
    if (complaints.length > 0) process.stdout.write(`the compiler complains:\n${complaints.join("\n")}\n`);
    const failed = await failedTests(copy.directory, positionals);
    if (failed || complaints.length > 0) process.exitCode = 1;
  } finally {
    if (!values.keep) copy[Symbol.dispose]();
  }
}

/** Whether a test failed in this directory. */
async function failedTests(cwd: string, only: readonly string[]): Promise<boolean> {
  const args = ["vitest", "run", "--config", "test/vitest.config.ts", "--tags-filter=!three-steps", ...only];
  const tests = spawn("npx", args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
  const [code] = await once(tests, "exit");
  return code !== 0;
}
