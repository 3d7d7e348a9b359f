import { Agent, request } from "node:http";
import { join } from "node:path";
import { NO_DELAYS, peerUnder, serviceUnder, startService, type WarmLoad } from "../lab/closed-loop.ts";
import { defineExperiment, type Round, type Scope, type Variant } from "../lab/experiment.ts";
import { orderIds } from "../order-ids.ts";
import { quantile } from "../quantile.ts";
import { atLeast, atMost } from "../target.ts";

const [FILE, MEMORY, ALONE, MANY] = ["file", "memory", "one at a time", "four times the connections"];
const REQUESTS_AN_ORDER = 2;

const inFile = ({ directory }: Scope) => ({ JOURNAL: join(directory, "orders.db") });
const inMemory = () => ({});

/** From the request to the answer, one order after the other on one connection. */
async function oneAtATime(url: string, seconds: number): Promise<Round> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const nextId = orderIds();
  const times: number[] = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const begun = performance.now();
    const status = await new Promise<number>((resolve, reject) => {
      const outgoing = request(url, { method: "POST", agent }, (answer) =>
        answer.resume().once("end", () => resolve(answer.statusCode ?? 0)),
      );
      outgoing.once("error", reject).end(JSON.stringify({ order_id: nextId(), ...NO_DELAYS }));
    });
    if (status !== 200) throw new Error(`an order was answered with ${status}`);
    times.push(performance.now() - begun);
  }
  agent.destroy();
  return { figures: { p50: [quantile(times, 0.5), "ms"], p99: [quantile(times, 0.99), "ms"] } };
}

function alone(kind: string, seconds: number, settings: (scope: Scope) => Record<string, string>): Variant {
  return {
    name: `${kind}, ${ALONE}`,
    ofTree: true,
    async open(scope) {
      const { orderUrl } = await startService(scope, settings(scope));
      await oneAtATime(orderUrl, seconds);
      return () => oneAtATime(orderUrl, seconds);
    },
  };
}

async function commits(adminUrl: string): Promise<number> {
  const page = await (await fetch(`${adminUrl}/metrics`)).text();
  return Number(/^journal_commit_seconds_count (\d+)$/m.exec(page)?.[1]);
}

/** How many requests share a commit. */
function sharing(load: WarmLoad): Variant {
  return serviceUnder(`${FILE}, ${MANY}`, load, inFile, async ({ process }, drive) => {
    const before = await commits(process.adminUrl);
    const round = await drive();
    const count = (await commits(process.adminUrl)) - before;
    return { ...round, figures: { ...round.figures, "requests per commit": [(REQUESTS_AN_ORDER * round.driven.answers) / count, ""] } };
  });
}

export const experiment = defineExperiment({
  question: "What does the journal in a file cost, beside one in memory?",
  defaults: { warmup: 5, rounds: 5, seconds: 3, connections: 64 },
  lab: { warmup: 4, rounds: 3, seconds: 2 },
  variants: (load) => [
    serviceUnder(FILE, load, inFile),
    serviceUnder(MEMORY, load),
    alone(FILE, load.seconds, inFile),
    alone(MEMORY, load.seconds, inMemory),
    sharing({ ...load, connections: 4 * load.connections }),
  ],
  peer: peerUnder,
  targets: (seen) => [
    atLeast("orders/s with a file over those in memory", seen.ratio("orders/s", FILE, MEMORY), 0.5),
    // A journal in memory costs its round trip too, so the limit is for the whole answer and not for the difference.
    atMost("p50 of an answer at one order at a time, journal in a file", seen.median(`${FILE}, ${ALONE}`, "p50"), 5, " ms"),
  ],
});
