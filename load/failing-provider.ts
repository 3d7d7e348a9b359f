import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { readConfig } from "../src/config.ts";
import { perStepSetting } from "../src/orders/steps.ts";
import { start } from "../src/service.ts";
import { readNumbers } from "./long-run/numbers.ts";
import { constantRate, openLoop } from "./open-loop.ts";
import { quantile } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { startStandIn } from "./stand-in/stand-in.ts";
import { table } from "./table.ts";
import { atLeast, atMost } from "./target.ts";

const USAGE = `The vendor fails so much of its calls, payment and courier are fine: how many orders are placed, with retries and without, side by side.

usage: npm run bench:failing-provider -- [--seconds N] [--rate N] [--failing N]

  --seconds N  how long orders come in (default: 20)
  --rate N     orders a second, for each of the two (default: 40)
  --failing N  percent of the vendor's calls that fail (default: 50)
`;

interface Side {
  readonly placed: number;
  readonly calls: number;
  readonly compensations: number;
  readonly latenciesMs: readonly number[];
}

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 20, rate: 40, failing: 50 });
  if (options === undefined) return [];
  const { seconds, rate, failing } = options;
  const orders = seconds * rate;
  const directory = mkdtempSync(join(tmpdir(), "failing-provider-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));

  const side = async (maxTries: number): Promise<Side> => {
    let calls = 0;
    let compensations = 0;
    await using standIn = disposable(
      await startStandIn({
        // The same seed: the first calls of both sides get the same answers.
        rates: { vendor: { failBefore: failing / 100, failStatus: 503 } },
        faultModeOf({ step, action }) {
          if (step === "vendor" && action === "perform") calls++;
          else if (step === "vendor") compensations++;
          return undefined;
        },
      }),
    );
    const urls = { ...perStepSetting("URL", () => standIn.url) };
    const journal = join(directory, `orders-${maxTries}.db`);
    const config = readConfig({ PORT: "0", ADMIN_PORT: "0", JOURNAL: journal, COURIER_CAPACITY: "128", ...urls });
    const onFatal = (reason: string) => process.stderr.write(`${reason}\n`);
    await using service = disposable(await start(config, pino({ level: "silent" }), { providerHealth: { maxTries }, onFatal }));
    const order = (n: number) => ({ order_id: `order ${n}`, amount: 100 });
    const { statuses, latenciesMs } = await openLoop({ port: service.publicListener.port, arrivalsMs: constantRate(rate, seconds), order });
    return { placed: statuses.get(200) ?? 0, calls, compensations, latenciesMs };
  };
  const [without, retried] = (await Promise.all([side(1), side(3)])) as [Side, Side];

  const row = (name: string, { placed, calls, compensations, latenciesMs }: Side) => [
    name,
    String(orders),
    String(placed),
    String(calls),
    (calls / orders).toFixed(3),
    String(compensations),
    ...[0.5, 0.99].map((q) => quantile(latenciesMs, q).toFixed(0)),
  ];
  process.stdout.write(
    table(
      ["", "orders", "placed", "vendor calls", "calls/order", "compensations", "answer p50, ms", "p99"],
      [row("without retries", without), row("with retries", retried)],
    ),
  );
  return [
    atMost("calls an order with retries", retried.calls / orders, 1.2),
    atLeast("orders placed, more than without retries", retried.placed - without.placed, 1),
  ];
});

function disposable<T extends { close(): Promise<void> } | { stop(): Promise<void> }>(thing: T): T & AsyncDisposable {
  return Object.assign(thing, { [Symbol.asyncDispose]: () => ("close" in thing ? thing.close() : thing.stop()) });
}
