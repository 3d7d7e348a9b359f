import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { perStep } from "../src/orders/steps.ts";
import { atATime } from "./at-a-time.ts";
import { Child } from "./child-process.ts";
import { drive } from "./drive.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { PipelineInProcess } from "./pipeline-in-process.ts";
import { median } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { table } from "./table.ts";
import { atMost } from "./target.ts";

const SOURCE = fileURLToPath(new URL("./goroutines/main.go", import.meta.url));
const AT_A_TIME = 64;
const USAGE = `The same orders here and in Go, by turns: a storm of failing ones in process, then ones without delays over HTTP. Needs a Go toolchain.

usage: npm run bench:goroutines -- [--seconds N] [--rounds N]

  --seconds N  of each round (default: 3)
  --rounds N   of each of the two (default: 3)
`;
const STORM = { payment: 5, vendor: 800, courier: 800 };
const NO_DELAYS = { amount: 1200, delay_ms: perStep(() => 0) };

function build(into: string): string {
  const program = join(into, "goroutines");
  try {
    execFileSync("go", ["build", "-o", program, SOURCE], { stdio: ["ignore", "inherit", "inherit"] });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new Error("this benchmark needs a Go toolchain, and there is no `go` on the path");
    throw error;
  }
  return program;
}

function goStorm(program: string, seconds: number): number {
  return (JSON.parse(execFileSync(program, ["-storm", `${seconds}s`], { encoding: "utf8" })) as { ordersPerSecond: number })
    .ordersPerSecond;
}

async function threadStorm(seconds: number): Promise<{ perSecond: number; lost: number }> {
  await using pipeline = await PipelineInProcess.start({ threads: availableParallelism(), cpuThreads: 1, orders: AT_A_TIME });
  const perSecond = await atATime(AT_A_TIME, seconds, async () => void (await pipeline.run({ failStep: "payment", delayMs: STORM })));
  return { perSecond, lost: pipeline.threadsReplaced };
}

async function http(url: string, seconds: number): Promise<number> {
  return (await drive({ url, connections: AT_A_TIME, seconds, order: NO_DELAYS, answerHas: '"status":"ok"' })).perSecond;
}

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 3, rounds: 3 });
  if (options === undefined) return [];
  const { seconds, rounds } = options;
  const directory = mkdtempSync(join(tmpdir(), "goroutines-"));
  try {
    const program = build(directory);
    const rates = { goStorm: [] as number[], threadStorm: [] as number[], goHttp: [] as number[], threadHttp: [] as number[] };
    let lost = 0;
    for (let round = 0; round < rounds; round++) {
      rates.goStorm.push(goStorm(program, seconds));
      const storm = await threadStorm(seconds);
      rates.threadStorm.push(storm.perSecond);
      lost += storm.lost;
    }
    await using go = await Child.start({ program, args: ["-listen", "127.0.0.1:0"], env: {}, up: /API\s+(\S+)/ });
    await using service = await ServerProcess.start({ COURIER_CAPACITY: "128", JOURNAL: "memory" });
    // The first round warms both up.
    for (let round = 0; round <= rounds; round++) {
      const [goRate, threadRate] = [await http(`${go.groups[0]}/order`, seconds), await http(service.orderUrl, seconds)];
      if (round === 0) continue;
      rates.goHttp.push(goRate);
      rates.threadHttp.push(threadRate);
    }
    const row = (what: string, threads: number[], goroutines: number[]): string[] => [
      what,
      median(threads).toFixed(0),
      median(goroutines).toFixed(0),
      (median(threads) / median(goroutines)).toFixed(2),
    ];
    process.stdout.write(
      table(
        ["orders/s, medians", "threads", "goroutines", "ratio"],
        [
          row("storm in process: payment fails after 5 ms, siblings take 800 ms, 64 at a time", rates.threadStorm, rates.goStorm),
          row("zero delays over HTTP, 64 connections (threads with journal in memory, Go without one)", rates.threadHttp, rates.goHttp),
        ],
      ),
    );
    return [atMost("threads replaced", lost, 0)];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
