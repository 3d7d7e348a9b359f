import { expect, test } from "vitest";
import { experiment as contrast } from "../load/experiments/contrast.ts";
import { targetsOf } from "../load/experiments/peers.ts";
import { Comparison } from "../load/lab/comparison.ts";
import type { Variant } from "../load/lab/experiment.ts";
import { INNOCENTS_LOST, INNOCENTS_THREADS, innocents, measure } from "../load/peers/measures.ts";
import { OWN, PEERS, type Peer } from "../load/peers/pools.ts";

const SECONDS = 1;
const own = PEERS[OWN] as Peer;

/** The library with a fault: whoever is canceled takes its neighbors along. */
const careless: Peer = {
  ...own,
  async open(threads, notes) {
    const pool = await own.open(threads, notes);
    const cancels = new Set<() => void>();
    return {
      run(job, options) {
        const { settled, cancel } = pool.run(job, options);
        cancels.add(cancel);
        void settled.then(() => cancels.delete(cancel));
        const all = (): void => {
          for (const one of [...cancels]) one();
        };
        return { settled, cancel: all };
      },
      [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
    };
  },
};

test("the experiment peers finds no innocents and no threads lost by the library, having looked at some", async () => {
  const figures = await measure(own, SECONDS);
  const seen = (...rounds: (typeof figures)[]) => new Comparison(new Map([[own.title, rounds.map((figures) => ({ figures }))]]));
  expect(targetsOf(seen(figures)).map(({ met }) => met)).toEqual([true, true, true]);
  // On a machine that stalls a task may be over before anybody cancels it.
  const ranOn = Object.entries(figures).filter(([name]) => name.endsWith("ran on to its end"));
  expect(ranOn).toHaveLength(3);
  for (const [, [perThousand]] of ranOn) expect(perThousand).toBeLessThan(1000);

  const threadLost = { ...figures, [INNOCENTS_THREADS]: [1, ""] as const };
  expect(targetsOf(seen(figures, threadLost)).map(({ met }) => met)).toEqual([true, true, false]);
  const innocentLost = { ...figures, [INNOCENTS_LOST]: [1, ""] as const };
  expect(targetsOf(seen(figures, innocentLost)).map(({ met }) => met)).toEqual([true, false, true]);
});

test("it sees innocents that are lost", async () => {
  // On a machine that stalls all innocents may be over before anybody is canceled.
  for (let lost: number | undefined = 0; lost === 0; ) {
    const figures = await innocents(careless, SECONDS);
    lost = figures[INNOCENTS_LOST]?.[0];
    expect(figures[INNOCENTS_THREADS]?.[0]).toBe(0);
    expect(lost).toBeDefined();
  }
});

test("the experiment contrast counts what an order costs by the orders that were done, also after the time was over", async () => {
  const variants = contrast.variants({ rounds: 1, seconds: 0.05, orders: 1 });
  const workers = variants.find(({ name }) => name === "siblings wait: a `Worker` per task, `terminate()`") as Variant;
  await using stack = new AsyncDisposableStack();
  const round = await workers.open({ stack, script: "", directory: "" });
  expect((await round()).figures["threads that end per order"]?.[0]).toBe(3);
});
