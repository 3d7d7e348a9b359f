import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { ACTIONS_SHOWN, type Cursor, type OrderFilter } from "../../src/orders/operator-journal.ts";
import type { StepName } from "../../src/orders/steps.ts";
import { seedOf } from "../support/seed.ts";
import { DAY_MS, JournalFixture, NOW, pending, STORES } from "./journal-fixture.ts";

const failed = { error: "timeout", compensations: [pending("payment"), pending("vendor")] } as const;

describe.each(["file", "postgres"] as const)("a compensation of a step that only another version has, journal in %s", (kind) => {
  const other = "loyalty" as StepName;

  test("is none to retry, and can be settled", async () => {
    await using at = await JournalFixture.open(kind);
    const [id = 0] = await at.run("a", { error: "timeout", compensations: [pending(other)] });
    // Taken, nobody here could try it.
    expect(await at.journal.takeCompensation(id, NOW, "ann")).toBeUndefined();
    expect(await at.journal.settleCompensation(id, "by bank", NOW, "ann")).toMatchObject({ status: "settled" });
  });

  test("holds up neither its order's other ones nor what ends with a node that tried it", async () => {
    await using at = await JournalFixture.open(kind);
    const compensations = [pending("payment"), { step: other, tried: {} }];
    await at.accept("a");
    const [payment = 0, id = 0] = await at.fail("a", { error: "timeout", compensations });
    await at.closeInterrupted(10, NOW);
    expect(await at.journal.compensation(id)).toMatchObject({ status: "pending" });
    await at.take("payment");
    expect(await at.journal.compensationTried({ id: payment, step: "payment" }, NOW)).toBe("done");
  });
});

describe.each(STORES)("what operators did, journal in %s", (kind) => {
  test("stands with the order, oldest first, with the act alone", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    const [payment = 0, vendor = 0] = await at.run("a", failed);
    await at.run("other", failed);
    expect(await at.journal.actionsOn("a")).toEqual([]);
    await at.journal.takeCompensation(payment, NOW + 1, "ann");
    await at.journal.settleCompensation(vendor, "by bank", NOW + 2, "bob");
    const [event] = (await at.dueEvents(NOW)).items;
    await at.journal.giveUpEvent(event?.seq ?? 0, "gone", NOW);
    await at.journal.redeliver(event?.seq ?? 0, NOW + 3, "ann");
    const all = [
      { atMs: NOW + 1, actor: "ann", action: "retry", detail: `compensation ${payment} (attempt 1, payment)` },
      { atMs: NOW + 2, actor: "bob", action: "settle", detail: `compensation ${vendor} (attempt 1, vendor): by bank` },
      { atMs: NOW + 3, actor: "ann", action: "redeliver", detail: `event ${event?.seq}` },
    ];
    expect(await at.journal.actionsOn("a")).toEqual(all);

    // What did nothing: it is tried, it is settled, there is none.
    await at.journal.takeCompensation(payment, NOW + 4, "cat");
    await at.journal.settleCompensation(payment, "x", NOW + 4, "cat");
    await at.journal.settleCompensation(vendor, "by bank", NOW + 4, "cat");
    await at.journal.takeCompensation(vendor, NOW + 4, "cat");
    await at.journal.settleCompensation(4_711, "x", NOW + 4, "cat");
    await at.journal.takeCompensation(4_711, NOW + 4, "cat");
    expect(await at.journal.redeliver(event?.seq ?? 0, NOW + 4, "cat")).toBe(false);
    expect(await at.journal.actionsOn("a")).toEqual(all);
    expect(await at.journal.actionsOn("other")).toEqual([]);
  });

  test(`of many the newest ${ACTIONS_SHOWN} are shown`, async () => {
    await using at = await JournalFixture.open(kind);
    const [payment = 0] = await at.run("a", failed);
    for (let n = 0; n < ACTIONS_SHOWN + 5; n++) {
      await at.journal.takeCompensation(payment, NOW + n, "ann");
      await at.journal.compensationTried({ id: payment, step: "payment", nextTryMs: NOW }, NOW);
    }
    const times = (await at.journal.actionsOn("a")).map(({ atMs }) => atMs - NOW);
    expect(times).toEqual(Array.from({ length: ACTIONS_SHOWN }, (_, n) => n + 5));
  });

  test("goes with the last attempt at the order, and not before", async () => {
    await using at = await JournalFixture.open(kind);
    for (let attempt = 1; attempt <= 2; attempt++) {
      const ids = await at.run("a", { ...failed, nowMs: NOW + attempt });
      for (const id of ids) await at.journal.settleCompensation(id, "by bank", NOW + attempt, "ann");
    }
    await at.run("placed", failed);
    for (const { id } of await at.take("payment")) await at.journal.compensationTried({ id, step: "payment" }, NOW);
    for (const { id } of await at.take("vendor")) await at.journal.compensationTried({ id, step: "vendor", nextTryMs: NOW }, NOW);
    for (const { id } of (await at.journal.compensations("pending", undefined, 9)).items)
      await at.journal.settleCompensation(id, "x", NOW, "me");
    await at.run("placed");
    await at.journal.retire(NOW + 2, [], 10);
    expect(await at.journal.find("a")).toMatchObject({ attempts: [{ attempt: 2 }] });
    expect(await at.journal.actionsOn("a")).toHaveLength(4);
    await at.journal.retire(NOW + 3, [], 10);
    expect(await at.journal.find("a")).toBeUndefined();
    expect(await at.journal.actionsOn("a")).toEqual([]);
    expect(await at.journal.find("placed")).toMatchObject({ attempts: [{ attempt: 2 }] });
    expect(await at.journal.actionsOn("placed")).toHaveLength(1);
  });

  test("about no order, or about one that is gone already, goes by its own age", async () => {
    await using at = await JournalFixture.open(kind, { events: true });
    await at.run("a", { error: "timeout" });
    const [event] = (await at.dueEvents(NOW)).items;
    await at.journal.giveUpEvent(event?.seq ?? 0, "gone", NOW + DAY_MS);
    await at.journal.retire(NOW + 1, [], 10);
    await at.journal.noteAction({ atMs: NOW + 8, actor: "ann", action: "backup", detail: "monday.db" });
    expect(await at.journal.redeliver(event?.seq ?? 0, NOW + 9, "ann")).toBe(true);
    expect(await at.journal.actionsOn("a")).toEqual([]);
    expect(await at.journal.expireActions(NOW + 8, 10)).toBe(0);
    expect(await at.journal.expireActions(NOW + 10, 1)).toBe(1);
    expect(await at.journal.expireActions(NOW + 9, 10)).toBe(0);
    expect(await at.journal.expireActions(NOW + 10, 10)).toBe(1);
    expect(await at.journal.expireActions(NOW + 10, 10)).toBe(0);
  });
});

const RETENTION_MS = 7 * DAY_MS;

test.each(STORES)(
  "a compensation that is settled long after its attempt is kept from then on, with its note, journal in %s",
  async (kind) => {
    await using at = await JournalFixture.open(kind);
    const [payment = 0] = await at.run("a", { error: "timeout", compensations: [pending("payment")] });
    await at.run("other", { error: "timeout" });
    const settledMs = NOW + 5 * RETENTION_MS;
    const settle = (nowMs: number) => at.journal.settleCompensation(payment, "by bank", nowMs, "ann");
    const settled = await settle(settledMs);
    expect(settled).toMatchObject({ orderId: "a", status: "settled", note: "by bank", endedMs: settledMs });
    for (const laterMs of [0, DAY_MS, RETENTION_MS]) {
      const nowMs = settledMs + laterMs;
      await at.journal.retire(nowMs - RETENTION_MS, [], 10);
      expect(await at.journal.compensation(payment)).toEqual(settled);
      expect((await at.journal.compensations("settled", undefined, 10)).items).toEqual([settled]);
      expect(await at.journal.actionsOn("a")).toMatchObject([{ actor: "ann", action: "settle" }]);
      // Sent again it is answered, and changes nothing.
      expect(await settle(nowMs)).toEqual(settled);
      // What only ended then is gone by now.
      expect(await at.journal.find("other")).toBeUndefined();
    }
    const nowMs = settledMs + RETENTION_MS + 1;
    await at.journal.retire(nowMs - RETENTION_MS, [], 10);
    expect([await at.journal.compensation(payment), await settle(nowMs), await at.journal.find("a")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(await at.journal.actionsOn("a")).toEqual([]);
  },
);

test("an act that cannot be kept is not done", async () => {
  await using at = await JournalFixture.open("file", { events: true });
  const [payment = 0, vendor = 0] = await at.run("a", failed);
  const [event] = (await at.dueEvents(NOW)).items;
  await at.journal.giveUpEvent(event?.seq ?? 0, "gone", NOW);
  const db = new DatabaseSync(at.file);
  db.exec("ALTER TABLE operator_actions RENAME TO elsewhere");
  await expect(at.journal.takeCompensation(payment, NOW, "ann")).rejects.toThrow("operator_actions");
  await expect(at.journal.settleCompensation(vendor, "by bank", NOW, "ann")).rejects.toThrow("operator_actions");
  await expect(at.journal.redeliver(event?.seq ?? 0, NOW, "ann")).rejects.toThrow("operator_actions");
  const states = async () => (await at.journal.find("a"))?.latest.compensations.map(({ status }) => status);
  expect(await states()).toEqual(["pending", "pending"]);
  expect((await at.journal.deadLetters(undefined, 10)).items).toHaveLength(1);
  db.exec("ALTER TABLE elsewhere RENAME TO operator_actions");
  db.close();
  await at.journal.takeCompensation(payment, NOW, "ann");
  await at.journal.settleCompensation(vendor, "by bank", NOW, "ann");
  expect(await states()).toEqual(["trying", "settled"]);
  expect(await at.journal.redeliver(event?.seq ?? 0, NOW, "ann")).toBe(true);
  expect(await at.journal.actionsOn("a")).toHaveLength(3);
});

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
