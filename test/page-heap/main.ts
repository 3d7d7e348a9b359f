import { setTimeout as pause } from "node:timers/promises";
import { drive } from "../../load/drive.ts";
import { readNumbers } from "../../load/long-run/numbers.ts";
import { median } from "../../load/quantile.ts";
import { runBench } from "../../load/run-bench.ts";
import { ServerProcess } from "../../load/server-process.ts";
import { atLeast, atMost } from "../../load/target.ts";
import { perStep } from "../../src/orders/steps.ts";
import { openPage } from "../admin/live/open-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { type Holdings, holdings } from "./holdings.ts";

const USAGE = `Leaves the live page open in a browser while orders run, and looks every minute at what it holds after a forced collection.
Needs a Chromium (CHROME_PATH can name it).

usage: npm run bench:page-heap -- [--minutes N] [--connections N]

  --minutes N      how long (default: 10)
  --connections N  that send small orders, one after the other (default: 32)
`;
const MINUTE_MS = 60_000;
// What is left differs from look to look by a quarter, with what is on the page at that moment, so halves are compared. A page that kept each
// message would hold four times as much in the second one.
const MAX_GROWTH = 1.25;
const ZERO = perStep(() => 0);
// Beside the small orders, so that there is something of everything: cancels, compensations, and steps that run for long.
const OTHERS = [
  { order: { amount: 7, fail_step: "vendor", delay_ms: { ...ZERO, vendor: 30, courier: 400 } }, answerHas: "vendor_unavailable" },
  { order: { amount: 7, delay_ms: { ...ZERO, payment: 1_200 } }, answerHas: '"status":"ok"' },
] as const;
const CONNECTIONS_OF_OTHERS = 4;

runBench(async () => {
  const options = readNumbers(USAGE, { minutes: 10, connections: 32 });
  if (options === undefined) return [];
  await using server = await ServerProcess.start({ COURIER_CAPACITY: "128" });
  await using browser = await launchBrowser();
  await using opened = await openPage(browser, Number(new URL(server.adminUrl).port), { reducedMotion: "no-preference" });
  const over = new AbortController();
  const load = { url: server.orderUrl, seconds: (options.minutes + 1) * 60, signal: over.signal };
  const driving = Promise.all([
    drive({ ...load, connections: options.connections, order: { amount: 7, delay_ms: ZERO }, answerHas: '"status":"ok"' }),
    ...OTHERS.map((other) => drive({ ...load, ...other, connections: CONNECTIONS_OF_OTHERS })),
  ]);

  const { page } = opened;
  const seen: Holdings[] = [];
  for (let minute = 1; minute <= options.minutes; minute++) {
    await pause(MINUTE_MS);
    const held = await holdings(page);
    seen.push(held);
    process.stdout.write(`minute ${minute}: ${(held.heapBytes / 1024).toFixed(0)} KB, ${held.nodes} nodes, ${held.listeners} listeners\n`);
  }
  over.abort();
  const results = await driving;
  const isLive = await page.locator('#link[data-state="live"]').count();
  const perSecond = results.reduce((sum, result) => sum + result.perSecond, 0);
  const half = Math.ceil(seen.length / 2);
  const growth = (of: (held: Holdings) => number) => median(seen.slice(-half).map(of)) / median(seen.slice(0, half).map(of));
  return [
    atMost(
      "heap in the second half of the time over that in the first, medians",
      growth(({ heapBytes }) => heapBytes),
      MAX_GROWTH,
    ),
    atMost(
      "nodes, likewise",
      growth(({ nodes }) => nodes),
      MAX_GROWTH,
    ),
    atMost(
      "listeners, likewise",
      growth(({ listeners }) => listeners),
      MAX_GROWTH,
    ),
    atLeast("pages that are live at the end", isLive, 1),
    atLeast("orders a second meanwhile", perSecond, 500),
    atMost("complaints of the browser", opened.complaints.length, 0),
  ];
});
