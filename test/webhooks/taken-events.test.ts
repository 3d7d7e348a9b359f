import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import { CancelScope, monotonicMs, SYSTEM_CLOCK } from "../../src/threads/index.ts";
import { TakenEvents } from "../../src/webhooks/taken-events.ts";

const SURE = Number.POSITIVE_INFINITY;
const EVENT = {} as OrderEvent;

function taken() {
  const node = { life: 1, sureMs: SURE, sureUntilMs: () => node.sureMs };
  const scope = new CancelScope();
  const events = new TakenEvents(node, scope, SYSTEM_CLOCK);
  events.note([EVENT]);
  return { node, scope, events };
}

test("an event is a node's own as long as it is sure of its life, and no longer once others have ended that", async () => {
  const { node, events } = taken();
  expect(await events.isOwn(EVENT)).toBe(true);
  node.life = 2;
  expect(await events.isOwn(EVENT)).toBe(false);
});

test.each([
  ["own again once it is sure of the same life", 1, true],
  ["others' once it has begun a new life", 2, false],
])("a node that is not sure, as after it was frozen, waits: the event is %s", async (_what, life, isOwn) => {
  const { node, events } = taken();
  node.sureMs = monotonicMs();
  let answer: boolean | undefined;
  const asked = Promise.resolve(events.isOwn(EVENT)).then((own) => (answer = own));
  await turn();
  expect([answer, events.isSurelyOwn(EVENT)]).toEqual([undefined, false]);
  node.life = life;
  node.sureMs = SURE;
  expect(await asked).toBe(isOwn);
  expect(events.isSurelyOwn(EVENT)).toBe(isOwn);
});

test("a stop ends the wait, and nothing is sent", async () => {
  const { node, scope, events } = taken();
  node.sureMs = monotonicMs();
  const asked = events.isOwn(EVENT);
  scope.cancel("shutdown");
  expect(await asked).toBe(false);
});

test("without other nodes every event is its own", async () => {
  expect(await new TakenEvents(undefined, new CancelScope(), SYSTEM_CLOCK).isOwn(EVENT)).toBe(true);
});
