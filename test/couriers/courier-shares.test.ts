import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { LOCK_CLASS } from "../../src/journal/postgres/schema.ts";
import { eventually } from "../support/eventually.ts";
import { seedOf } from "../support/seed.ts";
import { SharesDatabase, share, sumOf } from "./shares-database.ts";

const TOTAL = 5;
const FOR_MS = 2_500;

test("nodes that ask at the same moment, begin and end: never more is held than there is, by the rows and by what the nodes believe", async () => {
  const seed = seedOf("SHARES_SEED");
  console.info(`SHARES_SEED=${seed}`);
  await using database = await SharesDatabase.open();
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
  await using database = await SharesDatabase.open();
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
  await using database = await SharesDatabase.open();
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
  await using database = await SharesDatabase.open();
  const [sql, lock] = [await database.sql(), await database.sql()];
  const a = await database.begin();
  await lock.rows({ name: "begin", text: "BEGIN" });
  await lock.rows({ name: "end", text: "UPDATE nodes SET ended_ms = 1 WHERE life = $1" }, [a]);
  const asking = share(sql, a, { want: 5 });
  await eventually("its request waits", () => database.waitingForLocks());
  await lock.rows({ name: "commit", text: "COMMIT" });
  expect(await asking).toBeUndefined();
});
