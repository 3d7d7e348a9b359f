import { expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { answerTo, CLUSTER, DAY_MS, done, dueAt, JournalFixture, NOW, pending, postponed } from "../journal/journal-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { connect } from "./queries/queries-fixture.ts";

// What operations that share a transaction do to each other. Calls of one turn of the event loop are one batch.

const NUL = "a\0b";

test("of a batch only the operation fails that has a fault of its own, whether something was looked up or not", async () => {
  await using fixture = await JournalFixture.open("postgres", { events: true });
  const { journal } = fixture;
  for (const looks of [false, true]) {
    const ids = Array.from({ length: 50 }, (_, index) => `${looks}-${index}`);
    await Promise.all(ids.map((id) => fixture.accept(id)));
    // Two dead letters of which one batch deletes one, though it is decided twice.
    for (const { seq } of (await fixture.dueEvents(NOW, 2)).items) await journal.giveUpEvent(seq, "HTTP 400", NOW);
    const deleting = looks ? [journal.expireDeadLetters(NOW + 1, 1)] : [];
    const ending = ids.map((id, index) => fixture.finish(id, { attempt: index === 20 ? 7 : 1 }));
    const ends = await Promise.allSettled(ending);
    expect(ends.flatMap(({ status }, index) => (status === "rejected" ? [index] : []))).toEqual([20]);
    expect(ends[20]).toMatchObject({ reason: { message: `attempt 7 at order "${looks}-20" is not open` } });
    expect((await journal.orders({ status: "running" }, undefined, 100)).items.map(({ orderId }) => orderId)).toEqual([`${looks}-20`]);
    expect(await Promise.all(deleting)).toEqual(looks ? [1] : []);
    await fixture.finish(`${looks}-20`);
  }
  expect((await journal.deadLetters(undefined, 10)).items).toHaveLength(1);
  expect(await fixture.deliverAll()).toHaveLength(98);
});

test("an attempt that has ended cannot end again in the same batch, and the rest of the batch is stored", async () => {
  await using fixture = await JournalFixture.open("postgres");
  await Promise.all([fixture.accept("a"), fixture.accept("b")]);
  const ending = { error: "internal", compensations: [pending("payment")] } as const;
  const ends = await Promise.allSettled([fixture.fail("a", ending), fixture.fail("a", ending), fixture.finish("b")]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect((await fixture.journal.compensations("pending", undefined, 10)).items).toHaveLength(1);
});

test("a compensation that is written and taken in one batch is handed out under its id", async () => {
  await using fixture = await JournalFixture.open("postgres");
  const { journal } = fixture;
  await fixture.accept("a");
  const failing = fixture.fail("a", { error: "internal", compensations: [pending("payment")] });
  const taking = journal.takeCompensations("payment", "first", dueAt(NOW));
  const [ids, { items }] = await Promise.all([failing, taking]);
  expect(items.map(({ id }) => id)).toEqual(ids);
  expect(await journal.compensationTried({ id: ids[0] as number, step: "payment" }, NOW)).toBe("done");
});

test("a batch whose connection breaks while a dead letter is looked up is decided again, and leaves no rejection to nobody", async () => {
  await using fixture = await JournalFixture.open("postgres", { events: true });
  await fixture.run("a", { error: "timeout", compensations: [pending("payment")] });
  const [{ seq } = { seq: 0 }] = (await fixture.dueEvents(NOW)).items;
  await fixture.journal.giveUpEvent(seq, "HTTP 400", NOW);
  await using proxy = await TcpProxy.start(Number(new URL(fixture.file).port));
  const other = await Journal.open(proxy.through(fixture.file), { events: true, cluster: CLUSTER });
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", note);
  try {
    proxy.cut("to-client");
    const life = other.cluster?.life;
    const done = Promise.all([other.redeliver(seq, NOW, "ann"), other.takeCompensations("payment", "first", dueAt(NOW))]);
    const waiting = "SELECT FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%FROM dead_letters%'";
    await eventually(
      "the look-up",
      async () => (await fixture.journal.cluster?.sql.rows({ name: "looking", text: waiting }))?.length === 1,
    );
    proxy.reset();
    proxy.heal();
    expect(await done).toMatchObject([true, { items: [{ orderId: "a" }] }]);
    expect(other.cluster?.life).toBe(life);
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
    await other.close();
  }
});

test("of what is held since a restore each operation of a batch confirms its own order", async () => {
  await using fixture = await JournalFixture.open("postgres");
  for (const orderId of ["a", "b", "c"]) await fixture.run(orderId, { error: "internal", compensations: [pending("payment")] });
  await fixture.journal.cluster?.sql.rows({ name: "hold_all", text: "UPDATE compensations SET state = 'held', next_try_ms = NULL" });
  const confirmed = await Promise.all(["a", "b"].map((orderId) => fixture.journal.confirmRestore(orderId, NOW, 10, "ann")));
  expect(confirmed.map(({ compensations }) => compensations)).toEqual([1, 1]);
  expect((await fixture.journal.compensations("pending", undefined, 10)).items.map(({ orderId }) => orderId)).toEqual(["a", "b"]);
  expect(await fixture.journal.actionsOn("a")).toHaveLength(1);
});

test("texts with NUL characters are stored without them and fail nothing of their batch", async () => {
  await using fixture = await JournalFixture.open("postgres", { events: true });
  const { journal } = fixture;
  const failed = await fixture.run("a", { error: "internal", compensations: [postponed("payment", NOW, NUL), pending("vendor")] });
  const [event] = (await fixture.dueEvents(NOW)).items;
  await Promise.all([
    journal.settleCompensation(failed[1] as number, NUL, NOW, NUL),
    journal.giveUpEvent(event?.seq ?? 0, NUL, NOW),
    journal.noteAction({ atMs: NOW, actor: NUL, action: "backup", detail: NUL }),
    fixture.accept("b"),
  ]);
  const shown = NUL.replace("\0", "\ufffd");
  expect(await journal.compensation(failed[0] as number)).toMatchObject({ lastAnswer: shown });
  expect(await journal.compensation(failed[1] as number)).toMatchObject({ note: shown });
  expect((await journal.deadLetters(undefined, 10)).items).toMatchObject([{ reason: shown }]);
  expect(await journal.actionsOn("a")).toMatchObject([{ actor: shown }]);
});

test("an order whose first attempt is deleted and whose second was placed is not accepted as a new one", async () => {
  await using fixture = await JournalFixture.open("postgres");
  await fixture.run("a", { error: "internal", compensations: [done("payment")] });
  await fixture.run("a", { nowMs: NOW + DAY_MS });
  await fixture.journal.retire(NOW + 1, [], 10);
  expect((await fixture.journal.find("a"))?.attempts).toMatchObject([{ attempt: 2 }]);
  expect(await fixture.accept("a")).toEqual({ type: "replayed", answer: answerTo("a") });
});

test("an order that comes in the batch in which its only attempt is retired gets the next number, and the batch is stored", async () => {
  await using fixture = await JournalFixture.open("postgres");
  await fixture.run("a", { error: "internal" });
  const [, ...accepted] = await Promise.all([fixture.journal.retire(NOW + 1, [], 10), fixture.accept("a"), fixture.accept("b")]);
  expect(accepted.map((one) => one.type === "accepted" && one.attempt)).toEqual([2, 1]);
  expect((await fixture.journal.find("a"))?.attempts).toMatchObject([{ attempt: 2 }]);
});

test("an order whose only attempt is being retired gets the next number, before the retirement is committed and after", async () => {
  await using fixture = await JournalFixture.open("postgres");
  const orderIds = Array.from({ length: 40 }, (_, n) => `o${n}`);
  for (const orderId of ["held", ...orderIds]) await fixture.run(orderId, { error: "internal" });
  const second = { type: "accepted", attempt: 2 };
  const retirement = await connect(fixture.file);
  try {
    const retire = (orderId: string) =>
      retirement.query(`WITH gone AS (DELETE FROM attempts WHERE order_id = '${orderId}' AND attempt = 1 RETURNING order_id, attempt)
        INSERT INTO retired_orders (order_id, attempt) SELECT * FROM gone`);
    await retirement.query("BEGIN");
    await retire("held");
    expect(await fixture.accept("held")).toEqual(second);
    await retirement.query("COMMIT");
    // A transaction each, beside batches of one order each.
    const retired = (async () => {
      for (const orderId of orderIds) await retire(orderId);
    })();
    for (const orderId of orderIds) expect(await fixture.accept(orderId)).toEqual(second);
    await retired;
  } finally {
    await retirement.end();
  }
});

test("where another session has every row that is due, a look finds none and says that there are some", async () => {
  await using at = await JournalFixture.open("postgres", { events: true });
  await at.run("a", { error: "timeout", compensations: [pending("payment"), pending("vendor"), done("courier")] });
  const other = await connect(at.file);
  try {
    await other.query("BEGIN");
    await other.query("SELECT FROM compensations WHERE step = 'payment' FOR UPDATE");
    await other.query("SELECT FROM outbox FOR UPDATE");
    const look = (step: "payment" | "vendor") => at.journal.takeCompensations(step, "first", dueAt(NOW));
    expect(await look("payment")).toEqual({ items: [], nextDueMs: NOW + 50 });
    expect(await look("vendor")).toMatchObject({ items: [{ orderId: "a" }] });
    expect(await look("vendor")).toEqual({ items: [] });
    expect(await at.dueEvents(NOW)).toEqual({ items: [], nextDueMs: NOW + 50 });
    await other.query("ROLLBACK");
    expect(await look("payment")).toEqual({ items: [expect.objectContaining({ orderId: "a" })] });
    expect((await at.dueEvents(NOW)).items).toHaveLength(1);
  } finally {
    await other.end();
  }
});
