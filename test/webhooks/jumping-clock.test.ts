import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { ClockWatch } from "../../src/journal/clock-watch.ts";
import type { PostAnswer } from "../../src/resilience/post.ts";
import { WebhookDelivery } from "../../src/webhooks/delivery.ts";
import { parseWebhookSecret } from "../../src/webhooks/secret.ts";
import { DAY_MS, JournalFixture } from "../journal/journal-fixture.ts";
import { FakeClock } from "../resilience/fake-clock.ts";
import { newSecret } from "./fixture.ts";

const ORDERS = Array.from({ length: 8 }, (_, n) => `order ${n}`);

/** A delivery from a journal to a receiver with one answer for all, and a wall clock that can be set. */
class Rig implements AsyncDisposable {
  status = 500;
  /** Requests by order. */
  readonly asked = new Map<string, number>();
  /** How far the wall clock is ahead. */
  aheadMs = 0;
  readonly #clock = new FakeClock();
  readonly #watch = new ClockWatch(() => this.#clock.nowMs());
  readonly #journal: JournalFixture;
  readonly #delivery: WebhookDelivery;

  private constructor(journal: JournalFixture) {
    this.#journal = journal;
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    this.#delivery = new WebhookDelivery({
      outbox: journal.journal,
      url: "http://receiver.test",
      secrets: [parseWebhookSecret(newSecret()) as NonNullable<ReturnType<typeof parseWebhookSecret>>],
      log,
      clock: { nowMs: () => this.wallMs, after: (delayMs, callback) => this.#clock.after(delayMs, callback) },
      isClockRight: (nowMs) => this.#watch.isRight(nowMs),
      startGraceMs: 0,
      post: async ({ body }) => {
        const { order_id } = JSON.parse(body.toString()).data;
        this.asked.set(order_id, (this.asked.get(order_id) ?? 0) + 1);
        return { status: this.status } as PostAnswer;
      },
    });
  }

  static async open(): Promise<Rig> {
    const journal = await JournalFixture.open("memory", { events: true });
    const rig = new Rig(journal);
    // As at a start on a journal without old rows.
    await rig.#watch.ask(journal.journal, rig.wallMs);
    await rig.add(...ORDERS);
    rig.#delivery.start();
    return rig;
  }

  get wallMs(): number {
    return this.#clock.nowMs() + this.aheadMs;
  }

  async add(...orderIds: string[]): Promise<void> {
    await Promise.all(orderIds.map((orderId) => this.#journal.run(orderId, { nowMs: this.wallMs })));
    this.#delivery.notify();
  }

  pass(ms: number): void {
    this.#clock.advance(ms);
  }

  requests(): number {
    return this.asked.values().reduce((sum, count) => sum + count, 0);
  }

  receiver(): string {
    return this.#delivery.state().receiver;
  }

  /** What waits, and what was given up. */
  async counts(): Promise<[events: number, deadLetters: number]> {
    const { events, deadLetters } = await this.#journal.journal.backlog();
    return [events.count, deadLetters];
  }

  /** Lets time pass from timer to timer until it holds. */
  async until(holds: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await holds())) {
      await pause(2);
      const nextMs = this.#clock.nextMs;
      if (nextMs !== undefined) this.pass(nextMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#delivery.stop();
    await this.#journal[Symbol.asyncDispose]();
  }
}

const ALL_WAIT = [ORDERS.length, 0];
const ALL_GIVEN_UP = [0, ORDERS.length];

test("a receiver that is down while the clock is a month ahead loses nothing, and all is delivered when both are well", async () => {
  await using rig = await Rig.open();
  await rig.until(() => rig.receiver() === "down");
  rig.aheadMs = 30 * DAY_MS;
  const before = rig.requests();
  await rig.until(() => rig.requests() > before + 20);
  expect(await rig.counts()).toEqual(ALL_WAIT);
  rig.aheadMs = 0;
  rig.status = 204;
  await rig.until(async () => (await rig.counts())[0] === 0);
  expect(await rig.counts()).toEqual([0, 0]);
});

test("of one that is up, no event is given up then either, but after a day by a clock that is right", async () => {
  await using rig = await Rig.open();
  // Most are taken, so it never counts as down.
  rig.status = 204;
  await rig.until(async () => (await rig.counts())[0] === 0);
  expect(rig.receiver()).toBe("up");
  rig.status = 500;
  await rig.add("alone");
  rig.aheadMs = 30 * DAY_MS;
  await rig.until(() => (rig.asked.get("alone") ?? 0) > 2);
  expect(await rig.counts()).toEqual([1, 0]);
  rig.aheadMs = 0;
  for (let hour = 0; hour < 25; hour++) rig.pass(3_600_000);
  await rig.until(async () => (await rig.counts())[0] === 0);
  expect(await rig.counts()).toEqual([0, 1]);
  expect(rig.receiver()).toBe("up");
});

test("after a 410 they wait for a clock that is right, too", async () => {
  await using rig = await Rig.open();
  rig.status = 410;
  await rig.until(() => rig.receiver() === "disabled");
  rig.aheadMs = 30 * DAY_MS;
  for (let minute = 0; minute < 30; minute++) {
    rig.pass(60_000);
    await pause(2);
  }
  expect(await rig.counts()).toEqual(ALL_WAIT);
  // For an hour: now it is believed.
  await rig.until(async () => (await rig.counts())[0] === 0);
  expect(await rig.counts()).toEqual(ALL_GIVEN_UP);
});
