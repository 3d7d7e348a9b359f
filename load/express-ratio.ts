import { fileURLToPath } from "node:url";
import { Child } from "./child-process.ts";
import { type DriveResult, drive } from "./drive.ts";
import { median } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { ServerProcess } from "./server-process.ts";
import { table } from "./table.ts";
import { atLeast } from "./target.ts";

const BARE_EXPRESS = fileURLToPath(new URL("./baseline/bare-express.ts", import.meta.url));
// As many orders at one time as there are couriers.
const CONNECTIONS = 128;
// Until the compiler is through with the five threads of the service, which share two cores with the client.
const WARM_UP_SECONDS = 20;
// Short and by turns: what else the machine has to do changes within seconds, and both of a pair should have the same of it.
const SECONDS = 2;
const PAIRS = 6;
// What the compiler makes of a process differs by some percent from the next one's.
const PROCESSES = 3;
const MIN_RATIO = 0.6;

const ORDER = { amount: 1200, delay_ms: { payment: 0, vendor: 0, courier: 0 } };

async function round(url: string, seconds: number): Promise<DriveResult> {
  const result = await drive({ url, connections: CONNECTIONS, seconds, order: ORDER, answerHas: '"status":"ok"' });
  const wrong = result.answers - (result.statuses.get(200) ?? 0) + result.wrongBodies + result.socketErrors + result.timeouts;
  if (wrong > 0 || result.answers === 0) throw new Error(`${wrong} of ${result.answers} answers of ${url} were wrong or missing`);
  return result;
}

runBench(async () => {
  await using bare = await Child.start({ args: [BARE_EXPRESS], env: {}, up: /bare Express on (\d+)/ });
  const bareUrl = `http://127.0.0.1:${bare.groups[0]}/order`;
  process.stdout.write(`bare Express: warming up for ${WARM_UP_SECONDS} s\n`);
  await round(bareUrl, WARM_UP_SECONDS);

  const rows: string[][] = [];
  const ratios: number[] = [];
  const note = (who: string, { perSecond, latencyMs }: DriveResult): void => {
    rows.push([who, perSecond.toFixed(0), latencyMs.p50.toFixed(0), latencyMs.p99.toFixed(0), latencyMs.max.toFixed(0)]);
  };
  for (let n = 1; n <= PROCESSES; n++) {
    await using service = await ServerProcess.start({ COURIER_CAPACITY: String(CONNECTIONS) });
    process.stdout.write(`process ${n} of ${PROCESSES}: warming up for ${WARM_UP_SECONDS} s, then ${PAIRS} pairs of ${SECONDS} s\n`);
    await round(service.orderUrl, WARM_UP_SECONDS);
    for (let pair = 0; pair < PAIRS; pair++) {
      const baseline = await round(bareUrl, SECONDS);
      const measured = await round(service.orderUrl, SECONDS);
      note("bare Express", baseline);
      note(`this service, process ${n}`, measured);
      ratios.push(measured.perSecond / baseline.perSecond);
    }
  }
  process.stdout.write(table([`${CONNECTIONS} connections, zero delays`, "orders/s", "p50 ms", "p99 ms", "max ms"], rows));
  return [atLeast("orders/s over those of bare Express, median of pairs", median(ratios), MIN_RATIO)];
});
