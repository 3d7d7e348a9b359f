import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Rig } from "./rig.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The vendor says no, so what was paid has to be refunded. */
const failing = (refund: (orderId: string) => number) => (path: string, orderId: string) => {
  if (path === "/orders") return 400;
  return path === "/refunds" ? refund(orderId) : 200;
};

test("a clock that was ahead for a while holds no refund, after a restart and without; a pause that a row may have is kept", async () => {
  await using rig = await Rig.open();
  rig.answer = failing(() => 500);
  await rig.start();
  await rig.order("slow");
  rig.setAhead(100 * MINUTE_MS);
  await rig.order("early");
  await eventually("both refunds to be refused", () => rig.count("/refunds slow") > 0 && rig.count("/refunds early") > 0);
  await rig.stop();
  expect(rig.rows("compensations WHERE step = 'payment' AND ended_ms IS NULL")).toBe(2);
  rig.setAhead(0);
  const due = (orderId: string, minutes: number, more: string) =>
    `UPDATE compensations SET state = 'pending', next_try_ms = ${Date.now() + minutes * MINUTE_MS} ${more}
     WHERE step = 'payment' AND attempt_id = (SELECT id FROM attempts WHERE order_id = '${orderId}')`;
  // The stop may have cut off a try, whose row would be due at once.
  rig.change(`${due("early", 100, "")} AND state = 'trying'; ${due("slow", 50, ", tries = 20")}`);
  const slowCalls = rig.count("/refunds slow");

  rig.answer = failing((orderId) => (orderId === "third" && rig.count("/refunds third") < 4 ? 500 : 200));
  await rig.start();
  const refunds = async (state: string): Promise<string[]> => {
    const { compensations } = (await rig.admin(`/compensations?state=${state}`)).json;
    const ofPayment = compensations.filter(({ step }: { step: string }) => step === "payment");
    return ofPayment.map(({ order_id }: { order_id: string }) => order_id);
  };
  const isRefunded = async (orderId: string) => (await refunds("done")).includes(orderId);
  await eventually("the early refund", () => isRefunded("early"));
  // The queue looks again and again for what is due meanwhile.
  await rig.order("third");
  await eventually("the third refund", () => isRefunded("third"));
  expect(rig.count("/refunds third")).toBe(4);
  expect(rig.count("/refunds slow")).toBe(slowCalls);
  expect(await refunds("pending")).toEqual(["slow"]);

  // The same while it runs.
  rig.answer = failing((orderId) => (orderId === "running" ? 500 : 200));
  rig.setAhead(100 * MINUTE_MS);
  await rig.order("running");
  await eventually("a refund to be refused", () => rig.count("/refunds running") > 0);
  rig.setAhead(0);
  rig.answer = failing(() => 200);
  await eventually("its refund", () => isRefunded("running"));
});

test("a start a month ahead erases no key, no order, no dead letter and no event; what is old goes by a clock that is right", async () => {
  await using rig = await Rig.open({ RETENTION_DAYS: "7" });
  const key = { "idempotency-key": "G" };
  rig.answer = (path, orderId) => (path === "/hook" ? 500 : failing(() => 200)(path, orderId));
  await rig.start();
  const first = await rig.order("g", key);
  expect([first.status, first.json.error.kind]).toEqual([503, "vendor_unavailable"]);
  await eventually("its refund", () => rig.count("/refunds g") > 0);
  await rig.stop();
  const nowMs = Date.now();
  const letter = (seq: number, givenUpMs: number) =>
    `INSERT INTO dead_letters VALUES (${seq}, 'evt_${seq}', 'x', '{"type":"order.placed"}', ${givenUpMs}, ${givenUpMs}, 'HTTP 500');`;
  const attempt = (orderId: string, endedMs: number) => `
    INSERT INTO attempts (order_id, attempt, amount, accepted_ms, ended_ms, error, interrupted, answered, answer)
    VALUES ('${orderId}', 1, 1, ${endedMs}, ${endedMs}, 'timeout', 0, 1, '{}');`;
  rig.change(letter(9_001, nowMs - DAY_MS));
  const counts = () => ["attempts", "compensations", "idempotency_keys", "outbox", "dead_letters"].map((table) => rig.rows(table));
  const before = counts();
  expect(before).toEqual([1, 2, 1, 2, 1]);

  rig.setAhead(30 * DAY_MS);
  await rig.start();
  // Nothing is given up in the first minute in any case.
  rig.setAhead(30 * DAY_MS + 2 * MINUTE_MS);
  await eventually("housekeeping to look at the clock", () => rig.log.includes("nothing is deleted or given up by its age"));
  const tried = rig.count("/hook g");
  await eventually("its event to be tried some more times", () => rig.count("/hook g") > tried + 2);
  const meanwhile = await rig.order("g", key);
  expect([meanwhile.status, meanwhile.headers["idempotent-replayed"], meanwhile.text]).toEqual([503, "true", first.text]);
  await rig.stop();
  expect(counts()).toEqual(before);

  rig.setAhead(0);
  // Something ended an hour and a half ago, so the clock is believed from the start.
  rig.change(`${letter(9_000, nowMs - 8 * DAY_MS)} ${attempt("old", nowMs - 8 * DAY_MS)} ${attempt("witness", nowMs - 1.5 * HOUR_MS)}`);
  rig.change(
    `INSERT INTO idempotency_keys (client, key, body_hash, order_id, attempt, expires_ms) VALUES ('', 'O', 'x', 'old', 1, ${nowMs - 1})`,
  );
  expect(counts()).toEqual([3, 2, 2, 2, 2]);
  rig.answer = failing(() => 200);
  await rig.start();
  await eventually("what is old to be gone, and the events delivered", () => String(counts()) === String([2, 2, 1, 0, 1]));
  const again = await rig.order("g", key);
  expect([again.status, again.headers["idempotent-replayed"], again.text]).toEqual([503, "true", first.text]);
  expect(rig.rows("dead_letters WHERE seq = 9001")).toBe(1);
  expect(rig.rows("attempts WHERE order_id IN ('g', 'witness')")).toBe(2);
  expect(rig.count("/payments g")).toBe(1);
});
