import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import type { Cursor, OrderStatus, OrderSummary } from "../../src/orders/operator-journal.ts";
import { seedOf } from "../support/seed.ts";
import { JournalFixture, pending, STORES } from "./journal-fixture.ts";

const SEED = seedOf("ORDER_PAGES_SEED");

type State = "running" | "ok" | "error" | "compensating";

const STATUSES: readonly (OrderStatus | undefined)[] = [undefined, "running", "ok", "error", "compensating"];

/** Orders that begin, end, fail and are sent again, as clients would have it. */
class Orders {
  readonly at: JournalFixture;
  readonly states = new Map<string, State>();
  readonly #random: () => number;
  #attempts = new Map<string, number>();

  constructor(at: JournalFixture, random: () => number) {
    this.at = at;
    this.#random = random;
  }

  /** Returns the order of it. */
  async act(): Promise<string> {
    const ids = [...this.states.keys()];
    const known = ids.filter((id) => this.states.get(id) !== "ok");
    const orderId = this.#random() < 0.3 ? undefined : known[Math.floor(this.#random() * known.length)];
    if (orderId !== undefined && this.states.get(orderId) === "running") await this.end(orderId);
    else await this.accept(orderId ?? `${ids.length}`);
    return orderId ?? `${ids.length}`;
  }

  async accept(orderId: string): Promise<void> {
    const accepted = await this.at.accept(orderId, 100, undefined, Date.now());
    if (accepted.type !== "accepted") throw new Error(`${orderId} was ${accepted.type}`);
    this.#attempts.set(orderId, accepted.attempt);
    this.states.set(orderId, "running");
  }

  async end(orderId: string): Promise<void> {
    const state = (["ok", "error", "compensating"] as const)[Math.floor(this.#random() * 3)] ?? "ok";
    await this.at.finish(orderId, {
      attempt: this.#attempts.get(orderId) ?? 0,
      nowMs: Date.now(),
      ...(state !== "ok" && { error: "timeout" }),
      ...(state === "compensating" && { compensations: [pending("payment")] }),
    });
    this.states.set(orderId, state);
  }

  /** Whether an order is in a list. One that is not compensated yet has failed too. */
  is(orderId: string, status: OrderStatus | undefined): boolean {
    const state = this.states.get(orderId);
    return status === undefined || state === status || (status === "error" && state === "compensating");
  }
}

test.for(STORES)(`%s: no order is left out while others begin, end and fail between the pages (SEED=${SEED})`, async (store) => {
  const random = randomFrom(SEED);
  await using at = await JournalFixture.open(store);
  const orders = new Orders(at, random);
  for (let n = 0; n < 60; n++) await orders.act();
  for (const status of STATUSES.flatMap((one) => [one, one, one])) {
    const before = [...orders.states.keys()].filter((orderId) => orders.is(orderId, status));
    const acts = new Set<string>();
    const found: OrderSummary[] = [];
    for (let cursor: Cursor | undefined; ; ) {
      const { items, next } = await at.journal.orders(status === undefined ? {} : { status }, cursor, 2);
      found.push(...items);
      if (next === undefined) break;
      // It goes to the client and back as text.
      cursor = JSON.parse(JSON.stringify(next)) as Cursor;
      for (const upTo = Math.min(60, acts.size + 3 * random()); acts.size < upTo; ) acts.add(await orders.act());
    }
    const seen = new Set(found.map(({ orderId }) => orderId));
    // One that ends does not run any more.
    const isLost = (orderId: string) => !seen.has(orderId) && !(status === "running" && acts.has(orderId));
    expect(before.filter(isLost), `of those ${status ?? "of any status"}`).toEqual([]);
    if (status !== undefined && status !== "error") for (const order of found) expect(order.status).toBe(status);
  }
});
