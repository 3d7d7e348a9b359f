import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { CopyWithStep, readGuide } from "./guide.ts";

const USAGE = `usage: npm run test:add-step -- [--keep] [files or folders of tests]

Adds the step of CONTRIBUTING.md, "Add a step", to a copy of the project, and runs the check and the tests there: all of them, or those
that are named, without the ones that are about the three steps (tag three-steps). Takes as long as npm test. Ends with 1 when one fails.

  --keep  leaves the copy where it is
`;

const WITHOUT_THREE = ["vitest", "run", "--config", "test/vitest.config.ts", "--tags-filter=!three-steps"];

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
    const checked = await passes("npm", ["run", "check"], copy.directory);
    const tested = await passes("npx", [...WITHOUT_THREE, ...positionals], copy.directory);
    if (!checked || !tested) process.exitCode = 1;
  } finally {
    if (!values.keep) copy[Symbol.dispose]();
  }
}

async function passes(command: string, args: readonly string[], cwd: string): Promise<boolean> {
  const [code] = await once(spawn(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] }), "exit");
  return code === 0;
}
