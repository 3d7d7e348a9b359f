import { readOptions, seedOf, wholeNumber } from "../../load/options.ts";
import { filesOf } from "../architecture/imports.ts";
import { type DrawnFault, drawnFrom } from "./faults.ts";
import { type FailedTest, ProjectWithFault } from "./project-with-fault.ts";
import { testsOf } from "./tests-of.ts";

const USAGE = `usage: npm run test:mutants -- [--lines N] [--seed S] [--nearest N] [--in FOLDER]...

Puts small faults into a copy of src and workers, one at a time, on lines that a seed draws, and runs the tests that can see each: those
nearest to the file first, the others until one fails. Tells which test found it, and at the end which faults nobody found. A fault that
does not compile is none: another is drawn. A test that fails without the fault too has found nothing.

  --lines N    how many faults (default: 20; each takes from ten seconds to the time of npm test)
  --seed S     the same lines as another run with that seed, while the code is the same
  --nearest N  ask only the N nearest files of tests about each: much quicker, as most of the time goes to the faults that all of them are
               asked about. What is then told as not found by them, another test may find
  --in FOLDER  only files whose path begins so; may be given several times (default: src/ and workers/)

Ends with 0 when all were found, with 1 when some were not, 2: wrong usage, 130: interrupted.
`;
const SOURCES = ["src/**/*.ts", "workers/**/*.ts"];
const ALL = [...SOURCES, "src/**/*.js", "test/**/*.ts", "load/**/*.ts"];
// Mostly a test of the file itself finds it, or else one of its folder. All the others at once would begin with the longest.
const AT_ONCE = [6, 24];

interface Options {
  readonly lines: number;
  readonly seed: number;
  readonly nearest: number;
  readonly folders: readonly string[];
}

async function campaign({ lines, seed, nearest, folders }: Options): Promise<number> {
  say(`seed ${seed}`);
  const files = filesOf(...ALL);
  const sources = new Map([...filesOf(...SOURCES)].filter(([path]) => isIn(path, folders)));
  if (sources.size === 0) throw new RangeError(`--in ${folders.join(" ")}: no such file`);
  using project = new ProjectWithFault();
  process.once("SIGINT", () => {
    project[Symbol.dispose]();
    process.exit(130);
  });
  const survivors: string[] = [];
  let done = 0;
  for (const fault of drawnFrom(sources, seed)) {
    if (done === lines) break;
    project.put(fault);
    if (!(await project.compiles())) continue;
    const tests = testsOf(fault.file, files);
    const asked = tests.slice(0, nearest);
    const found = await judge(project, fault, asked);
    const lack = asked.length === tests.length ? "NOT FOUND" : `NOT FOUND by the nearest ${nearest} of ${tests.length} files`;
    const told = `${fault.file}:${fault.line} ${fault.what}`;
    if (found === undefined) survivors.push(`${told}: ${lack}`);
    say(`${++done} of ${lines} ${told}: ${found === undefined ? lack : `found by ${found.file}, ${found.name}`}`);
  }
  say(`\n${done} faults, ${done - survivors.length} found, ${survivors.length} not`);
  for (const survivor of survivors) say(`  ${survivor}`);
  return survivors.length === 0 ? 0 : 1;
}

async function judge(project: ProjectWithFault, fault: DrawnFault, tests: readonly string[]): Promise<FailedTest | undefined> {
  let left = tests;
  for (let turn = 0; left.length > 0; turn++) {
    const now = left.slice(0, AT_ONCE[turn]);
    const failure = await project.firstFailure(now);
    left = left.slice(now.length);
    if (failure === undefined) continue;
    if (await isHealthy(project, fault, failure)) return failure;
    // The others of those that ran have not been asked.
    left = [...now.filter((file) => file !== failure.file), ...left];
  }
  return undefined;
}

async function isHealthy(project: ProjectWithFault, fault: DrawnFault, { file }: FailedTest): Promise<boolean> {
  if (file === "") return true;
  project.heal();
  const failure = await project.firstFailure([file]);
  project.put(fault);
  if (failure !== undefined) say(`  ${file} fails without the fault too: ${failure.name}`);
  return failure === undefined;
}

function isIn(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path.startsWith(folder)) && !path.startsWith("src/threads/examples/") && !path.startsWith("src/web/");
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  const { help, ...texts } = readOptions({
    lines: { type: "string", default: "20" },
    seed: { type: "string" },
    nearest: { type: "string" },
    in: { type: "string", multiple: true, default: ["src/", "workers/"] },
  });
  if (help) process.stdout.write(USAGE);
  else {
    const nearest = texts.nearest === undefined ? Number.POSITIVE_INFINITY : wholeNumber("nearest", texts.nearest);
    process.exitCode = await campaign({ lines: wholeNumber("lines", texts.lines), seed: seedOf(texts.seed), nearest, folders: texts.in });
  }
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 2;
}
