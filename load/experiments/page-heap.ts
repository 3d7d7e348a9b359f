import { setTimeout as pause } from "node:timers/promises";
import { perStep } from "../../src/orders/steps.ts";
import { openPage } from "../../test/admin/live/open-page.ts";
import { CHROMIUM, launchBrowser } from "../../test/support/browser.ts";
import { drive } from "../drive.ts";
import { NO_DELAYS } from "../lab/closed-loop.ts";
import { defineExperiment } from "../lab/experiment.ts";
import { type Holdings, holdings } from "../lab/page-holdings.ts";
import { median } from "../quantile.ts";
import { ServerProcess } from "../server-process.ts";
import { atLeast, atMost } from "../target.ts";

const NAME = "the live page";
// What is left differs from look to look by a quarter, with what is on the page at that moment, so halves are compared. A page that kept each
// message would hold four times as much in the second one.
const MAX_GROWTH = 1.25;
const ZERO = perStep(() => 0);
const SMALL = { order: NO_DELAYS, answerHas: '"status":"ok"' };
// Beside the small orders, so that there is something of everything: cancels, compensations, and steps that run for long.
const OTHERS = [
  { order: { amount: 7, fail_step: "vendor", delay_ms: { ...ZERO, vendor: 30, courier: 400 } }, answerHas: "vendor_unavailable" },
  { order: { amount: 7, delay_ms: { ...ZERO, payment: 1_200 } }, answerHas: '"status":"ok"' },
] as const;
const CONNECTIONS_OF_OTHERS = 4;
const HALVES = ["heap", "nodes", "listeners"] as const;

export const experiment = defineExperiment({
  question: "What does a live page hold that is left open under load?",
  defaults: { rounds: 1, minutes: 10, connections: 32 },
  about: { connections: "that send small orders" },
  missing: () => (CHROMIUM === undefined ? "this needs a Chromium (CHROME_PATH can name it)" : undefined),
  variants: ({ minutes, connections }) => [
    {
      name: NAME,
      async open({ stack, script }) {
        const server = stack.use(await ServerProcess.start({ COURIER_CAPACITY: "128" }, script));
        const browser = stack.use(await launchBrowser());
        return async () => {
          await using opened = await openPage(browser, Number(new URL(server.adminUrl).port), { reducedMotion: "no-preference" });
          const over = new AbortController();
          const load = { url: server.orderUrl, seconds: (minutes + 1) * 60, signal: over.signal };
          const others = OTHERS.map((other) => drive({ ...load, ...other, connections: CONNECTIONS_OF_OTHERS }));
          const driving = Promise.all([drive({ ...load, ...SMALL, connections }), ...others]);
          const seen: Holdings[] = [];
          while (seen.length < minutes) {
            await pause(60_000);
            seen.push(await holdings(opened.page));
          }
          over.abort();
          const perSecond = (await driving).reduce((sum, result) => sum + result.perSecond, 0);
          const half = Math.ceil(seen.length / 2);
          const growth = (of: (held: Holdings) => number) => median(seen.slice(-half).map(of)) / median(seen.slice(0, half).map(of));
          return {
            figures: {
              heap: [growth(({ heapBytes }) => heapBytes), "of the first half's"],
              nodes: [growth(({ nodes }) => nodes), "of the first half's"],
              listeners: [growth(({ listeners }) => listeners), "of the first half's"],
              "heap at the end": [(seen.at(-1)?.heapBytes ?? 0) / 1024, "KB"],
              live: [await opened.page.locator('#link[data-state="live"]').count(), "pages"],
              "orders/s": [perSecond, "orders/s"],
              complaints: [opened.complaints.length, "of the browser"],
            },
          };
        };
      },
    },
  ],
  targets: (seen) => [
    ...HALVES.map((what) => atMost(`${what} in the second half of the time over the first, medians`, seen.median(NAME, what), MAX_GROWTH)),
    atLeast("pages that are live at the end", seen.median(NAME, "live"), 1),
    atLeast("orders a second meanwhile", seen.median(NAME, "orders/s"), 500),
    atMost("complaints of the browser", seen.most(NAME, "complaints"), 0),
  ],
});
