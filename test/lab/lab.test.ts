import { existsSync, mkdtempDisposableSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { stageOf } from "../../load/experiments/stages.ts";
import { CannotRun, defineExperiment, type Variant } from "../../load/lab/experiment.ts";
import { compared, isSteady } from "../../load/lab/gate.ts";
import { type Result, readResult, writeResult } from "../../load/lab/results.ts";
import { ratiosAgainst, runExperiment } from "../../load/lab/run.ts";
import { runSet } from "../../load/lab/set.ts";
import { inText } from "../../load/lab/tables.ts";
import { median } from "../../load/quantile.ts";
import { atLeast, atMost } from "../../load/target.ts";

/** A variant whose n-th round gives the n-th value, and tells `calls`. */
function valued(name: string, values: readonly number[], calls: string[]): Variant {
  return {
    name,
    ofTree: name === "own",
    async open({ script }) {
      calls.push(`${name} opens${script.startsWith("/other") ? " there" : ""}`);
      let round = 0;
      return async () => {
        calls.push(name);
        return {
          figures: { speed: [values[round++] as number, "m/s"] },
          overTime: [{ s: 0.5, ordersPerSecond: 1, rssMib: 1, cpu: { main: 1 } }],
        };
      };
    },
  };
}

function experimentOf(calls: string[], limit = 2) {
  return defineExperiment({
    question: "Which is faster?",
    defaults: { rounds: 3 },
    variants: () => [valued("own", [40, 20, 60], calls), valued("base", [10, 20, 20], calls)],
    peer: (url) => valued(url, [1, 1, 1], calls),
    targets: (seen) => [
      atLeast("speed over base", seen.ratio("speed", "own", "base"), limit),
      atMost("speed", seen.most("base", "speed"), 20, " m/s"),
    ],
  });
}

describe("an experiment", () => {
  test("runs its variants by turns, whoever was first comes last in the next round, and gives medians, spread and targets", async () => {
    const calls: string[] = [];
    const result = await runExperiment("fast", experimentOf(calls), {});
    expect(calls).toEqual(["own opens", "base opens", "own", "base", "base", "own", "own", "base"]);
    expect(result).toMatchObject({ name: "fast", question: "Which is faster?", settings: { rounds: 3 } });
    const [own, base] = result.variants;
    expect(own?.figures).toEqual([{ name: "speed", unit: "m/s", median: 40, min: 20, max: 60, rounds: [40, 20, 60] }]);
    expect(base?.figures[0]).toMatchObject({ median: 20, min: 10, max: 20 });
    expect(own?.overTime?.map(({ s }) => s)).toEqual([0.5, 1, 1.5]);
    // The ratios of the rounds are 4, 1 and 3; the ratio of the medians would be 2.
    expect(result.targets).toEqual([
      { what: "speed over base", value: 3, atLeast: 2, unit: "", met: true },
      { what: "speed", value: 20, atMost: 20, unit: " m/s", met: true },
    ]);
    expect(inText(result)).toMatch(/^own +40 \(20 to 60\)$/m);
  });

  test("starts all anew as often as asked, after what ran before is closed, and takes the rounds of all starts together", async () => {
    const calls: string[] = [];
    const own = valued("own", [40, 20], calls);
    const closing: Variant = {
      ...own,
      open(scope) {
        scope.stack.defer(() => void calls.push("closed"));
        return own.open(scope);
      },
    };
    const experiment = defineExperiment({
      question: "?",
      defaults: { rounds: 2, starts: 2 },
      variants: () => [closing],
      targets: () => [],
    });
    const { variants } = await runExperiment("again", experiment);
    expect(calls).toEqual(Array.from({ length: 2 }, () => ["own opens", "own", "own", "closed"]).flat());
    expect(variants[0]?.figures[0]?.rounds).toEqual([40, 20, 40, 20]);
  });

  test("misses a target by any amount", async () => {
    const { targets } = await runExperiment("fast", experimentOf([], 3.01));
    expect(targets.map(({ met }) => met)).toEqual([false, true]);
  });

  test("runs those variants at another commit that run the service, and a peer, and says the ratios", async () => {
    const calls: string[] = [];
    const against = { name: "abc", script: "/other/src/main.ts" };
    const result = await runExperiment("fast", experimentOf(calls), { against, peer: "http://peer", sizes: { rounds: 1 } });
    expect(calls).toEqual(["own opens", "own opens there", "base opens", "http://peer opens", "own", "own", "base", "http://peer"]);
    expect(result.variants.map(({ name }) => name)).toEqual(["own", "own at abc", "base", "http://peer"]);
    expect(ratiosAgainst(result, "abc")).toMatch(/^own: speed +1\.000 +1\.000 +1\.000$/m);
  });

  test("shows the median of the ratios, and none of two counts that are 0", () => {
    const variant = (name: string, speeds: number[]) => ({
      name,
      figures: Object.entries({ speed: speeds, lost: [0, 0] }).map(([of, rounds]) => ({
        name: of,
        unit: "",
        median: 0,
        min: 0,
        max: 0,
        rounds,
      })),
    });
    const text = ratiosAgainst({ variants: [variant("own", [4, 3]), variant("own at abc", [1, 1])] } as unknown as Result, "abc");
    expect(text).toMatch(/^own: speed +3\.500 +3\.000 +4\.000$/m);
    expect(text).not.toContain("lost");
  });

  test("closes what it opened and removes its files, also when a round fails", async () => {
    let seen = "";
    const closed: string[] = [];
    const failing: Variant = {
      name: "failing",
      async open({ stack, directory }) {
        seen = directory;
        stack.defer(() => void closed.push("closed"));
        return () => Promise.reject(new Error("3 answers were wrong"));
      },
    };
    const experiment = defineExperiment({ question: "?", defaults: { rounds: 1 }, variants: () => [failing], targets: () => [] });
    await expect(runExperiment("fails", experiment)).rejects.toThrow("3 answers were wrong");
    expect([closed, seen === "" || existsSync(seen)]).toEqual([["closed"], false]);
  });

  test("says what this machine lacks, and starts nothing", async () => {
    const calls: string[] = [];
    const experiment = { ...experimentOf(calls), missing: () => "this needs a thing" };
    await expect(runExperiment("fast", experiment)).rejects.toThrow(new CannotRun("fast: this needs a thing"));
    expect(calls).toEqual([]);
  });

  test("is written and read as it is", async () => {
    using results = mkdtempDisposableSync(join(tmpdir(), "lab-test-"));
    const result = await runExperiment("fast", experimentOf([]));
    writeResult(results.path, result);
    expect(readdirSync(results.path)).toEqual(["fast.json"]);
    expect(readResult(results.path, "fast")).toEqual(result);
    expect(readResult(results.path, "slow")).toBeUndefined();
  });
});

test("a set goes on where an experiment fails, which is a missed target, or where this machine cannot run one", async () => {
  using results = mkdtempDisposableSync(join(tmpdir(), "lab-test-"));
  const failing: Variant = { name: "failing", open: () => Promise.reject(new Error("3 answers were wrong")) };
  const said: string[] = [];
  const set = [
    ["fails", { ...experimentOf([]), variants: () => [failing] }],
    ["lacks", { ...experimentOf([]), missing: () => "this needs a thing" }],
    ["fast", experimentOf([], 3.01)],
  ] as const;
  const targets = await runSet(set, results.path, (text) => said.push(text));
  expect(targets.map(({ what, met }) => [what, met])).toEqual([
    ["fast: speed over base", false],
    ["fast: speed", true],
    ["experiments that failed fails", false],
  ]);
  expect(said).toEqual(
    expect.arrayContaining([expect.stringMatching(/^fails failed: Error: 3 answers/), "left out: lacks: this needs a thing"]),
  );
  expect(readdirSync(results.path)).toEqual(["fast.json"]);
  expect((await runSet(set.slice(1), results.path, () => {})).at(-1)).toMatchObject({ what: "experiments that failed", met: true });
});

describe("the gate", () => {
  const resultOf = (name: string, cpu: Readonly<Record<string, number>>, medianOverMin = 2) =>
    ({
      name,
      variants: Object.entries(cpu).map(([name, min]) => ({
        name,
        figures: [{ name: "CPU per order", unit: "us", median: medianOverMin * min, min, max: 3 * min, rounds: [] }],
      })),
    }) as unknown as Result;
  const all = (bare: number, memory: number, file: number, storm: number) => ({
    express: resultOf("express", { "bare Express": bare, "journal in memory": memory, "journal in a file": file }),
    storm: resultOf("storm", { "this pipeline": storm }),
  });
  const verdict = (now: ReturnType<typeof all>) => compared(now, all(40, 60, 80, 70)).map(({ met }) => met);

  test("lets pass what is as it was, and what a machine that is half as fast makes of it", () => {
    expect(verdict(all(40, 60, 80, 70))).toEqual([true, true, true]);
    expect(verdict(all(80, 120, 160, 140))).toEqual([true, true, true]);
    expect(verdict(all(40, 60 * 1.14, 80 * 1.14, 70 * 1.14))).toEqual([true, true, true]);
  });

  test("fails what costs more than 15 % more, each figure by itself", () => {
    expect(verdict(all(40, 60 * 1.16, 80 * 1.16, 70))).toEqual([false, true, true]);
    expect(verdict(all(40, 60, 80 * 1.16, 70))).toEqual([true, false, true]);
    expect(verdict(all(40, 60, 80, 70 * 1.16))).toEqual([true, true, false]);
  });

  test("judges nothing where the rounds of one variant differ by more than that", () => {
    const steady = resultOf("express", { "bare Express": 40, "journal in memory": 60 }, 1.14);
    const storm = (medianOverMin: number) => resultOf("storm", { "this pipeline": 70 }, medianOverMin);
    expect([isSteady({ express: steady, storm: storm(1.14) }), isSteady({ express: steady, storm: storm(1.16) })]).toEqual([true, false]);
    expect(isSteady(all(40, 60, 80, 70))).toBe(false);
  });
});

test.each([
  ["", "(idle)", undefined],
  ["", "(garbage collector)", "gc"],
  ["", "writeUtf8String", "native"],
  ["node:_http_server", "resOnFinish", "node:http"],
  ["node:internal/process/task_queues", "processTicksAndRejections", "node internals"],
  ["file:///p/node_modules/router/index.js", "next", "express"],
  ["file:///p/node_modules/piscina/dist/index.js", "run", "threads"],
  ["file:///p/node_modules/@opentelemetry/api/x.js", "get", "telemetry"],
  ["file:///src/app/src/http/read-body.ts", "readBody", "http"],
  ["file:///p/src/admission/line.ts", "enter", "orders"],
  ["file:///p/src/service.ts", "start", "other"],
])("a profile's time in %s %s belongs to the stage %s", (url, name, stage) => {
  expect(stageOf(url, name)).toBe(stage);
});

test("every folder of src has a stage, so none hides in what has no name", () => {
  const folders = readdirSync("src", { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  expect(folders).toContain("orders");
  // Browsers run src/web.
  expect(folders.filter((folder) => stageOf(`file:///app/src/${folder}/a.ts`, "run") === "other")).toEqual(["web"]);
});

test.each([
  [[3], 3],
  [[14.5, 1.5], 8],
  [[9, 1, 2], 2],
  [[4, 1, 3, 2], 2.5],
])("the median of %j is %d", (values, expected) => {
  expect(median(values)).toBe(expected);
  expect(() => median([])).toThrow(RangeError);
});
