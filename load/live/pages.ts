import { fileURLToPath } from "node:url";
import { Child } from "../child-process.ts";
import { cpuSeconds } from "../cpu-time.ts";
import { HEAD, interleaved, smallOrders } from "../interleaved.ts";
import { readNumbers } from "../long-run/numbers.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { table } from "../table.ts";
import { atLeast, atMost } from "../target.ts";

const USAGE = `What open pages cost: orders a second and the service's CPU an order with and without them, by turns in one run.

usage: npm run bench:pages -- [--pages N] [--pairs N] [--seconds N]

  --pages N    live pages that are open, in a process of their own (default: 50)
  --pairs N    of rounds without and with them (default: 9)
  --seconds N  of a round (default: 3)
`;
const OPEN_PAGES = fileURLToPath(new URL("open-pages.ts", import.meta.url));
const WARM_UP_SECONDS = 15;
const MAX_COST = 0.05;
// There are four a second. With fewer than this the pages cost little because they were starved.
const MIN_MESSAGES = 2;

runBench(async () => {
  const options = readNumbers(USAGE, { pages: 50, pairs: 9, seconds: 3 });
  if (options === undefined) return [];
  await using server = await ServerProcess.start({ COURIER_CAPACITY: "64" });
  process.stdout.write(`warming up for ${WARM_UP_SECONDS} s, then ${options.pairs} pairs of ${options.seconds} s\n`);
  await smallOrders(server, WARM_UP_SECONDS);

  const messages: number[] = [];
  let [cpuOfPages, roundsWithPages] = [0, 0];
  const watched = async () => {
    await using pages = await Child.start({
      args: [OPEN_PAGES, server.adminUrl, String(options.pages)],
      env: {},
      up: /all pages are live/,
    });
    const before = cpuSeconds(pages.pid);
    const round = await smallOrders(server, options.seconds);
    cpuOfPages += (cpuSeconds(pages.pid) - before) / options.seconds;
    roundsWithPages++;
    process.stdout.write(pages.output.slice(pages.output.lastIndexOf("a page had")));
    messages.push(...[...pages.output.matchAll(/a page had ([\d.]+)/g)].map(([, count]) => Number(count)));
    return round;
  };
  const compared = await interleaved(
    { name: "nobody looks", run: () => smallOrders(server, options.seconds) },
    { name: `${options.pages} pages`, run: watched },
    options.pairs,
  );
  process.stdout.write(table(HEAD, compared.rows));
  const share = (100 * cpuOfPages) / roundsWithPages;
  process.stdout.write(`the process of the pages itself used ${share.toFixed(0)} % of a core beside them\n`);
  const each = messages.reduce((sum, count) => sum + count, 0) / messages.length;
  return [
    atLeast("orders/s with the pages over those without", compared.perSecond, 1 - MAX_COST),
    atMost("the service's CPU an order with the pages over that without", compared.cpu, 1 + MAX_COST),
    atLeast("messages a page had a second", each, MIN_MESSAGES),
  ];
});
