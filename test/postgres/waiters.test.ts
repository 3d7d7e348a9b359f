import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { seedOf } from "../support/seed.ts";
import { admin, close, node, open, timersBefore, unreachable, waiterRows } from "./waiting-fixture.ts";

describe("an attempt that only other nodes wait for", () => {
  test("is awaited until their requests leave, and is told so again and again; then it is looked at no more", async () => {
    const [runs, other] = [await node(1), await node(2)];
    await open("o");
    const scope = new CancelScope();
    const end = other.waiting.endOf("o", 1, scope);
    await waiterRows("o:1 by 2");
    const told: boolean[] = [];
    runs.waiting.watchWaiters("o", 1, (isAwaited) => void told.push(isAwaited));
    await eventually("three looks", () => told.length >= 3);
    expect(told).not.toContain(false);
    scope.cancel("client_disconnected");
    await end;
    await eventually("the end", () => told.includes(false));
    expect(told.filter((isAwaited) => !isAwaited)).toHaveLength(1);
    expect(told.at(-1)).toBe(false);
    await eventually("no poll", () => timers() === timersBefore);
  });

  test("is not awaited by those that wait for another attempt, nor by a node whose life has ended", async () => {
    const { waiting } = await node(1);
    await admin.query("INSERT INTO waiters VALUES ('o', 2, 2), ('p', 1, 2), ('o', 1, 3)");
    await admin.query("UPDATE nodes SET ended_ms = 1 WHERE life = 3");
    const told = await Promise.all([
      new Promise((resolve) => waiting.watchWaiters("o", 1, resolve)),
      new Promise((resolve) => waiting.watchWaiters("o", 2, resolve)),
      new Promise((resolve) => waiting.watchWaiters("p", 1, resolve)),
      new Promise((resolve) => waiting.watchWaiters("q", 1, resolve)),
    ]);
    expect(told).toEqual([false, true, true, false]);
    await admin.query("DELETE FROM waiters");
  });

  test("is told nothing once its watch has stopped, also where a look was under way", async () => {
    const { sql, waiting } = await node(1);
    const told: boolean[] = [];
    const stop = waiting.watchWaiters("o", 1, (isAwaited) => void told.push(isAwaited));
    stop();
    await eventually("the look", () => sql.asked.length === 1);
    await pause(300);
    expect([told, sql.asked.length]).toEqual([[], 1]);
  });

  test("is not awaited as far as anybody knows where the server is away", async () => {
    const { sql, waiting } = await node(1);
    await admin.query("INSERT INTO waiters VALUES ('o', 1, 2)");
    sql.before = unreachable;
    expect(await new Promise((resolve) => waiting.watchWaiters("o", 1, resolve))).toBe(false);
    await admin.query("DELETE FROM waiters");
  });
});

test("attempts are found by their index, also by statements that were planned while the tables were empty", async () => {
  const { sql, waiting } = await node(2);
  const settings = { enable_seqscan: "off", enable_hashjoin: "off", enable_mergejoin: "off", plan_cache_mode: "force_generic_plan" };
  for (const [name, value] of Object.entries(settings)) await sql.client.query(`SET ${name} = ${value}`);
  await admin.query("VACUUM ANALYZE attempts, waiters, nodes");
  await Promise.all([waiting.endOf("o", 1, new CancelScope()), new Promise((resolve) => waiting.watchWaiters("o", 1, resolve))]);
  for (const name of ["waiters_closed", "waiters_awaited"]) {
    const { rows } = await sql.client.query(`EXPLAIN EXECUTE ${name} ('{o}', '{1}')`);
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toMatch(/Index Cond: \(\(order_id = one.order_id\) AND \(attempt = one.attempt\)\)/);
    expect(plan).not.toMatch(/Seq Scan|Hash|Materialize/);
  }
});

test("whoever comes and goes, and whatever fails: each gets the one answer there is, and no row is left", async () => {
  const seed = seedOf("WAITING_SEED");
  console.info(`WAITING_SEED=${seed}`);
  const drawn = randomFrom(seed);
  const random = (below: number) => Math.floor(drawn() * below);
  const { sql, waiting } = await node(2);
  const ids = ["a", "b", "c", "d"];
  for (const id of ids) await open(id);
  sql.before = () => random(8) === 0 && unreachable();
  sql.after = () => random(8) === 0 && unreachable();
  const requests = Array.from({ length: 300 }, async () => {
    await pause(random(600));
    const id = ids[random(ids.length)] as string;
    const scope = new CancelScope();
    const leaves = random(2) === 0;
    if (leaves) setTimeout(() => scope.cancel("client_disconnected"), random(100));
    const answer = await waiting.endOf(id, 1, scope);
    return leaves && answer === undefined ? undefined : [id, answer?.json];
  });
  for (const id of ids) {
    await pause(random(250));
    await close(id, 1, `of ${id}`);
  }
  for (const [id, json] of (await Promise.all(requests)).filter((each) => each !== undefined)) {
    expect(json).toBe(`of ${id}`);
  }
  sql.before = sql.after = undefined;
}, 60_000);
