import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { perStep } from "../src/orders/steps.ts";
import { drive } from "./drive.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { orderIds } from "./order-ids.ts";
import { median } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { table } from "./table.ts";
import { atLeast, atMost } from "./target.ts";

const CONNECTIONS = 64;
const USAGE = `Orders a second and the wait for an answer with the journal in a file and in memory, by turns; then how many requests share a commit.

usage: npm run bench:journal -- [--seconds N] [--rounds N]

  --seconds N  of each round (default: 3)
  --rounds N   of each of the two (default: 5)
`;
const COMMITS_SECONDS = 2;
const LEVELS = [1, 8, 64, 256];
const ONE_AT_A_TIME = 500;
const MIN_RATIO = 0.5;
const MAX_OVERHEAD_MS = 5;
const ORDER = { amount: 1200, delay_ms: perStep(() => 0) };

const nextId = orderIds();

function rateOf(url: string, connections: number, seconds: number): Promise<number> {
  return drive({ url, connections, seconds, order: ORDER, answerHas: '"status":"ok"' }).then(({ perSecond }) => perSecond);
}

/** Milliseconds from the request to the answer, one order after the other on one connection. */
async function oneAtATime(url: string): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  for (let n = 0; n < ONE_AT_A_TIME; n++) {
    const begun = performance.now();
    await new Promise<void>((resolve, reject) => {
      const outgoing = request(url, { method: "POST", agent }, (answer) => answer.resume().once("end", resolve));
      outgoing.once("error", reject);
      outgoing.end(JSON.stringify({ order_id: nextId(), ...ORDER }));
    });
    times.push(performance.now() - begun);
  }
  agent.destroy();
  return median(times);
}

interface CommitSteps {
  readonly commit_sizes: readonly { readonly upTo: number; readonly commits: number }[];
}

/** What the server logs about its commits when it stops. */
function commitSizes(output: string): CommitSteps["commit_sizes"] {
  const line = output.split("\n").find((text) => text.includes('"commit_sizes"'));
  if (line === undefined) throw new Error(`the server said nothing of its commits:\n${output}`);
  return (JSON.parse(line) as CommitSteps).commit_sizes;
}

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 3, rounds: 5 });
  if (options === undefined) return [];
  const { seconds, rounds } = options;
  const directory = mkdtempSync(join(tmpdir(), "journal-cost-"));
  const settings = (journal: string) => ({ COURIER_CAPACITY: "128", LOG_LEVEL: "info", JOURNAL: journal });
  let files = 0;
  const newFile = () => join(directory, `${files++}.db`);
  try {
    const rates = { file: [] as number[], memory: [] as number[] };
    const waits = { file: [] as number[], memory: [] as number[] };
    {
      await using onFile = await ServerProcess.start(settings(newFile()));
      await using inMemory = await ServerProcess.start(settings("memory"));
      await rateOf(onFile.orderUrl, CONNECTIONS, seconds);
      await rateOf(inMemory.orderUrl, CONNECTIONS, seconds);
      for (let round = 0; round < rounds; round++) {
        rates.file.push(await rateOf(onFile.orderUrl, CONNECTIONS, seconds));
        rates.memory.push(await rateOf(inMemory.orderUrl, CONNECTIONS, seconds));
        waits.file.push(await oneAtATime(onFile.orderUrl));
        waits.memory.push(await oneAtATime(inMemory.orderUrl));
      }
    }
    const rows = (["file", "memory"] as const).map((kind) => [kind, median(rates[kind]).toFixed(0), median(waits[kind]).toFixed(2)]);
    process.stdout.write(`${table(["journal", `orders/s, ${CONNECTIONS} connections`, "p50 ms, one at a time"], rows)}\n`);

    const sizes: string[][] = [];
    for (const connections of LEVELS) {
      await using server = await ServerProcess.start(settings(newFile()));
      await rateOf(server.orderUrl, connections, Math.min(seconds, COMMITS_SECONDS));
      await server.stop();
      const steps = commitSizes(server.output);
      const all = steps.reduce((sum, { commits }) => sum + commits, 0);
      sizes.push([`${connections} connections`, ...Array.from({ length: 10 }, (_, n) => share(steps[n]?.commits ?? 0, all))]);
    }
    process.stdout.write(table(["requests a commit, up to", ...Array.from({ length: 10 }, (_, n) => String(2 ** n))], sizes));

    return [
      atLeast("orders/s with a file over those in memory, medians", median(rates.file) / median(rates.memory), MIN_RATIO),
      // A journal in memory costs its round trip too, so the limit is for the whole answer and not for the difference.
      atMost("p50 of an answer at one order at a time, journal on a file", median(waits.file), MAX_OVERHEAD_MS, " ms"),
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

function share(part: number, all: number): string {
  return part === 0 ? "" : `${((100 * part) / all).toFixed(0)}%`;
}
