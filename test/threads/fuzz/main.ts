import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { eventually } from "../../support/eventually.ts";
import { runOptions, seedOfRun } from "./group-plan.ts";
import { OUTCOME_KINDS } from "./judge.ts";
import { HOSTILE } from "./kinds.ts";
import { oneRun } from "./one-run.ts";
import { Tally } from "./witness.ts";

// What a process needs is there after the first runs; later ones may only swing.
const WARM_UP_RUNS = 4;
const HEAP_ROOM_BYTES = 12e6;
const HEAP_MS = 5_000;
// Node's own pools start further threads when they are first needed.
const THREADS_ROOM = 3;
// A native call holds its thread for three seconds, whatever is done to it.
const DEATH_MS = 30_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Compares what the process holds between its runs of the library. */
class Resources {
  #runs = 0;
  #heapBytes = 0;
  #threads = 0;

  /** After a run. Throws where there is more than after the first runs. */
  async check(): Promise<string> {
    const warm = ++this.#runs > WARM_UP_RUNS;
    const threads = await eventually(
      "no more OS threads than after the first runs",
      osThreads,
      (count) => !warm || count <= this.#threads + THREADS_ROOM,
      DEATH_MS,
    );
    const most = this.#heapBytes + HEAP_ROOM_BYTES;
    // Timers of canceled groups, the fuzzer's own among them, hold what was in the run for some hundred milliseconds after it.
    const heapBytes = await eventually(
      `no more than ${megabytes(most)} of heap, as after the first runs`,
      heap,
      (bytes) => !warm || bytes <= most,
      HEAP_MS,
    );
    if (!warm) {
      this.#threads = Math.max(this.#threads, threads);
      this.#heapBytes = Math.max(this.#heapBytes, heapBytes);
    }
    return `${megabytes(heapBytes)}, ${threads} OS threads`;
  }
}

function heap(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function osThreads(): number {
  return process.platform === "linux" ? readdirSync("/proc/self/task").length : 0;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

const USAGE = `Runs tasks of all kinds, good and hostile, on the library of threads, kills its threads, cancels its groups at every moment, and
compares the outcomes with what the tasks noted of themselves.

usage: npm run fuzz:threads -- [--seconds N] [--seed S] [--run N]

  --seconds N  begins no further run after that (default: 60)
  --seed S     the same tasks, groups and options as another run with that seed; not the same moments
  --run N      only this run of the seed, again and again
`;
// In two minutes each kind of task began at least once, a few no more often than that.
const ALL_SEEN_SECONDS = 300;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { help: { type: "boolean", short: "h" }, seconds: { type: "string" }, seed: { type: "string" }, run: { type: "string" } },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return;
  }
  const seconds = whole("seconds", values.seconds) ?? 60;
  const seed = whole("seed", values.seed) ?? Math.trunc(Math.random() * 2 ** 31);
  const onlyRun = whole("run", values.run);
  process.stdout.write(`seed ${seed}\n`);
  // Nothing that a task does may come to this.
  for (const event of ["uncaughtException", "unhandledRejection"]) {
    process.on(event, (error: unknown) => fail(new Error(`${event} in the main process`, { cause: error ?? "nothing" })));
  }
  const tally = new Tally();
  const resources = new Resources();
  const endMs = performance.now() + seconds * 1_000;
  let runs = 0;
  do {
    const run = onlyRun ?? runs;
    const seedOfThis = seedOfRun(seed, run);
    const options = runOptions(seedOfThis);
    process.stdout.write(`run ${run} (again: npm run fuzz:threads -- --seed ${seed} --run ${run}) ${JSON.stringify(options)}\n`);
    const beganMs = performance.now();
    await oneRun(seedOfThis, options, tally);
    process.stdout.write(`  well after ${((performance.now() - beganMs) / 1000).toFixed(1)} s; ${await resources.check()}\n`);
    runs++;
  } while (performance.now() < endMs);
  process.stdout.write(`${tally}\n`);
  if (seconds >= ALL_SEEN_SECONDS && onlyRun === undefined) expectAllSeen(tally);
  process.stdout.write(`${runs} runs, all well\n`);
}

function expectAllSeen(tally: Tally): void {
  const missing = [
    ...OUTCOME_KINDS.filter((kind) => tally.count("outcomes", kind) === 0),
    ...HOSTILE.filter((kind) => tally.count("kinds that began", kind) === 0),
  ];
  if (missing.length > 0) throw new Error(`never seen: ${missing.join(", ")}`);
}

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text)) throw new RangeError(`--${name} ${text}: must be a whole number`);
  return Number(text);
}

function fail(error: unknown): never {
  const { message, cause } = error as Error;
  process.stderr.write(`${message}\n${cause === undefined ? "" : `${(cause as Error).stack ?? cause}\n`}`);
  // Threads may be in a native call or worse.
  process.exit(1);
}

main().catch(fail);
