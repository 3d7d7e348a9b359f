import { expect, test } from "vitest";
import { KnownOrder } from "../../load/ledger/known-order.ts";
import { type ShownOrder, verdictOn } from "../../load/ledger/verdict.ts";
import { Ledger } from "../../load/stand-in/ledger.ts";
import { STEPS, type StepName } from "../../src/orders/steps.ts";

const FAILED = { attempt: 1, status: "error", compensations: [{ step: "payment", status: "done" }] } as const;
const PLACED = { attempt: 2, status: "ok", compensations: [] } as const;
const SHOWN: ShownOrder = { status: "ok", amount: 1, attempts: [FAILED, PLACED] };

/** An order and what became of it: its first attempt failed and is compensated, the second one is placed. All is well. */
class World {
  readonly ledger = new Ledger();
  readonly order = new KnownOrder("o1", 1);
  shown: ShownOrder | undefined = SHOWN;
  restores = 0;

  constructor() {
    this.act(1, "payment");
    this.undo(1, "payment");
    for (const step of STEPS) this.act(2, step);
    this.event("order.failed", 1);
    this.event("order.placed", 2);
    this.event("order.compensated", 1);
  }

  act(attempt: number, step: StepName): void {
    this.order.attempts.set(attempt, 0);
    this.ledger.perform(step, `o1:${attempt}:${step}`, this.#body(step));
  }

  undo(attempt: number, step: StepName): void {
    this.ledger.compensate(step, { ...this.#body(step), undoes: `o1:${attempt}:${step}` });
  }

  event(type: string, attempt: number): void {
    this.order.events.push({ id: `${type} ${attempt}`, type, attempt, taken: true });
  }

  verdict(): string[] {
    return [...verdictOn(this.order, this.shown, (step, key) => this.ledger.find(step, key), this.restores)];
  }

  #body(step: StepName) {
    return step === "payment" ? { order_id: "o1", amount: 1 } : { order_id: "o1" };
  }
}

/** The failed attempt with other compensations. */
const compensated = (...compensations: { step: string; status: string }[]): ShownOrder => ({
  ...SHOWN,
  attempts: [{ ...FAILED, compensations }, PLACED],
});

test("nothing is wrong", () => {
  expect(new World().verdict()).toEqual([]);
});

test.each<[string, (world: World) => void, RegExp]>([
  ["a placed step is undone", (world) => world.undo(2, "vendor"), /vendor of attempt 2, which is placed, was undone/],
  [
    "a placed step never came about",
    (world) => (world.shown = { ...SHOWN, attempts: [FAILED, { ...PLACED, attempt: 3 }] }),
    /was never done/,
  ],
  [
    "two attempts are placed",
    (world) => {
      for (const step of STEPS) world.act(3, step);
      world.event("order.placed", 3);
      world.shown = { ...SHOWN, attempts: [FAILED, PLACED, { ...PLACED, attempt: 3 }] };
    },
    /2 attempts are placed/,
  ],
  ["a failed step stands", (world) => world.act(1, "vendor"), /vendor of attempt 1, which failed, stands/],
  ["an attempt stands that nobody knows of", (world) => world.act(3, "vendor"), /vendor of attempt 3 stands/],
  [
    "a client was told that it is placed",
    (world) => {
      world.order.placed = { status: 200, text: "", amount: 1, atMs: 0 };
      world.shown = { ...SHOWN, status: "error", attempts: [FAILED] };
    },
    /a client was told/,
  ],
  ["its status is not that of its attempts", (world) => (world.shown = { ...SHOWN, status: "error" }), /the order is error/],
  ["the amount is another", (world) => (world.shown = { ...SHOWN, amount: 2 }), /for 1 instead of 2/],
  ["it is still pending", (world) => (world.shown = compensated({ step: "payment", status: "pending" })), /still pending/],
  ["nobody settled it", (world) => (world.shown = compensated({ step: "payment", status: "settled" })), /no operator did/],
  ["it was settled, and that is lost", (world) => world.order.byHand.set("1:payment", "stands"), /was settled by hand and is done/],
  [
    "it is shown as undone, and its provider knows nothing",
    (world) => (world.shown = compensated({ step: "payment", status: "done" }, { step: "vendor", status: "done" })),
    /never told/,
  ],
  ["it still runs", (world) => (world.shown = { ...SHOWN, attempts: [{ ...FAILED, status: "running" }, PLACED] }), /still runs/],
  ["an event was lost", (world) => world.order.events.pop(), /order.compensated of attempt 1 was never delivered/],
  [
    "an event was never taken",
    (world) => {
      for (const event of world.order.events) event.taken = false;
    },
    /order.failed of attempt 1 was never delivered/,
  ],
  ["an event contradicts it", (world) => world.event("order.failed", 2), /order.failed of attempt 2, which is ok/],
  ["an event is of no attempt", (world) => world.event("order.failed", 3), /order.failed of attempt 3, which is undefined/],
  ["the service has forgotten it", (world) => (world.shown = undefined), /which nobody knows of/],
  [
    "a key was used for something else",
    (world) => world.ledger.perform("payment", "o1:2:payment", { order_id: "o2", amount: 1 }),
    /its key used for something else/,
  ],
])("wrong: %s", (_what, spoil, wrong) => {
  const world = new World();
  spoil(world);
  expect(world.verdict()).toContainEqual(expect.stringMatching(wrong));
});

test("what stands by an operator's word is well", () => {
  const world = new World();
  world.act(1, "vendor");
  world.order.byHand.set("1:vendor", "stands");
  world.shown = compensated({ step: "payment", status: "done" }, { step: "vendor", status: "settled" });
  expect(world.verdict()).toEqual([]);
});

test("what a restore took back is not judged, and nobody may undo it", () => {
  const world = new World();
  world.act(3, "vendor");
  world.event("order.failed", 3);
  world.order.lastMs = 5;
  world.order.rewind(5, 1);
  world.restores = 1;
  expect(world.verdict()).toEqual([]);
  world.order.undoneByWord.add(3);
  expect(world.verdict()).toEqual([expect.stringMatching(/the journal does not know it/)]);
});

test("an order to which nothing had happened since the backup is judged after its restore, too", () => {
  const world = new World();
  world.act(3, "vendor");
  world.order.rewind(5, 1);
  world.restores = 1;
  expect(world.verdict()).toEqual([expect.stringMatching(/vendor of attempt 3 stands/)]);
});
