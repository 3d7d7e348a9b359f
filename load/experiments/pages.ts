import { fileURLToPath } from "node:url";
import { Child } from "../child-process.ts";
import { serviceUnder, type WarmLoad } from "../lab/closed-loop.ts";
import { defineExperiment, type Variant } from "../lab/experiment.ts";
import { atLeast, atMost } from "../target.ts";

const OPEN_PAGES = fileURLToPath(new URL("../lab/open-pages.ts", import.meta.url));
const [NONE, WATCHED] = ["nobody looks", "pages are open"];

function watched(load: WarmLoad, pages: number): Variant {
  return serviceUnder(
    WATCHED,
    load,
    () => ({}),
    async ({ process }, drive) => {
      const args = [OPEN_PAGES, process.adminUrl, String(pages)];
      await using open = await Child.start({ args, env: {}, up: /all pages are live/ });
      const round = await drive();
      const counts = [...open.output.matchAll(/a page had ([\d.]+)/g)].map(([, count]) => Number(count));
      const messages = counts.reduce((sum, count) => sum + count, 0) / counts.length;
      return { ...round, figures: { ...round.figures, "messages a page had": [messages, "per second"] } };
    },
  );
}

export const experiment = defineExperiment({
  question: "What do open live pages cost the service?",
  defaults: { warmup: 15, rounds: 9, seconds: 3, connections: 64, pages: 50 },
  about: { pages: "that are open, in a process of their own" },
  lab: { warmup: 5, rounds: 4, seconds: 2 },
  variants: ({ pages, ...load }) => [serviceUnder(NONE, load), watched(load, pages)],
  targets: (seen) => [
    atLeast("orders/s with the pages over those without", seen.ratio("orders/s", WATCHED, NONE), 0.95),
    atMost("CPU per order with the pages over that without", seen.ratio("CPU per order", WATCHED, NONE), 1.05),
    // There are four a second. With fewer than this the pages cost little because they were starved.
    atLeast("messages a page had per second", seen.median(WATCHED, "messages a page had"), 2),
  ],
});
