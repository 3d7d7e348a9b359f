import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { perStep } from "../src/orders/steps.ts";
import { Child } from "./child-process.ts";
import { cpuSeconds } from "./cpu-time.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { median } from "./quantile.ts";
import { residentKiB } from "./resident-memory.ts";
import { runBench } from "./run-bench.ts";
import { SERVICE_UP } from "./server-process.ts";
import { table } from "./table.ts";
import { atMost } from "./target.ts";

const USAGE = `From the start to the first answered order, CPU time until then and memory at rest, beside bare Express. The two go by turns,
because what else the machine has to do changes within seconds (Linux).

usage: npm run bench:start -- [--pairs N]

  --pairs N  of starts, of bare Express and of the service (default: 9)
`;
const IDLE_MS = 2_000;
const LIMIT_MIB = 140;
// Bare Express takes 0.16 s to its first answer on two quiet cores; 0.7 s was asked for.
const LIMIT_RATIO = 4.3;
const ORDER = JSON.stringify({ order_id: "first", amount: 1200 });
const NO_DELAYS = JSON.stringify({ order_id: "first", amount: 1200, delay_ms: perStep(() => 0) });

interface Start {
  readonly firstAnswerMs: number;
  readonly cpuMs: number;
  readonly idleMiB: number;
}

interface Program {
  readonly script: string;
  readonly up: RegExp;
  readonly body: string;
  /** A new one for each start. */
  readonly env: () => Readonly<Record<string, string>>;
}

async function startOnce({ script, up, body, env }: Program, idleMs: number): Promise<Start> {
  const startMs = performance.now();
  await using child = await Child.start({ args: [fileURLToPath(new URL(script, import.meta.url))], env: env(), up });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`http://127.0.0.1:${child.groups[0]}/order`, { method: "POST", headers, body });
  const text = await answer.text();
  const firstAnswerMs = performance.now() - startMs;
  if (!text.includes('"status":"ok"')) throw new Error(`the first order was answered with ${answer.status}: ${text}`);
  const cpuMs = cpuSeconds(child.pid) * 1000;
  await pause(idleMs);
  const idleMiB = residentKiB(child.pid) / 1024;
  await child.stop();
  return { firstAnswerMs, cpuMs, idleMiB };
}

runBench(async () => {
  const options = readNumbers(USAGE, { pairs: 9 });
  if (options === undefined) return [];
  const directory = mkdtempSync(join(tmpdir(), "start-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  let journals = 0;
  // All settings as they are by default, but for ports and the place of the journal.
  const service: Program = {
    script: "../src/start.js",
    up: SERVICE_UP,
    body: NO_DELAYS,
    env: () => ({ PORT: "0", ADMIN_PORT: "0", JOURNAL: join(directory, `${journals++}.db`) }),
  };
  const bare: Program = {
    script: "./baseline/bare-express.ts",
    up: /bare Express on (\d+)/,
    body: ORDER,
    env: () => ({ NODE_COMPILE_CACHE: join(directory, "cache") }),
  };
  // The first start of each compiles and leaves a cache behind.
  for (const program of [service, bare]) await startOnce(program, 0);
  const starts: Record<"bare" | "service", Start[]> = { bare: [], service: [] };
  for (let pair = 0; pair < options.pairs; pair++) {
    starts.bare.push(await startOnce(bare, IDLE_MS));
    starts.service.push(await startOnce(service, IDLE_MS));
  }
  const of = (who: Start[], figure: keyof Start) => median(who.map((start) => start[figure]));
  const row = (name: string, who: Start[]) => [
    name,
    ...(["firstAnswerMs", "cpuMs", "idleMiB"] as const).map((figure) => of(who, figure).toFixed(0)),
  ];
  process.stdout.write(
    table(
      [`median of ${options.pairs} starts`, "first answer, ms", "CPU until then, ms", "idle MiB"],
      [row("bare Express", starts.bare), row("this service", starts.service)],
    ),
  );
  const ratios = starts.service.map(({ firstAnswerMs }, n) => firstAnswerMs / (starts.bare[n] as Start).firstAnswerMs);
  return [
    atMost("resident memory, idle", of(starts.service, "idleMiB"), LIMIT_MIB, " MiB"),
    atMost("time to the first answer over that of bare Express, median of pairs", median(ratios), LIMIT_RATIO),
  ];
});
