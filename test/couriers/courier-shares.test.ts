import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { LOCK_CLASS } from "../../src/journal/postgres/schema.ts";
import type { Sql } from "../../src/journal/postgres/sql.ts";
import { eventually } from "../support/eventually.ts";
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

const TOTAL = 5;
const FOR_MS = 2_500;

test("nodes that ask at the same moment, begin and end: never more is held than there is, by the rows and by what the nodes believe", async () => {
  const seed = seedOf("SHARES_SEED");
  console.info(`SHARES_SEED=${seed}`);
  const until = performance.now() + FOR_MS;
  /** What each node uses; the sum is looked at after every change. */
  const uses = [0, 0, 0];
  let [most, mostUsed, asked, full] = [0, 0, 0, 0];
  const use = (index: number, held: number) => {
    uses[index] = held;
    const used = uses.reduce((sum, each) => sum + each, 0);
    mostUsed = Math.max(mostUsed, used);
    if (used === TOTAL) full++;
  };
  const node = async (index: number) => {
    const random = randomFrom(`${seed} node ${index}`);
    const sql = await database.sql();
    let life = await database.begin();
    while (performance.now() < until) {
      const held = uses[index] ?? 0;
      const keep = random() < 0.5 ? held : Math.floor(random() * (held + 1));
      use(index, keep);
      const answer = await share(sql, life, { keep, want: Math.floor(random() * 8), waitedMs: Math.floor(random() * 2_000), total: TOTAL });
      expect(answer).toBeDefined();
      expect(answer?.held).toBeGreaterThanOrEqual(keep);
      use(index, answer?.held ?? 0);
      asked++;
      if (random() < 0.1) {
        use(index, 0);
        await database.end(life);
        expect(await share(sql, life, { want: 8 })).toBeUndefined();
        life = await database.begin();
      }
    }
    expect((await database.alive()).find((each) => each.life === life)?.held).toBe(uses[index]);
  };
  const look = async () => {
    while (performance.now() < until) most = Math.max(most, sumOf(await database.alive()));
  };
  await Promise.all([node(0), node(1), node(2), look()]);
  expect([most, mostUsed]).toEqual([TOTAL, TOTAL]);
  expect(asked).toBeGreaterThan(50);
  expect(full).toBeGreaterThan(5);
});

test("a node waits for a batch of its own life, and others do not wait for that", async () => {
  const [a, b] = [await database.begin(), await database.begin()];
  const [sqlOfA, sqlOfB, batch] = [await database.sql(), await database.sql(), await database.sql()];
  await batch.rows({ name: "begin", text: "BEGIN" });
  await batch.rows({ name: "batch", text: "SELECT begin_batch($1, 1)" }, [a]);
  const asked = { answered: false };
  const asking = share(sqlOfA, a, { want: 5 }).finally(() => {
    asked.answered = true;
  });
  await eventually("its request waits", () => database.waitingForLocks());
  expect(await share(sqlOfB, b, { want: 2 })).toEqual({ held: 5, target: 5 });
  await pause(20);
  expect(asked.answered).toBe(false);
  await batch.rows({ name: "commit", text: "COMMIT" });
  expect(await asking).toEqual({ held: 0, target: 3 });
});

test("a life that began while another node's request was under way is seen by that request", async () => {
  const [sqlOfA, sqlOfB, lock] = [await database.sql(), await database.sql(), await database.sql()];
  const a = await database.begin();
  await lock.rows({ name: "begin", text: "BEGIN" });
  await lock.rows({ name: "lock", text: "SELECT pg_advisory_xact_lock($1, -1)" }, [LOCK_CLASS]);
  const asking = share(sqlOfA, a, { want: 5 });
  await eventually("its request waits", () => database.waitingForLocks());
  const b = await database.begin({ held: 4, wanted: 4 });
  await lock.rows({ name: "commit", text: "COMMIT" });
  expect(await asking).toEqual({ held: 1, target: 2 });
  expect(await share(sqlOfB, b, { keep: 4, want: 4 })).toEqual({ held: 4, target: 3 });
});

test("a life that has ended while it asked gets nothing", async () => {
  const [sql, lock] = [await database.sql(), await database.sql()];
  const a = await database.begin();
  await lock.rows({ name: "begin", text: "BEGIN" });
  await lock.rows({ name: "end", text: "UPDATE nodes SET ended_ms = 1 WHERE life = $1" }, [a]);
  const asking = share(sql, a, { want: 5 });
  await eventually("its request waits", () => database.waitingForLocks());
  await lock.rows({ name: "commit", text: "COMMIT" });
  expect(await asking).toBeUndefined();
});
