import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Sql } from "../../src/journal/postgres/sql.ts";
import { seedOf } from "../support/seed.ts";
import { SharesDatabase, share, sumOf } from "./shares-database.ts";

let database: SharesDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await SharesDatabase.open();
  sql = await database.sql();
});
afterEach(() => database.endAll());
afterAll(() => database[Symbol.asyncDispose]());

describe("the shares of the nodes", () => {
  test("a node alone gets what it wants and all the rest as spares; one that wants nothing gets none", async () => {
    const a = await database.begin();
    expect(await share(sql, a)).toEqual({ held: 0, target: 0 });
    expect(await share(sql, a, { want: 1 })).toEqual({ held: 5, target: 5 });
    expect(await share(sql, a, { keep: 5, want: 9 })).toEqual({ held: 5, target: 5 });
  });

  test("a newcomer gets what is free and a higher target; who has too many gets a lower one; then the newcomer has them", async () => {
    const [a, b] = [await database.begin(), await database.begin()];
    await share(sql, a, { want: 9 });
    expect(await share(sql, b, { want: 9, waitedMs: 10 })).toEqual({ held: 0, target: 2 });
    expect(await share(sql, a, { keep: 5, want: 9 })).toEqual({ held: 5, target: 3 });
    expect(await share(sql, a, { keep: 3, want: 9 })).toEqual({ held: 3, target: 3 });
    expect(await share(sql, b, { want: 9 })).toEqual({ held: 2, target: 2 });
  });

  test("what a node does not use stays with it only while nobody lacks it", async () => {
    const [a, b] = [await database.begin(), await database.begin()];
    await share(sql, a, { want: 4 });
    expect(await share(sql, a, { keep: 4 })).toEqual({ held: 4, target: 4 });
    expect(await share(sql, b, { want: 1 })).toEqual({ held: 1, target: 5 });
    expect(await share(sql, a, { keep: 4 })).toEqual({ held: 4, target: 0 });
  });

  test("a spare goes to whoever wants it", async () => {
    const [a, b] = [await database.begin(), await database.begin()];
    await share(sql, a, { want: 1 });
    await share(sql, b, { want: 4 });
    expect(await share(sql, a, { keep: 5, want: 1 })).toEqual({ held: 5, target: 1 });
  });

  test("one courier goes to the node whose waiter has waited clearly longer, and stays otherwise", async () => {
    const [a, b] = [await database.begin(), await database.begin()];
    await share(sql, a, { want: 5, total: 1 });
    expect(await share(sql, b, { want: 5, total: 1, waitedMs: 240 })).toEqual({ held: 0, target: 0 });
    expect(await share(sql, b, { want: 5, total: 1, waitedMs: 260 })).toEqual({ held: 0, target: 1 });
  });

  test("with fewer couriers than the nodes hold, as while settings change, those too many come back", async () => {
    const a = await database.begin({ held: 5, wanted: 5 });
    expect(await share(sql, a, { keep: 5, want: 5, total: 3 })).toEqual({ held: 5, target: 3 });
    expect(await share(sql, a, { keep: 3, want: 5, total: 3 })).toEqual({ held: 3, target: 3 });
  });
});

describe("nodes that are gone", () => {
  test("leave theirs to the next that asks", async () => {
    const [a, b] = [await database.begin(), await database.begin()];
    await share(sql, a, { want: 5 });
    expect((await share(sql, b, { want: 5 }))?.held).toBe(0);
    await database.end(a);
    expect(await share(sql, b, { want: 5 })).toEqual({ held: 5, target: 5 });
  });

  test("are told so, and get nothing", async () => {
    const a = await database.begin();
    await share(sql, a, { want: 5 });
    await database.end(a);
    expect(await share(sql, a, { keep: 5, want: 5 })).toBeUndefined();
    expect(await database.alive()).toEqual([]);
  });
});

test("a life begins without the couriers that the one before it kept", async () => {
  await database.begin({ held: 4, wanted: 4 });
  const a = await database.begin();
  expect(await share(sql, a, { keep: 3, want: 3 })).toEqual({ held: 1, target: 2 });
});

test("a request that comes after a later one changes nothing", async () => {
  const a = await database.begin();
  await share(sql, a, { number: 1_000_001, want: 5 });
  expect(await share(sql, a, { number: 1_000_000 })).toBeUndefined();
  expect(await database.alive()).toEqual([{ life: a, held: 5, wanted: 5 }]);
});

const node = fc.record({ holds: fc.nat(8), want: fc.nat(12), waitedMs: fc.nat(2_000) });

test("whatever nodes hold and want: max-min fair, fully used, and never more than there are", async () => {
  const seed = seedOf("SHARES_SEED");
  console.info(`SHARES_SEED=${seed}`);
  let starved = 0;
  const fair = fc.asyncProperty(fc.integer({ min: 1, max: 8 }), fc.array(node, { minLength: 1, maxLength: 5 }), async (total, nodes) => {
    await database.endAll();
    let free = total;
    const lives: { life: number; want: number; waitedMs: number; held: number }[] = [];
    for (const { holds, want, waitedMs } of nodes) {
      const held = Math.min(holds, free);
      free -= held;
      lives.push({ life: await database.begin({ held, wanted: want, waitedMs }), want, waitedMs, held });
    }
    // Each node says what it wants, gives back what it has too much, and takes what was given back.
    for (let round = 0; round < 3; round++) {
      for (const each of lives) {
        const keep = each.held;
        const answer = await share(sql, each.life, { keep, want: each.want, waitedMs: each.waitedMs, total });
        expect(sumOf(await database.alive())).toBeLessThanOrEqual(total);
        expect(answer?.held).toBeGreaterThanOrEqual(keep);
        each.held = Math.min(answer?.held ?? 0, answer?.target ?? 0);
      }
    }
    const alive = await database.alive();
    const wanted = lives.reduce((sum, { want }) => sum + want, 0);
    const held = alive.map((each) => each.held);
    const used = lives.map(({ want }, index) => Math.min(want, held[index] ?? 0));
    expect(used.reduce((sum, n) => sum + n, 0)).toBe(Math.min(total, wanted));
    for (const [index, { want }] of lives.entries()) {
      if ((held[index] ?? 0) >= want) continue;
      starved++;
      // Nobody has more who could give it, and nobody waits for less than an equal part.
      expect(Math.max(...held)).toBeLessThanOrEqual((held[index] ?? 0) + 1);
      expect(held[index]).toBeGreaterThanOrEqual(Math.floor(total / nodes.length));
    }
  });
  await fc.assert(fair, { seed, numRuns: 150 });
  expect(starved).toBeGreaterThan(0);
});
