import { expect, test, vi } from "vitest";
import { randomFrom } from "../../../load/stand-in/random.ts";
import { MAX_SCANNED } from "../../../src/journal/postgres/queries/ended-orders.ts";
import type { OrderFilter, OrderStatus } from "../../../src/orders/operator-journal.ts";
import { seedOf } from "../../support/seed.ts";
import { type AttemptRow, acceptedMs, connect, pages, QueriesFixture } from "./queries-fixture.ts";

const SEED = seedOf("SEED");
const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

const endedMs = (id: number) => acceptedMs(id) + 100;
const placed = (id: number, orderId: string, attempt = 1): AttemptRow => ({ id, order_id: orderId, attempt, ended_ms: endedMs(id) });
const failed = (id: number, orderId: string, attempt = 1): AttemptRow => ({ ...placed(id, orderId, attempt), error: "timeout" });
const runs = (id: number, orderId: string, attempt = 1): AttemptRow => ({ id, order_id: orderId, attempt, open_by: 1 });

async function listed(at: QueriesFixture, filter: OrderFilter, limit: number): Promise<string[]> {
  return (await pages((cursor) => at.orders(filter, cursor, limit))).flat().map(({ orderId, attempt }) => `${orderId} ${attempt}`);
}

test("orders are listed by their latest attempt, those that run first, newest first, each once however small the pages are", async () => {
  await using at = await QueriesFixture.open();
  await at.attempts(
    failed(1, "again"),
    failed(2, "refunded"),
    placed(3, "placed"),
    failed(4, "pending"),
    failed(5, "twice"),
    runs(6, "runs"),
    failed(7, "twice", 2),
    runs(8, "again", 2),
    // Its answer is not stored yet.
    { ...failed(9, "unanswered"), open_by: 1 },
    placed(10, "last"),
  );
  await at.compensations(
    { id: 1, attempt_id: 1, step: "payment", state: "pending" },
    { id: 2, attempt_id: 2, step: "payment", state: "done", ended_ms: endedMs(2) },
    { id: 3, attempt_id: 4, step: "payment", state: "trying" },
    { id: 4, attempt_id: 4, step: "vendor", state: "held" },
    { id: 5, attempt_id: 5, step: "payment", state: "pending" },
    { id: 6, attempt_id: 7, step: "vendor", state: "settled", ended_ms: endedMs(7), note: "by hand" },
    { id: 7, attempt_id: 9, step: "courier", state: "trying" },
  );
  const running = ["again 2", "runs 1"];
  const ended = ["last 1", "unanswered 1", "twice 2", "pending 1", "placed 1", "refunded 1"];
  const expected: readonly [OrderStatus | undefined, string[]][] = [
    [undefined, [...running, ...ended]],
    ["running", running],
    ["ok", ["last 1", "placed 1"]],
    ["error", ["unanswered 1", "twice 2", "pending 1", "refunded 1"]],
    ["compensating", ["unanswered 1", "pending 1"]],
  ];
  for (const [status, ids] of expected)
    for (const limit of [1, 2, 3, 4, 8, 100]) expect(await listed(at, status === undefined ? {} : { status }, limit)).toEqual(ids);

  const { items, next } = await at.orders({}, undefined, 100);
  expect(next).toBeUndefined();
  expect(items.slice(1, 4)).toEqual([
    { orderId: "runs", attempt: 1, amount: 600, status: "running", acceptedMs: acceptedMs(6) },
    { orderId: "last", attempt: 1, amount: 1000, status: "ok", acceptedMs: acceptedMs(10), endedMs: endedMs(10) },
    {
      orderId: "unanswered",
      attempt: 1,
      amount: 900,
      status: "compensating",
      acceptedMs: acceptedMs(9),
      endedMs: endedMs(9),
      error: "timeout",
    },
  ]);
  expect(items.map(({ status }) => status).slice(4)).toEqual(["error", "compensating", "ok", "error"]);
});

test("a time is about the end of an order, and about the acceptance of one that runs; its end is excluded", async () => {
  await using at = await QueriesFixture.open();
  await at.attempts(placed(1, "before"), failed(2, "first"), placed(3, "last"), runs(4, "runs"), failed(5, "end"), runs(6, "late"));
  await at.compensations(
    { id: 1, attempt_id: 2, step: "payment", state: "pending" },
    { id: 2, attempt_id: 5, step: "payment", state: "pending" },
  );
  const filter = { sinceMs: endedMs(2), untilMs: endedMs(5) };
  expect(await listed(at, filter, 1)).toEqual(["runs 1", "last 1", "first 1"]);
  expect(await listed(at, { ...filter, status: "error" }, 1)).toEqual(["first 1"]);
  expect(await listed(at, { ...filter, status: "compensating" }, 1)).toEqual(["first 1"]);
  expect(await listed(at, { sinceMs: acceptedMs(4), untilMs: acceptedMs(6), status: "running" }, 1)).toEqual(["runs 1"]);
});

test("an attempt that is stored after the first page was read hides no order, even where its id is lower than those that were there", async () => {
  await using at = await QueriesFixture.open();
  const other = await connect(at.database.url);
  await at.attempts(failed(1, "again"), failed(2, "known"), placed(3, "other"), failed(4, "known", 2));
  // Another node's batch: it has its ids, and is not stored yet.
  await other.query("BEGIN");
  await other.query("INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, open_by) VALUES (5, 'again', 2, 1, 1, 1)");
  await at.attempts(placed(6, "newest"));

  for (const status of [undefined, "error"] as const) {
    const first = await at.orders(status === undefined ? {} : { status }, undefined, 1);
    expect(first.items.map(({ orderId }) => orderId)).toEqual([status === undefined ? "newest" : "known"]);
    if (status === "error") await other.query("COMMIT");
    const rest = await pages((cursor) => at.orders(status === undefined ? {} : { status }, cursor ?? first.next, 1));
    // What was superseded at the first page is left out.
    expect(rest.flat().map(({ orderId, attempt }) => `${orderId} ${attempt}`)).toEqual(
      status === undefined ? ["known 2", "other 1", "again 1"] : ["again 1"],
    );
  }
  // To whom begins anew it is the order's latest.
  expect(await listed(at, {}, 10)).toEqual(["again 2", "newest 1", "known 2", "other 1"]);
  await other.end();
});

test(`no order is missed while others end, fail and are sent again (SEED=${SEED})`, async () => {
  const random = randomFrom(SEED);
  let changes = 0;
  for (let round = 0; round < 4; round++) {
    await using at = await QueriesFixture.open();
    const latest = new Map<string, { id: number; attempt: number; state: "runs" | "placed" | "failed" }>();
    let ids = 0;
    const accept = async (orderId: string) => {
      const attempt = (latest.get(orderId)?.attempt ?? 0) + 1;
      await at.attempts(runs(++ids, orderId, attempt));
      latest.set(orderId, { id: ids, attempt, state: "runs" });
    };
    const end = async (orderId: string) => {
      const order = latest.get(orderId);
      if (order === undefined) return;
      const isFailed = random() < 0.5;
      const values = [order.id, endedMs(ids), isFailed ? "timeout" : null, random() < 0.5 ? 1 : null];
      await at.client.query("UPDATE attempts SET ended_ms = $2, error = $3, open_by = $4 WHERE id = $1", values);
      latest.set(orderId, { ...order, state: isFailed ? "failed" : "placed" });
    };
    const any = () => [...latest.keys()][Math.floor(random() * latest.size)] ?? "";
    const act = async () => {
      const orderId = any();
      const state = latest.get(orderId)?.state;
      if (latest.size === 0 || random() < 0.2) await accept(`${ids}`);
      else if (state === "runs") await end(orderId);
      else if (state === "failed") await accept(orderId);
    };
    for (let n = 0; n < 150; n++) await act();
    for (const status of [undefined, "error"] as const) {
      const before = [...latest].filter(([, { state }]) => status === undefined || state === "failed").map(([orderId]) => orderId);
      let acts = 0;
      const between = async () => {
        for (const upTo = Math.min(300, acts + 1 + 5 * random()); acts < upTo; acts++) await act();
      };
      const found = (await pages((cursor) => at.orders(status === undefined ? {} : { status }, cursor, 2), between)).flat();
      const seen = new Set(found.map(({ orderId }) => orderId));
      expect(before.filter((orderId) => !seen.has(orderId))).toEqual([]);
      changes += acts;
      // Nothing changes any more: each once.
      expect((await listed(at, {}, 3)).toSorted()).toEqual([...latest].map(([orderId, { attempt }]) => `${orderId} ${attempt}`).toSorted());
    }
  }
  expect(changes).toBeGreaterThan(100);
});

test(`the list has every order of a time, whatever the clocks did (SEED=${SEED})`, async () => {
  const random = randomFrom(SEED);
  await using at = await QueriesFixture.open();
  let clockMs = 1_790_000_000_000;
  const rows = Array.from({ length: 4_000 }, (_, index) => {
    // Somebody sets the clock, by up to ten days.
    clockMs += random() < 0.01 ? (random() - 0.5) * 20 * DAY_MS : random() * 60_000;
    const acceptedMs = Math.floor(clockMs);
    const row = { id: index + 1, order_id: `${index}`, accepted_ms: acceptedMs, ended_ms: acceptedMs + Math.floor(random() * 3_000) };
    return random() < 0.2 ? { ...row, error: "timeout" } : row;
  });
  await at.attempts(...rows);
  const times = rows.map(({ ended_ms }) => ended_ms).toSorted((one, other) => one - other);
  const some = () => times[Math.floor(random() * times.length)] ?? 0;
  const found = async (filter: OrderFilter) =>
    (await pages((cursor) => at.orders(filter, cursor, 500))).flat().map(({ orderId }) => orderId);
  for (let window = 0; window < 10; window++) {
    const [sinceMs = 0, untilMs = 0] = [some(), some()].toSorted((one, other) => one - other);
    const within = rows.filter(({ ended_ms }) => ended_ms >= sinceMs && ended_ms < untilMs).toReversed();
    const ids = (some: typeof rows) => some.map(({ order_id }) => order_id);
    expect(await found({ sinceMs, untilMs })).toEqual(ids(within));
    expect(await found({ sinceMs, untilMs, status: "ok" })).toEqual(ids(within.filter((row) => !("error" in row))));
    const byEnd = within.filter((row) => "error" in row).toSorted((one, other) => other.ended_ms - one.ended_ms || other.id - one.id);
    expect(await found({ sinceMs, untilMs, status: "error" })).toEqual(ids(byEnd));
  }
});

test(`the list has every order of a time long ago, whatever the nodes' clocks say, though it is looked for by its time (SEED=${SEED})`, async () => {
  const random = randomFrom(SEED);
  await using at = await QueriesFixture.open();
  // More than two pages look at, a second apart; two clocks differ by up to four minutes.
  const rows = Array.from({ length: 3 * MAX_SCANNED }, (_, index) => {
    const accepted = Math.floor(acceptedMs(index) + (random() - 0.5) * 240_000);
    return { id: index + 1, order_id: `${index}`, accepted_ms: accepted, ended_ms: accepted + Math.floor(random() * 3_000) };
  });
  for (let from = 0; from < rows.length; from += MAX_SCANNED) await at.attempts(...rows.slice(from, from + MAX_SCANNED));
  const asked = vi.spyOn(at.client, "query");
  const lookedForByTime = () => asked.mock.calls.filter(([query]) => (query as { name?: string }).name === "id-at-time").length;
  for (let window = 0; window < 10; window++) {
    // Older than what two pages look at.
    const sinceMs = acceptedMs(Math.floor(random() * 0.9 * MAX_SCANNED));
    const untilMs = sinceMs + Math.floor(random() * 500_000);
    const before = lookedForByTime();
    for (const status of [undefined, "ok"] as const) {
      const found = (await pages((cursor) => at.orders({ sinceMs, untilMs, ...(status !== undefined && { status }) }, cursor, 500))).flat();
      const within = rows.filter(({ ended_ms }) => ended_ms >= sinceMs && ended_ms < untilMs).toReversed();
      expect(found.map(({ orderId }) => orderId)).toEqual(within.map(({ order_id }) => order_id));
    }
    expect(lookedForByTime()).toBe(before + 2);
  }
});

test("a page looks at a bounded number of rows, and pages come to a time long ago without those between", async () => {
  await using at = await QueriesFixture.open();
  const orders = 60_000;
  // One a second: two thirds of a day.
  await at.client.query(
    `INSERT INTO attempts (id, order_id, attempt, amount, accepted_ms, ended_ms, error, answer)
     SELECT n, 'o' || n, 1, 1, $1::bigint + 1000 * n, $1::bigint + 1000 * n + 100, CASE WHEN n = 30000 THEN 'timeout' END, '{}'
     FROM generate_series(1, ${orders}) n`,
    [acceptedMs(0)],
  );
  const filter = { sinceMs: endedMs(29_995), untilMs: endedMs(30_005) };
  const expected = Array.from({ length: 10 }, (_, index) => `o${30_004 - index}`);
  const read = await pages((cursor) => at.orders(filter, cursor, 100));
  expect(read.flat().map(({ orderId }) => orderId)).toEqual(expected);
  // A first look, one from where the time ends, and those until nothing more can come.
  expect(read.length).toBeLessThanOrEqual(4);
  expect((await pages((cursor) => at.orders({ ...filter, status: "error" }, cursor, 100))).flat()).toHaveLength(1);
  // Of a status that is rare in the index of all, page by page.
  await at.client.query("UPDATE attempts SET error = 'timeout' WHERE id > 20000");
  const placedPages = await pages((cursor) => at.orders({ status: "ok" }, cursor, 500));
  expect(placedPages[0]).toEqual([]);
  const placedOrders = placedPages.flat().map(({ orderId }) => orderId);
  expect([placedOrders.length, new Set(placedOrders).size, placedOrders[0], placedOrders.at(-1)]).toEqual([20_000, 20_000, "o20000", "o1"]);
});
