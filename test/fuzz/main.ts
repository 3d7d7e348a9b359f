import { parseArgs } from "node:util";
import { type FuzzReport, fuzz } from "./fuzzer.ts";

const USAGE = `Sends requests that are wrong in all ways to a server of its own, and looks at what it answers and what stays behind.

usage: npm run fuzz -- [--requests N] [--seed S] [--case N]

  --requests N  how many (default: 100000)
  --seed S      the same requests as another run with that seed
  --case N      only this case of the seed
`;
const SHOW_EVERY = 50_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { help: { type: "boolean", short: "h" }, requests: { type: "string" }, seed: { type: "string" }, case: { type: "string" } },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return;
  }
  const seed = whole("seed", values.seed) ?? Math.trunc(Math.random() * 2 ** 31);
  const requests = whole("requests", values.requests) ?? 100_000;
  const onlyCase = whole("case", values.case);
  process.stdout.write(`seed ${seed}\n`);
  let shown = 0;
  const startMs = performance.now();
  const report = await fuzz({
    seed,
    requests,
    ...(onlyCase !== undefined && { onlyCase }),
    onProgress(sent) {
      if (sent - shown < SHOW_EVERY) return;
      shown = sent;
      process.stdout.write(`${sent} requests\n`);
    },
  });
  process.stdout.write(`${summary(report)} ${((performance.now() - startMs) / 1000).toFixed(0)} s\n`);
}

function summary({ requests, connections, statuses, mostRunning, stepsStarted, openFiles }: FuzzReport): string {
  const answers = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
  const files = openFiles === undefined ? "" : ` Open files: ${openFiles[0]} before, ${openFiles[1]} after.`;
  return `${requests} requests over ${connections} connections, all well. Answers by status: ${answers.join(", ")}. ${stepsStarted} steps, ${mostRunning} at one time, none left.${files}`;
}

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text)) throw new RangeError(`--${name} ${text}: must be a whole number`);
  return Number(text);
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
});
