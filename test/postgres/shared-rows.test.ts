import { createSecretKey } from "node:crypto";
import { pino } from "pino";
import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { Journal } from "../../src/journal/journal.ts";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import type { Compensation } from "../../src/orders/order-journal.ts";
import { WebhookDelivery } from "../../src/webhooks/delivery.ts";
import { CLUSTER, dueAt, FAR, JournalFixture, NOW, pending } from "../journal/journal-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { seedOf } from "../support/seed.ts";

// Two nodes on one database take what is due at one time.

const SEED = seedOf("SHARED_ROWS_SEED");
const ORDERS = 120;
const ATTEMPTS = 3;
const TAKERS = 3;
// Fewer than are due, so that all takers look at the same rows.
const LIMIT = 7;

/** What the nodes have in their hands. Tells of rows that two have at one time. */
class Hands<Row> {
  readonly twice: Row[] = [];
  readonly #held = new Set<Row>();

  take(row: Row): void {
    if (this.#held.has(row)) this.twice.push(row);
    this.#held.add(row);
  }

  give(row: Row): void {
    this.#held.delete(row);
  }
}

async function withTwoNodes(work: (nodes: readonly [Journal, Journal], fixture: JournalFixture) => Promise<void>): Promise<void> {
  console.info(`SHARED_ROWS_SEED=${SEED}`);
  await using fixture = await JournalFixture.open("postgres", { events: true });
  const other = await Journal.open(fixture.file, { events: true, cluster: CLUSTER });
  try {
    await work([fixture.journal, other], fixture);
  } finally {
    await other.close();
  }
}

/** Lets some work at each node until each of them says that it is over. Returns how often, by node. */
async function atBoth(nodes: readonly Journal[], work: (node: Journal, nth: number) => Promise<boolean>): Promise<number[]> {
  const rounds = nodes.map(() => 0);
  await Promise.all(
    nodes.flatMap((node, index) =>
      Array.from({ length: TAKERS }, async (_, nth) => {
        while (await work(node, nth)) rounds[index] = (rounds[index] as number) + 1;
      }),
    ),
  );
  return rounds;
}

test("two nodes deliver each event once, those of an order in their order, and leave none", async () => {
  const random = randomFrom(SEED);
  await withTwoNodes(async (nodes, fixture) => {
    await Promise.all(
      Array.from({ length: ORDERS }, async (_, n) => {
        for (let attempt = 1; attempt <= ATTEMPTS; attempt++) await fixture.run(`o${n}`, attempt < ATTEMPTS ? { error: "timeout" } : {});
      }),
    );
    const hands = new Hands<number>();
    const delivered = new Map<string, number[]>();
    let left = ORDERS * ATTEMPTS;
    const deliver = async (node: Journal, own: Set<number>, { seq, orderId, payload }: OrderEvent) => {
      await new Promise((resolve) => setTimeout(resolve, 10 * random()));
      const isTaken = random() < 0.8;
      if (isTaken) delivered.set(orderId, [...(delivered.get(orderId) ?? []), JSON.parse(payload).data.attempt]);
      hands.give(seq);
      await (isTaken ? node.eventDelivered(seq, NOW) : node.eventFailed(seq, NOW));
      own.delete(seq);
      if (isTaken) left--;
    };
    const taken = await Promise.all(
      nodes.map(async (node) => {
        const own = new Set<number>();
        let count = 0;
        // As its webhooks do: one page after the other, and deliveries beside that.
        for (const sent: Promise<void>[] = []; ; ) {
          const { items } = await node.takeEvents({ ...dueAt(FAR, LIMIT), underWay: [...own] });
          for (const event of items) {
            hands.take(event.seq);
            own.add(event.seq);
            sent.push(deliver(node, own, event));
          }
          count += items.length;
          if (left > 0) continue;
          await Promise.all(sent);
          return count;
        }
      }),
    );
    expect(hands.twice).toEqual([]);
    const expected = Array.from({ length: ATTEMPTS }, (_, index) => index + 1);
    for (const [orderId, attempts] of delivered) expect({ orderId, attempts }).toEqual({ orderId, attempts: expected });
    expect(delivered.size).toBe(ORDERS);
    expect((await fixture.journal.backlog()).events.count).toBe(0);
    expect(Math.min(...taken)).toBeGreaterThan(0);
  });
});

test("what a node gave back after a 410 is delivered by one that has heard none", async () => {
  await withTwoNodes(async ([node, other], fixture) => {
    await Promise.all(Array.from({ length: ORDERS }, (_, n) => fixture.run(`o${n}`)));
    const delivered: string[] = [];
    const deliveryOf = (outbox: Journal, status: number) =>
      new WebhookDelivery({
        outbox,
        sharer: outbox.cluster,
        url: "http://receiver.invalid",
        secrets: [createSecretKey(Buffer.alloc(24))],
        log: pino({ enabled: false }),
        post: async ({ headers }) => {
          if (status === 200) delivered.push(String((headers as Record<string, unknown>)["webhook-id"]));
          return { status, retryAfter: undefined };
        },
      });
    const [gone, up] = [deliveryOf(node, 410), deliveryOf(other, 200)];
    gone.start();
    await eventually("a node heard 410", () => gone.state().receiver === "disabled");
    up.start();
    await eventually("all is delivered", () => delivered.length >= ORDERS);
    expect(new Set(delivered).size).toBe(ORDERS);
    expect(delivered).toHaveLength(ORDERS);
    await Promise.all([gone.stop(), up.stop()]);
    expect((await fixture.journal.backlog()).events.count).toBe(0);
  });
});

test("what a node says of an event too late, when others have ended its life and send it, changes nothing", async () => {
  await withTwoNodes(async ([node, other], fixture) => {
    await fixture.run("a");
    const [event] = (await node.takeEvents(dueAt(NOW))).items;
    await fixture.closeInterrupted(1, NOW);
    expect((await other.takeEvents(dueAt(NOW))).items).toEqual([event]);
    const { seq } = event as OrderEvent;
    await node.eventFailed(seq, NOW);
    expect((await node.takeEvents(dueAt(FAR))).items).toEqual([]);
    await node.giveUpEvent(seq, "HTTP 500", NOW);
    // Its order's next event would be sent beside it.
    await node.eventDelivered(seq, NOW);
    const { events, deadLetters } = await node.backlog();
    expect([events.count, deadLetters]).toEqual([1, 0]);
    await other.eventDelivered(seq, NOW);
    expect((await node.backlog()).events.count).toBe(0);
  });
});

test("a try that failed at a node whose life others have ended does not end the one that is under way at another", async () => {
  await withTwoNodes(async ([node, other], fixture) => {
    await fixture.run("a", { error: "timeout", compensations: [pending("payment")] });
    const [{ id, step }] = (await node.takeCompensations("payment", "first", dueAt(NOW))).items as [Compensation];
    await fixture.closeInterrupted(1, NOW);
    expect((await other.takeCompensations("payment", "first", dueAt(NOW))).items).toMatchObject([{ id }]);
    expect(await node.compensationTried({ id, step, nextTryMs: NOW, lastAnswer: "HTTP 503" }, NOW)).toBe("trying");
    // By hand it would be taken back a second time.
    expect(await node.settleCompensation(id, "refunded by hand", NOW, "op")).toMatchObject({ status: "trying" });
    expect(await other.compensationTried({ id, step }, NOW)).toBe("done");
    expect(await node.compensation(id)).toMatchObject({ status: "done", tries: 1 });
  });
});

test("two nodes try each compensation that is due, none at one time, and leave none", async () => {
  const random = randomFrom(SEED);
  await withTwoNodes(async (nodes, fixture) => {
    const compensations = [pending("payment"), pending("vendor")];
    await Promise.all(Array.from({ length: ORDERS }, (_, n) => fixture.run(`o${n}`, { error: "timeout", compensations })));
    const hands = new Hands<number>();
    const done: string[] = [];
    const tries = new Map<number, number>();
    const rounds = await atBoth(nodes, async (node, nth) => {
      const step = nth % 2 === 0 ? "payment" : "vendor";
      const pages = [
        await node.takeCompensations(step, "first", dueAt(NOW, LIMIT)),
        await node.takeCompensations(step, "again", dueAt(NOW, LIMIT)),
      ];
      const taken: readonly Compensation[] = pages.flatMap(({ items }) => items);
      for (const { id } of taken) hands.take(id);
      for (const { id, orderId, tries: before } of taken) {
        expect(before).toBe(tries.get(id) ?? 0);
        tries.set(id, before + 1);
        hands.give(id);
        const isDone = random() < 0.7;
        if (isDone) done.push(`${orderId} ${step}`);
        await node.compensationTried({ id, step, ...(!isDone && { nextTryMs: NOW, lastAnswer: "HTTP 503" }) }, NOW);
      }
      return done.length < compensations.length * ORDERS;
    });
    expect(hands.twice).toEqual([]);
    expect(new Set(done).size).toBe(done.length);
    const { payment, vendor } = (await fixture.journal.backlog()).compensations;
    expect([payment.count, vendor.count]).toEqual([0, 0]);
    expect((await fixture.payloads()).filter(({ type }) => type === "order.compensated")).toHaveLength(ORDERS);
    expect(Math.min(...rounds)).toBeGreaterThan(0);
  });
});
