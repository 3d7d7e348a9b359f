import { join } from "node:path";
import { bareExpressUnder, peerUnder, serviceUnder } from "../lab/closed-loop.ts";
import { defineExperiment } from "../lab/experiment.ts";
import { atLeast, atMost } from "../target.ts";

const [BARE, MEMORY, FILE] = ["bare Express", "journal in memory", "journal in a file"];

export const experiment = defineExperiment({
  question: "What does an order without delays cost, beside bare Express with the same body and answer?",
  // Until then V8 has compiled the hot code of all threads, which share two cores with the client. Rounds are short, because the machine's
  // other load changes within seconds. Of the same code V8 makes something that is a quarter slower in one process than in another.
  defaults: { warmup: 12, starts: 3, rounds: 3, seconds: 2, connections: 64 },
  about: { starts: "how often all processes start anew, each time for all rounds" },
  lab: { warmup: 5, starts: 2 },
  variants: (load) => [
    bareExpressUnder(load),
    serviceUnder(MEMORY, load),
    serviceUnder(FILE, load, ({ directory }) => ({ JOURNAL: join(directory, "orders.db") })),
  ],
  peer: peerUnder,
  targets: (seen) => [
    atMost("CPU per order, journal in memory, over bare Express", seen.ratio("CPU per order", MEMORY, BARE), 1.65),
    atMost("CPU per order, journal in a file, over bare Express", seen.ratio("CPU per order", FILE, BARE), 2.1),
    atLeast("orders/s, journal in memory, over bare Express", seen.ratio("orders/s", MEMORY, BARE), 0.6),
  ],
});
