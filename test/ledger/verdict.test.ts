import { tmpdir } from "node:os";
import { describe, expect, onTestFinished, test } from "vitest";
import { endingOf, noteAnswer, noteAsked } from "../../load/ledger/answers.ts";
import { noteEvent } from "../../load/ledger/events.ts";
import { KnownOrder, type ReceivedEvent } from "../../load/ledger/known-order.ts";
import { Providers } from "../../load/ledger/providers.ts";
import { type ShownOrder, verdictOn } from "../../load/ledger/verdict.ts";
import { World as Campaign } from "../../load/ledger/world.ts";
import { Ledger } from "../../load/stand-in/ledger.ts";
import { STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";

const stepsAfter = (ms: number) => STEPS.map((name) => ({ name, status: "ok", duration_ms: ms }));
const FAILED = {
  attempt: 1,
  status: "error",
  steps: stepsAfter(1),
  error: { kind: "internal" },
  compensations: [{ step: "payment", status: "done" }],
} as const;
const PLACED = { attempt: 2, status: "ok", steps: stepsAfter(2), compensations: [] } as const;
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
    this.order.requests = 2;
    for (const attempt of [FAILED, PLACED]) this.order.told.add(endingOf(attempt));
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

  event(type: string, attempt: number, amount = 1, error = type === "order.placed" ? undefined : "internal"): void {
    this.order.events.push({ id: `${type} ${attempt}`, type, attempt, amount, ...(error !== undefined && { error }), taken: true });
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
  [
    "a client was told that it is placed for another amount",
    (world) => (world.order.placed = { status: 200, text: "", amount: 2, atMs: 0 }),
    /told that it is placed for 2, and it is for 1/,
  ],
  ["a client was told of another end", (world) => world.order.told.add("no_courier"), /no journal knows: no_courier/],
  ["each request was refused", (world) => (world.order.refused = 2), /each request for it was refused/],
  [
    "an event says another amount",
    (world) => world.order.events.splice(1, 1, { ...(world.order.events[1] as ReceivedEvent), amount: 2 }),
    /order.placed of attempt 2 is for 2, and its payment was for 1/,
  ],
  [
    "an event says another failure",
    (world) => world.order.events.splice(0, 1, { ...(world.order.events[0] as ReceivedEvent), error: "timeout" }),
    /order.failed of attempt 1 says timeout, and the journal says internal/,
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

test("nobody is told of an attempt that a restore closed and an operator settled, and everybody of any other", () => {
  const world = new World();
  world.act(1, "vendor");
  world.order.byHand.set("1:vendor", "stands");
  world.shown = compensated({ step: "vendor", status: "settled" });
  world.order.events.splice(0, 3, ...world.order.events.filter(({ type }) => type === "order.placed"));
  // Whether the order had ended at the time of the backup says nothing: a disk that was full may have kept its end from the journal.
  for (const sinceMs of [5, 0]) {
    world.order.rewind(sinceMs, 1);
    expect(world.verdict()).toEqual(["failed", "compensated"].map((type) => `order.${type} of attempt 1 was never delivered`));
  }
  world.order.closedByRestore.add(2);
  expect(world.verdict()).toHaveLength(2);
  world.order.closedByRestore.add(1);
  expect(world.verdict()).toEqual([]);
  world.shown = compensated({ step: "vendor", status: "settled" }, { step: "courier", status: "done" });
  expect(world.verdict()).toContainEqual("order.failed of attempt 1 was never delivered");
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

const OK = '{"status":"ok","order_id":"o1","steps":[]}';
const OTHER_OK = OK.replace("[]", "[1]");
const FAILED_TEXT = '{"status":"error","order_id":"o1","steps":[],"error":{"kind":"internal"}}';
const CANCELED = FAILED_TEXT.replace("internal", "canceled");
const REFUSED = '{"status":"error","error":{"kind":"overloaded"}}';

type Exchange = readonly [amount: number, key: string | undefined, status: number, text: string, replayed?: boolean];

/** What is wrong with each answer of a conversation, one after another. */
function wrongs(order: KnownOrder, exchanges: readonly Exchange[]): (string | undefined)[] {
  return exchanges.map(([amount, key, status, text, replayed = false], n) => {
    const asked = { amount, sentMs: 10 * n, ...(key !== undefined && { key }) };
    noteAsked(order, asked);
    return noteAnswer(order, asked, { status, text, replayed, atMs: 10 * n + 5 });
  });
}

const placed: Exchange = [1, "k", 200, OK];
const failed: Exchange = [1, "k", 500, FAILED_TEXT];
const withoutKey: Exchange = [1, undefined, 200, OK];
const heldByKey: Exchange = [1, "k", 500, FAILED_TEXT, true];

test.each<[string, Exchange[]]>([
  ["a placed order is answered by the same bytes", [placed, [1, "k", 200, OK, true], withoutKey]],
  ["a failed order frees its id, and not its key", [failed, [1, "l", 200, OK], heldByKey]],
  ["a refused request binds nothing", [[1, "k", 503, REFUSED], placed]],
  ["a canceled attempt binds nothing", [[1, "k", 408, CANCELED], placed]],
  ["a placed order may be refused for another reason", [placed, [1, "k", 503, REFUSED]]],
  ["another body is refused", [placed, [2, "k", 422, REFUSED], [2, undefined, 409, REFUSED]]],
  ["a key may hold an answer that never arrived", [[1, "l", 200, OK], heldByKey]],
  ["also where another amount is placed since", [[2, "l", 200, OK], heldByKey, heldByKey]],
])("well answered: %s", (_what, exchanges) => {
  expect(wrongs(new KnownOrder("o1", 1), exchanges)).toEqual(exchanges.map(() => undefined));
});

test.each<[string, Exchange[], RegExp]>([
  ["another answer under the key", [failed, placed], /the key had another answer/],
  ["placed twice", [placed, [1, "l", 200, OTHER_OK]], /placed with another answer/],
  ["placed, then failed", [withoutKey, [1, undefined, 500, FAILED_TEXT]], /^it is placed/],
  ["placed, then failed under a new key", [withoutKey, failed], /^it is placed/],
  ["placed with another amount", [withoutKey, [2, undefined, 200, OK]], /409 was due/],
  ["another amount that is run", [withoutKey, [2, "l", 500, FAILED_TEXT]], /409 was due/],
  ["another amount that is placed too", [withoutKey, [2, "l", 200, OK, true]], /409 was due/],
  ["another body that is answered", [failed, [2, "k", 500, FAILED_TEXT, true]], /422 was due/],
  ["422 for the very body", [failed, [2, "k", 422, REFUSED], [1, "k", 422, REFUSED]], /this very body/],
  ["422 without another body", [failed, [1, "k", 422, REFUSED]], /one body only/],
  ["409 without another amount", [withoutKey, [1, undefined, 409, REFUSED]], /one amount only/],
  ["409 for the very amount", [withoutKey, [2, undefined, 409, REFUSED], [1, undefined, 409, REFUSED]], /this very amount/],
  ["an answer to another order", [[1, undefined, 200, OK.replace("o1", "o2")]], /that of o2/],
  ["no JSON", [[1, undefined, 200, "<html>"]], /no JSON/],
])("badly answered: %s", (_what, exchanges, wrong) => {
  const found = wrongs(new KnownOrder("o1", 1), exchanges);
  expect(found).toEqual([...exchanges.slice(1).map(() => undefined), expect.stringMatching(wrong)]);
});

test("of two amounts that are asked for at one time one is placed at most", () => {
  const order = new KnownOrder("o1", 1);
  const asked = [1, 2].map((amount) => ({ amount, sentMs: 0 }));
  for (const one of asked) noteAsked(order, one);
  const told = asked.map((one) => noteAnswer(order, one, { status: 200, text: OK, replayed: false, atMs: 5 }));
  expect(told).toEqual([undefined, expect.stringMatching(/409 was due/)]);
});

test("what a restore took back binds no more, and what it kept does", () => {
  const order = new KnownOrder("o1", 1);
  expect(wrongs(order, [failed, [1, "l", 200, OK]])).toEqual([undefined, undefined]);
  order.rewind(10, 1);
  expect(wrongs(order, [[1, "l", 200, OTHER_OK]])).toEqual([undefined]);
  expect(wrongs(order, [placed])).toEqual([expect.stringMatching(/another answer/)]);
  // Until the word an id may be refused.
  expect(wrongs(order, [[1, "n", 409, REFUSED]])).toEqual([undefined]);
});

describe("events", () => {
  const event = (id: string, type: string, attempt: number) => ({ id, type: `order.${type}`, attempt, amount: 1, taken: true });
  const wrongsOf = (events: readonly ReturnType<typeof event>[], order = new KnownOrder("o1", 1)) =>
    events.map((one) => noteEvent(order, one));
  const [failed, compensated, placed] = [event("a", "failed", 1), event("b", "compensated", 1), event("c", "placed", 2)];

  test("may come in their order, some twice in a row", () => {
    expect(wrongsOf([failed, failed, placed, placed, compensated])).toEqual(new Array(5).fill(undefined));
  });

  test.each([
    ["an older one after a newer", [failed, placed, failed], /came again after/],
    ["compensated before failed", [compensated], /before the attempt had failed/],
    ["an earlier attempt after a later", [placed, failed], /came after/],
    ["failed after placed", [event("a", "placed", 1), event("b", "failed", 2)], /although the order was placed/],
    ["both ends of one attempt", [failed, event("b", "placed", 1)], /came after/],
    ["two ids for one event", [failed, event("b", "failed", 1)], /two ids/],
    ["one id for two events", [failed, event("a", "compensated", 1)], /was order.failed/],
    ["one id for two amounts", [failed, { ...failed, amount: 2 }], /something else than before/],
    ["an unknown type", [event("a", "strange", 1)], /no events/],
  ])("must not come: %s", (_what, events, wrong) => {
    expect(wrongsOf(events)).toEqual([...events.slice(1).map(() => undefined), expect.stringMatching(wrong)]);
  });

  test("come again after a restore, perhaps otherwise", () => {
    const order = new KnownOrder("o1", 1);
    expect(wrongsOf([failed, placed], order)).toEqual([undefined, undefined]);
    order.rewind(0, 1);
    expect(wrongsOf([failed, event("d", "failed", 2)], order)).toEqual([undefined, undefined]);
  });
});

test("whoever hears that an attempt is undone must find it undone already", async () => {
  const campaign = new Campaign(1, tmpdir());
  campaign.calm = true;
  const providers = await Providers.start(campaign);
  onTestFinished(() => providers.close());
  const order = campaign.orders.known("o1", 1);
  order.amounts.add(1);
  const call = (action: "perform" | "compensate", key: string, more: object) =>
    fetch(`${providers.settings.PAYMENT_URL}/${STEP_TABLE.payment[action].path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ order_id: "o1", amount: 1, ...more }),
    });
  const pay = (attempt: number) => call("perform", `o1:${attempt}:payment`, {});
  const refund = (attempt: number) => call("compensate", `o1:${attempt}:payment:undo`, { undoes: `o1:${attempt}:payment` });
  const hear = (attempt: number) =>
    order.events.push({ id: String(attempt), type: "order.compensated", attempt, amount: 1, error: "internal", taken: true });

  await pay(1);
  await refund(1);
  hear(1);
  // A try that was given up is read late.
  await refund(1);
  await pay(2);
  expect(campaign.violations).toEqual([]);
  hear(2);
  expect((await refund(2)).status).toBe(200);
  expect(campaign.violations).toEqual([{ order: "o1", text: "payment of attempt 2 stands still, and order.compensated has come" }]);
});
