import { join } from "node:path";
import { cpuByKind, type Driven, type Server, startBareExpress, startService, underLoad, type WarmLoad } from "../lab/closed-loop.ts";
import { defineExperiment, type Round, type Scope, type Variant } from "../lab/experiment.ts";
import { Profiler } from "../lab/profile.ts";
import { atMost } from "../target.ts";

const [BARE, MEMORY, FILE] = ["bare Express", "journal in memory", "journal in a file"];
const INSPECTED = { NODE_OPTIONS: "--inspect=127.0.0.1:0" };
const OTHER = "main: other";
/** In the order of an order's way; then what serves all of them. */
const STAGES = ["node:http", "express", "http", "orders", "journal", "threads", "telemetry", "node internals", "native", "gc"];
const OF_FOLDER: Readonly<Record<string, string>> = {
  admission: "orders",
  composition: "orders",
  couriers: "orders",
  resilience: "orders",
  webhooks: "orders",
  admin: "telemetry",
  diagnosis: "telemetry",
};
const OF_PACKAGE = [
  ["piscina", "threads"],
  ["pg", "journal"],
  ["pino", "telemetry"],
  ["prom-client", "telemetry"],
  ["@opentelemetry", "telemetry"],
] as const;

/** Whose time it is that V8 saw this function on top; undefined when the thread did nothing. */
export function stageOf(url: string, name: string): string | undefined {
  if (name === "(idle)" || name === "(root)") return undefined;
  if (name === "(garbage collector)") return "gc";
  if (url === "") return "native";
  if (/^node:(_http|internal\/http)/.test(url)) return "node:http";
  if (url.startsWith("node:")) return "node internals";
  const [, packageName] = /.*\/node_modules\/([^/]+)\//.exec(url) ?? [];
  if (packageName !== undefined) return OF_PACKAGE.find(([name]) => name === packageName)?.[1] ?? "express";
  if (/\/load\/lab\/bare-express/.test(url)) return "express";
  const [, folder = ""] = /.*\/src\/([\w-]+)\//.exec(url) ?? [];
  const stage = OF_FOLDER[folder] ?? folder;
  return STAGES.includes(stage) ? stage : "other";
}

interface Inspected extends Server {
  readonly profiler: Profiler;
}

/** A round without the profiler, which has the figures, and one with it. */
async function measured(server: Inspected, drive: () => Promise<Driven>): Promise<Round> {
  const before = cpuByKind(server);
  const { driven, figures, overTime = [] } = await drive();
  const after = cpuByKind(server);
  // V8 samples by the clock on the wall, so its profile gives shares; what they are shares of is the kernel's count, without a profiler.
  const micros = (kind: string) => (((after[kind] ?? 0) - (before[kind] ?? 0)) / driven.answers) * 1e6;
  const shares = await server.profiler.during(drive, stageOf);
  const ofMain = [
    ...STAGES.map((stage) => [`main: ${stage}`, shares.get(stage) ?? 0] as const),
    [OTHER, shares.get("other") ?? 0] as const,
  ];
  return {
    overTime,
    figures: {
      ...figures,
      "main thread": [micros("main"), "us"],
      ...Object.fromEntries(ofMain.map(([stage, share]) => [stage, [share * micros("main"), "us"]])),
      journal: [micros("journal"), "us"],
      steps: [micros("steps"), "us"],
      "V8 and libuv": [micros("helpers"), "us"],
    },
  };
}

function inspected(
  name: string,
  load: WarmLoad,
  start: (scope: Scope) => Promise<Server & { readonly process: { readonly output: string } }>,
): Variant {
  const withProfiler = async (scope: Scope): Promise<Inspected> => {
    const server = await start(scope);
    return { ...server, profiler: scope.stack.use(await Profiler.connect(server.process.output)) };
  };
  return { ...underLoad(name, load, withProfiler, measured), ofTree: name !== BARE };
}

export const experiment = defineExperiment({
  question: "Where do an order's microseconds go, by stage and thread?",
  defaults: { warmup: 10, rounds: 3, seconds: 3, connections: 64 },
  lab: { warmup: 6, rounds: 2 },
  variants: (sizes) => [
    inspected(BARE, sizes, ({ stack }) => startBareExpress(stack, INSPECTED)),
    inspected(MEMORY, sizes, (scope) => startService(scope, INSPECTED)),
    inspected(FILE, sizes, (scope) => startService(scope, { ...INSPECTED, JOURNAL: join(scope.directory, "orders.db") })),
  ],
  // A folder that no stage names would hide what is in it.
  targets: (seen) =>
    [MEMORY, FILE].map((name) =>
      atMost(
        `${name}: the main thread's time in no stage, of all of it`,
        seen.median(name, OTHER) / seen.median(name, "main thread"),
        0.05,
      ),
    ),
});
