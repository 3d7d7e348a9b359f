import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import type { Cursor, OrderFilter } from "../../src/orders/operator-journal.ts";
import { seedOf } from "../support/seed.ts";
import { DAY_MS, JournalFixture, NOW } from "./journal-fixture.ts";

const SEED = seedOf("SEED");
// Several blocks of 1024 attempts.
const ORDERS = 3_000;
const AT_A_TIME = 300;
const WINDOWS = 15;

interface Ended {
  readonly orderId: string;
  readonly endedMs: number;
  readonly failed: boolean;
}

test.each(["memory", "file"] as const)(
  `in a %s the list has every order of a time, whatever the clock did and retention took (SEED=${SEED})`,
  async (kind) => {
    const random = randomFrom(SEED);
    await using at = await JournalFixture.open(kind);
    let ended: Ended[] = [];
    let clockMs = NOW;
    let orders = 0;
    const end = async (count: number, failed: () => boolean) => {
      const added = Array.from({ length: count }, () => {
        // Somebody sets the clock, by up to ten days.
        clockMs += random() < 0.01 ? (random() - 0.5) * 20 * DAY_MS : random() * 60_000;
        return { orderId: `${orders++}`, endedMs: Math.floor(clockMs), failed: failed() };
      });
      await Promise.all(
        added.map(({ orderId, endedMs, failed }) => at.run(orderId, { nowMs: endedMs, ...(failed && { error: "timeout" as const }) })),
      );
      ended.push(...added);
    };
    const all = async (filter: OrderFilter) => {
      const found: string[] = [];
      for (let page = await at.journal.orders(filter, undefined, 500); ; page = await at.journal.orders(filter, page.next, 500)) {
        found.push(...page.items.map(({ orderId }) => orderId));
        if (page.next === undefined) return found;
      }
    };
    const compare = async () => {
      const times = ended.map(({ endedMs }) => endedMs).sort((one, other) => one - other);
      const some = () => times[Math.floor(random() * times.length)] ?? 0;
      for (let window = 0; window < WINDOWS; window++) {
        const [sinceMs = 0, untilMs = 0] = [some(), some()].sort((one, other) => one - other);
        const within = ended.filter(({ endedMs }) => endedMs >= sinceMs && endedMs < untilMs).toReversed();
        const ids = (orders: Ended[]) => orders.map(({ orderId }) => orderId);
        expect(await all({ sinceMs, untilMs })).toEqual(ids(within));
        expect(await all({ sinceMs, untilMs, status: "ok" })).toEqual(ids(within.filter(({ failed }) => !failed)));
        expect((await all({ sinceMs, untilMs, status: "error" })).sort()).toEqual(ids(within.filter(({ failed }) => failed)).sort());
      }
      expect(await all({})).toHaveLength(ended.length);
    };

    for (let count = 0; count < ORDERS; count += AT_A_TIME) await end(AT_A_TIME, () => random() < 0.2);
    await compare();

    // Retention takes the newest attempts, back into a block that was full, and their ids are given again.
    await end(3 * AT_A_TIME, () => true);
    await at.journal.retire(Number.MAX_SAFE_INTEGER, [], 2 * ORDERS);
    ended = ended.filter(({ failed }) => !failed);
    await end(1, () => false);
    await compare();
    await end(ORDERS / 5, () => random() < 0.2);
    await compare();
  },
);

test("a page that looks at many orders that it does not show says where to go on, until all were looked at", async () => {
  await using at = await JournalFixture.open("file");
  await at.run("first");
  await Promise.all(Array.from({ length: 4_100 }, (_, n) => at.run(`o${n}`, { error: "timeout" })));
  const pages: string[][] = [];
  let cursor: Cursor | undefined;
  do {
    const { items, next } = await at.journal.orders({ status: "ok" }, cursor, 10);
    pages.push(items.map(({ orderId }) => orderId));
    cursor = next;
  } while (cursor !== undefined);
  expect(pages).toEqual([[], [], ["first"]]);
});
