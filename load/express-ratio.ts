import { fileURLToPath } from "node:url";
import { perStep } from "../src/orders/steps.ts";
import { Child } from "./child-process.ts";
import { type DriveResult, drive } from "./drive.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { median } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { table } from "./table.ts";
import { atLeast } from "./target.ts";

const BARE_EXPRESS = fileURLToPath(new URL("./baseline/bare-express.ts", import.meta.url));
// As many orders at one time as there are couriers.
const CONNECTIONS = 128;
// The warm-up lasts until V8 has compiled the hot code of all five threads of the service, which share two cores with the client. Rounds are
// short and alternate, because the machine's other load changes within seconds. Compiled code differs by some percent between processes.
const DEFAULTS = { warmup: 20, seconds: 2, pairs: 6, processes: 3 };
const USAGE = `Orders without delays over HTTP, this service against bare Express with the same body and answer, by turns.

usage: npm run bench:express -- [--warmup N] [--seconds N] [--pairs N] [--processes N]

  --warmup N     seconds for each process (default: ${DEFAULTS.warmup})
  --seconds N    of one round (default: ${DEFAULTS.seconds})
  --pairs N      of rounds for each process of the service (default: ${DEFAULTS.pairs})
  --processes N  of the service, one after the other (default: ${DEFAULTS.processes})
`;
const MIN_RATIO = 0.6;

const ORDER = { amount: 1200, delay_ms: perStep(() => 0) };

async function round(url: string, seconds: number): Promise<DriveResult> {
  const result = await drive({ url, connections: CONNECTIONS, seconds, order: ORDER, answerHas: '"status":"ok"' });
  const wrong = result.answers - (result.statuses.get(200) ?? 0) + result.wrongBodies + result.socketErrors + result.timeouts;
  if (wrong > 0 || result.answers === 0) throw new Error(`${wrong} of ${result.answers} answers of ${url} were wrong or missing`);
  return result;
}

runBench(async () => {
  const options = readNumbers(USAGE, DEFAULTS);
  if (options === undefined) return [];
  const { warmup, seconds, pairs, processes } = options;
  await using bare = await Child.start({ args: [BARE_EXPRESS], env: {}, up: /bare Express on (\d+)/ });
  const bareUrl = `http://127.0.0.1:${bare.groups[0]}/order`;
  process.stdout.write(`bare Express: warming up for ${warmup} s\n`);
  await round(bareUrl, warmup);

  const rows: string[][] = [];
  const ratios: number[] = [];
  const note = (who: string, { perSecond, latencyMs }: DriveResult): void => {
    rows.push([who, perSecond.toFixed(0), latencyMs.p50.toFixed(0), latencyMs.p99.toFixed(0), latencyMs.max.toFixed(0)]);
  };
  for (let n = 1; n <= processes; n++) {
    await using service = await ServerProcess.start({ COURIER_CAPACITY: String(CONNECTIONS) });
    process.stdout.write(`process ${n} of ${processes}: warming up for ${warmup} s, then ${pairs} pairs of ${seconds} s\n`);
    await round(service.orderUrl, warmup);
    for (let pair = 0; pair < pairs; pair++) {
      const baseline = await round(bareUrl, seconds);
      const measured = await round(service.orderUrl, seconds);
      note("bare Express", baseline);
      note(`this service, process ${n}`, measured);
      ratios.push(measured.perSecond / baseline.perSecond);
    }
  }
  process.stdout.write(table([`${CONNECTIONS} connections, zero delays`, "orders/s", "p50 ms", "p99 ms", "max ms"], rows));
  return [atLeast("orders/s over those of bare Express, median of pairs", median(ratios), MIN_RATIO)];
});
