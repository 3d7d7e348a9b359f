import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../docs/run.ts";
import { eventually } from "../support/eventually.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const LIBRARY = join(PROJECT, "src/threads");
const NODE = process.platform === "win32" ? "node.exe" : "node";
const OLDEST = [20, 19] as const;

const directory = mkdtempSync(join(tmpdir(), "package-"));
const user = join(directory, "user");
const installed = join(user, "node_modules/cancelable-threads");
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a program that has to end well, and returns what it printed. */
async function output(program: string, args: readonly string[], cwd = user): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, { cwd });
  expect({ args, code, output: code === 0 ? "" : stdout + stderr }).toEqual({ args, code: 0, output: "" });
  return stdout;
}

// Packed in a copy: the compiled files would otherwise lie in the sources of tests that run beside this one. Installed as a user would,
// but with the Piscina that is here already, so that nothing is downloaded; its optional addon is left out.
beforeAll(async () => {
  const copy = join(directory, "copy");
  mkdirSync(user);
  mkdirSync(join(copy, "src"), { recursive: true });
  for (const name of ["package.json", "tsconfig.json", "src/threads"]) cpSync(join(PROJECT, name), join(copy, name), { recursive: true });
  symlinkSync(join(PROJECT, "node_modules"), join(copy, "node_modules"), "junction");
  await Promise.all([
    output("npm", ["pack", "-w", "src/threads", "--silent", "--pack-destination", directory], copy),
    output("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", directory, join(PROJECT, "node_modules/piscina")], copy),
  ]);
  const tarballs = globSync("*.tgz", { cwd: directory }).map((name) => join("..", name));
  expect(tarballs).toHaveLength(2);
  for (const [name, text] of Object.entries(USER)) writeFileSync(join(user, name), text);
  await output("npm", ["install", "--offline", "--omit=optional", "--no-audit", "--no-fund", ...tarballs]);
});

const USER = {
  "package.json": JSON.stringify({ private: true, type: "module" }),
  "tsconfig.json": JSON.stringify({
    compilerOptions: {
      target: "es2022",
      lib: ["es2023"],
      module: "nodenext",
      strict: true,
      exactOptionalPropertyTypes: true,
      types: ["node"],
      typeRoots: [join(PROJECT, "node_modules/@types")],
      outDir: "out",
    },
    files: ["typed-main.ts"],
  }),
  "tasks.js": `
    import { defineTasks, Failure } from "cancelable-threads/worker";
    export const tasks = defineTasks({
      double: (n) => 2 * n,
      wait: (_, context) => context.sleep(600_000),
      compute(_, context) {
        for (;;) context.checkpoint();
      },
      fail(reason) {
        throw new Failure({ reason }, "as planned");
      },
    });
    export default null;`,
  "main.js": `
    import { Canceled, Failure, openThreads } from "cancelable-threads";
    import { Failure as FailureOfTasks } from "cancelable-threads/worker";
    const threads = await openThreads({ file: new URL("./tasks.js", import.meta.url), exclusive: 1 });
    const one = threads.group();
    const printed = { doubled: await one.run("double", 21), isOneClass: Failure === FailureOfTasks };
    await one.join();
    const group = threads.group();
    const [wait, compute] = [group.run("wait"), group.run("compute", undefined, { on: "exclusive" })];
    while (threads.statistics().running < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await group.run("fail", "on purpose").then(undefined, (error) => (printed.failure = [error instanceof Failure, error.message, error.data]));
    const { outcomes, firstFailure, cause } = await group.join();
    for (const task of [wait, compute]) await task.then(undefined, (error) => (printed[task.name] = [Canceled.is(error), error.message]));
    await threads.close();
    console.log(JSON.stringify({ ...printed, outcomes: outcomes.map(({ status }) => status), firstFailure, cause, alive: threads.alive }));`,
  "typed-tasks.ts": `
    import { defineTasks, Failure, type TaskContext, transfer } from "cancelable-threads/worker";
    export const tasks = defineTasks({
      double: (n: number) => 2 * n,
      async fill({ length }: { length: number }, context: TaskContext): Promise<Uint8Array> {
        await context.sleep(1);
        const bytes = new Uint8Array(length).fill(7);
        return transfer(bytes, [bytes.buffer]);
      },
      fail(reason: string, context): never {
        context.checkpoint();
        throw new Failure({ reason });
      },
    });`,
  "typed-main.ts": `
    import { type JoinResult, openThreads } from "cancelable-threads";
    import type { tasks } from "./typed-tasks.js";
    const file = new URL("./typed-tasks.js", import.meta.url);
    await using threads = await openThreads<typeof tasks, "superseded", { reason: string }>({ file, causes: ["superseded"], exclusive: 1 });
    await using group = threads.group({ timeoutMs: 60_000 });
    const doubled: number = await group.run("double", 21);
    const filled: Uint8Array = await group.run("fill", { length: 3 }, { on: "exclusive" });
    group.run("fail", "on purpose");
    const { outcomes }: JoinResult<"superseded", { reason: string }> = await group.join();
    const reason: string | undefined = outcomes[2]?.status === "failed" ? outcomes[2].data?.reason : undefined;
    console.log(JSON.stringify([doubled, [...filled], reason]));
    export const mistakes = () => {
      // @ts-expect-error There is no task of this name.
      group.run("treble", 21);
      // @ts-expect-error It takes a number.
      group.run("double", "21");
      // @ts-expect-error It gives a number.
      const text: Promise<string> = group.run("double", 21);
      // @ts-expect-error None of the causes.
      group.cancel("bored");
      group.cancel("superseded");
      return text;
    };`,
};

/** What "main.js" prints. */
const PRINTED = {
  doubled: 42,
  isOneClass: true,
  failure: [true, "as planned", { reason: "on purpose" }],
  wait: [true, "canceled: sibling_failed"],
  compute: [true, "canceled: sibling_failed"],
  outcomes: ["canceled", "canceled", "failed"],
  firstFailure: 2,
  cause: "sibling_failed",
  alive: 0,
};

/** A Node to run the package on; `missing` says why there is none. */
interface Runtime {
  readonly what: string;
  readonly file: string;
  readonly missing?: string;
}

/** The Node that is on this machine without the project: npm runs on it. */
async function machinesOwn(): Promise<Runtime> {
  const what = "the machine's own Node";
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.includes("node_modules"));
  const file = folders.map((folder) => join(folder, NODE)).find((path) => existsSync(path));
  if (file === undefined) return { what, file: "", missing: "there is none" };
  const version = (await output(file, ["--version"], directory)).trim();
  const [major = 0, minor = 0] = version.slice(1).split(".").map(Number);
  const isTooOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  if (isTooOld) return { what, file, missing: `${version} is older than ${OLDEST.join(".")}` };
  if (version === process.version) return { what, file, missing: `it is the project's, ${version}` };
  return { what: `${what} ${version}`, file };
}

const RUNTIMES: readonly Runtime[] = [
  { what: `the project's Node ${process.version}`, file: process.execPath },
  await machinesOwn(),
  // Further ones by hand: NODES=/path/of/node:/path/of/another npx vitest run ...
  ...(process.env.NODES ?? "").split(delimiter).flatMap((file) => (file === "" ? [] : [{ what: file, file }])),
];

const COMPILERS = [
  ["5.9", join(PROJECT, "node_modules/typescript-5/lib/tsc.js")],
  ["7", join(PROJECT, "node_modules/typescript/bin/tsc")],
] as const;

for (const { what, file, missing } of RUNTIMES) {
  const name = `a JavaScript user runs on ${what}${missing === undefined ? "" : ` (skipped: ${missing})`}`;
  test.skipIf(missing !== undefined)(name, { concurrent: true }, async () => {
    expect(JSON.parse(await output(file, ["main.js"]))).toEqual(PRINTED);
  });
}

for (const [version, compiler] of COMPILERS) {
  test.concurrent(`a TypeScript user passes TypeScript ${version} with the library's types checked, and runs`, async () => {
    expect(await output(process.execPath, [compiler, "--version"])).toMatch(`Version ${version}.`);
    const out = `out-${version}`;
    await output(process.execPath, [compiler, "--outDir", out]);
    for (const { file, missing } of RUNTIMES) {
      if (missing === undefined)
        expect(JSON.parse(await output(file, [join(out, "typed-main.js")]))).toEqual([42, [7, 7, 7], "on purpose"]);
    }
  });
}

test.concurrent.each([
  ["its README", join(installed, "README.md"), "tasks.ts"],
  ["the project's README", join(PROJECT, "README.md"), "steps.ts"],
])("the code of %s passes TypeScript and prints what the README says", async (_whose, file, tasks) => {
  const readme = readFileSync(file, "utf8");
  const blocks = [...readme.matchAll(/^```ts\n(\/\/ ([a-z]+\.ts)[\s\S]*?)^```$/gm)];
  expect(blocks.map(([, , name]) => name)).toEqual([tasks, "main.ts"]);
  const folder = join(user, `readme-${tasks}`);
  mkdirSync(folder);
  for (const [, text = "", name = ""] of blocks) writeFileSync(join(folder, name), text);
  const config = { extends: "../tsconfig.json", compilerOptions: { noEmit: true, allowImportingTsExtensions: true }, files: ["main.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  await output(process.execPath, [COMPILERS[1][1], "-p", folder]);
  const [, says] = /console\.log\(.*\); \/\/ (.+)$/m.exec(readme) ?? [];
  expect(says).toBe("sibling_failed { started: true, stopped: true }");
  // Where a thread is held up just then, the failure comes before the loop: not in every run.
  await eventually(
    "a run that the machine did not hold up",
    async () => (await output(process.execPath, [join(folder, "main.ts")])).trim(),
    (printed) => printed === says,
  );
});

test("the package holds JavaScript with its types, the README and the license, and nothing else", () => {
  const names = readdirSync(installed, { recursive: true, withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [entry.name] : []));
  expect(names).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json", "index.js", "index.d.ts"]));
  expect(names.filter((name) => !/^(LICENSE|README\.md|package\.json|[\w-]+(\.js|\.d\.ts))$/.test(name))).toEqual([]);
  const sources = globSync(["*.ts", "worker/*.ts", "permits/*.ts"], { cwd: LIBRARY });
  const compiled = globSync("dist/**/*.js", { cwd: installed });
  expect(compiled).toHaveLength(sources.length);
  expect(readFileSync(join(LIBRARY, "LICENSE"), "utf8")).toBe(readFileSync(join(PROJECT, "LICENSE"), "utf8"));
});

test("it asks for the Piscina that the project has, exactly", () => {
  const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));
  const { dependencies, engines } = read(join(LIBRARY, "package.json"));
  expect(dependencies).toEqual({ piscina: read(join(PROJECT, "package.json")).dependencies.piscina });
  expect(engines).toEqual({ node: `>=${OLDEST.join(".")}` });
});

// Two copies would be two classes of `Canceled`, and two of everything else.
test("the project imports the library by its files, never by its name", () => {
  const files = globSync(["{src,load,workers,deploy}/**/*.{ts,js}"], { cwd: PROJECT });
  expect(files.length).toBeGreaterThan(100);
  const byName = files.filter((path) => /from "cancelable-threads/.test(readFileSync(join(PROJECT, path), "utf8")));
  expect(byName).toEqual([]);
});
