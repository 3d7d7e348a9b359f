import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AttemptEnding, balance } from "../../load/stand-in/balance.ts";
import { type StandIn, startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { allPages, Receiver, SECRET } from "../admin/fixture.ts";
import { eventually } from "../support/eventually.ts";
import { newId, postOrder, type Received, send } from "../support/http-client.ts";
import type { TestService } from "../support/service.ts";
import { RestateTestEngine } from "./engines.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
// The vendor takes no order, and says so only when the payment is long made; neither can compensate anything.
const STUCK = { vendor: { refuse: 1, slow: 1, slowMs: [200, 200] }, payment: { compensate: { refuse: 1 } } } as const;

let engine: RestateTestEngine;
let standIn: StandIn;
let receiver: Receiver;
let node: TestService;
let directory: string;
const placed: AttemptEnding[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sagas-"));
  writeFileSync(join(directory, "secret"), SECRET);
  [engine, standIn, receiver] = await Promise.all([RestateTestEngine.start(), startStandIn(), Receiver.start()]);
  node = await engine.start(settings());
});

afterAll(async () => {
  await node.stop();
  await Promise.all([engine[Symbol.asyncDispose](), standIn.close(), receiver[Symbol.asyncDispose]()]);
  rmSync(directory, { recursive: true });
});

function settings(): Record<string, string> {
  const { url } = standIn;
  const providers = { ...perStepSetting("URL", () => url) };
  // No order of these tests is to end at its deadline, however busy the machine is.
  return {
    THREADS: "1",
    CPU_THREADS: "1",
    ORDER_TIMEOUT_MS: "60000",
    ...providers,
    WEBHOOK_URL: receiver.url,
    WEBHOOK_SECRET_FILE: join(directory, "secret"),
  };
}

const get = (path: string): Promise<Received> => send(node.adminPort, { path });
const post = (path: string, body?: unknown): Promise<Received> => send(node.adminPort, { method: "POST", path, body });
const pages = (path: string, name: string) => allPages({ get }, path, name);

async function place(orderId: string, amount = 1200): Promise<Received> {
  const answer = await postOrder(node.port, { order_id: orderId, amount });
  if (answer.status === 200) placed.push({ orderId, attempt: 1, ok: true, amount });
  return answer;
}

/** An order that was placed. One that a busy machine has cut off, for its courier's lease had run out, is not it. */
async function placeOne(meaning: string): Promise<string> {
  const { json } = await eventually(
    "an order that is placed",
    () => place(newId(meaning)),
    ({ status }) => status === 200,
  );
  return json.order_id;
}

/** An order of which payment and vendor cannot be compensated. */
async function placeStuck(meaning: string): Promise<string> {
  standIn.setFaultRates(STUCK);
  return await eventually("an order that cannot be compensated", async () => {
    const orderId = newId(meaning);
    await place(orderId);
    const steps = (await compensationsOf(orderId)).map(({ step }) => step);
    return steps.includes("payment") && steps.includes("vendor") ? orderId : "";
  });
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers whose shape is what they test.
async function compensationsOf(orderId: string, state = "pending"): Promise<any[]> {
  return (await pages(`/compensations?state=${state}&limit=2`, "compensations")).filter(({ order_id }) => order_id === orderId);
}

/** Everything has been compensated, and no provider has more or less than it should. */
async function expectBalance(): Promise<void> {
  await eventually("nothing left to be compensated", async () => (await get("/compensations")).json.compensations.length === 0);
  await standIn.quiet();
  const snapshot = standIn.ledger.snapshot();
  expect(snapshot.entries.length).toBeGreaterThan(0);
  expect(balance(snapshot, placed)).toEqual([]);
}

/** An order whose payment is declined when another step has acted, and that is compensated in its answer. */
async function placeDeclined(): Promise<string> {
  standIn.setFaultRates({ payment: { refuse: 1, slow: 1, slowMs: [50, 50], compensate: { refuse: 0, slow: 0 } } });
  // An answer waits for half a second only, which a busy machine may need for something else.
  const { json } = await eventually(
    "an answer that says done",
    () => place(newId("declined")),
    (answer) => answer.json.steps.some(({ compensation }: { compensation?: string }) => compensation === "done"),
  );
  expect(json.error.kind).toBe("payment_declined");
  standIn.setFaultRates({});
  return json.order_id;
}

test("what a failed order did is compensated before its answer, and its events leave in order", async () => {
  const orderId = await placeDeclined();
  const placedId = await placeOne("placed");
  await eventually("the events", () => receiver.typesOf(placedId).length === 1 && receiver.typesOf(orderId).length === 2);
  expect([receiver.typesOf(orderId), receiver.typesOf(placedId)]).toEqual([["order.failed", "order.compensated"], ["order.placed"]]);
  await expectBalance();
});

test("what cannot be compensated is tried again until it is, though the engine is killed meanwhile", async () => {
  const orderId = await placeStuck("stuck");
  const payment = await eventually(
    "a second try",
    async () => (await compensationsOf(orderId)).find(({ step }) => step === "payment"),
    (row) => row?.tries > 1,
  );
  expect(payment).toEqual({
    id: expect.any(String),
    order_id: orderId,
    attempt: 1,
    step: "payment",
    amount: 1200,
    state: "pending",
    age_seconds: expect.any(Number),
    tries: expect.any(Number),
    next_try_at: expect.any(String),
    last_answer: "HTTP 503",
  });
  expect((await get(`/orders?status=compensating`)).json.orders).toContainEqual(
    expect.objectContaining({ order_id: orderId, status: "compensating", error: expect.any(String) }),
  );
  expect((await get("/metrics")).text).toMatch(/^compensations_pending\{step="payment"\} [1-9]\d*$/m);
  await engine.server.kill();
  expect((await get("/compensations")).status).toBe(500);
  standIn.setFaultRates({});
  await engine.server.restart();
  // An engine that has just started lists what it has loaded so far, so what has to come is waited for. And pauses are about as long as the
  // tries before took, which is long on a busy machine.
  const done = async () => (await compensationsOf(orderId, "done").catch(() => [])).map(({ step }) => step);
  await eventually("both compensated", done, (steps) => steps.includes("payment") && steps.includes("vendor"), 100_000);
  await expectBalance();
  await eventually("its events", () => receiver.typesOf(orderId).length === 2);
  expect(receiver.typesOf(orderId)).toEqual(["order.failed", "order.compensated"]);
  const { json: known } = await eventually(
    "the order to know",
    () => send(node.port, { path: `/order/${orderId}` }),
    ({ json: order }) => order.attempts[0].compensations.every(({ status }: { status: string }) => status === "done"),
  );
  expect(known.attempts[0].compensations).toContainEqual({ step: "payment", status: "done", tries: expect.any(Number) });
  await eventually("no order that is being compensated", async () => (await get("/orders?status=compensating")).json.orders.length === 0);
  expect((await get("/orders?status=error&limit=500")).json.orders.map(({ order_id }: { order_id: string }) => order_id)).toContain(
    orderId,
  );
  expect((await compensationsOf(orderId, "done")).find(({ step }) => step === "payment").tries).toBeGreaterThan(payment.tries);
});

test("an operator settles one with a note and has another tried now; the last of the two compensates the order", async () => {
  const orderId = await placeStuck("by hand");
  const rows = await compensationsOf(orderId);
  const ofStep = (step: string) => rows.find((row) => row.step === step);
  const note = "paid back by transfer; said 'never again'";
  const settled = await post(`/compensations/${ofStep("vendor").id}/settle`, { note });
  expect([settled.status, settled.json]).toEqual([200, expect.objectContaining({ state: "settled", note, ended_at: expect.any(String) })]);
  // Sent again for want of an answer it is the same; with another note it is not.
  expect((await post(`/compensations/${ofStep("vendor").id}/settle`, { note })).json.state).toBe("settled");
  expect((await post(`/compensations/${ofStep("vendor").id}/settle`, { note: "another" })).status).toBe(400);
  expect(await compensationsOf(orderId, "settled")).toEqual([expect.objectContaining({ step: "vendor", note })]);

  const refused = await post(`/compensations/${ofStep("payment").id}/retry`);
  expect(refused.json).toMatchObject({ state: "pending", last_answer: "HTTP 503" });
  expect(refused.json.tries).toBeGreaterThan(ofStep("payment").tries);
  await eventually("the failure's event", () => receiver.typesOf(orderId).length > 0);
  expect(receiver.typesOf(orderId)).toEqual(["order.failed"]);
  standIn.setFaultRates({});
  const done = await post(`/compensations/${ofStep("payment").id}/retry`);
  // Its own turn may have come first.
  if (done.status === 200) expect(done.json.state).toBe("done");
  else expect(done.json.error.message).toContain("is done already");
  await eventually("the last event", () => receiver.typesOf(orderId).length === 2);
  expect(receiver.typesOf(orderId)).toEqual(["order.failed", "order.compensated"]);
  for (const id of ["1", "x", Buffer.from("never placed:1:payment").toString("base64url")]) {
    expect((await post(`/compensations/${id}/retry`)).json.error).toEqual({ kind: "not_found", message: "no such compensation" });
    expect((await post(`/compensations/${id}/settle`, { note })).status).toBe(404);
  }
});

test("lists go page by page over all orders, newest first", async () => {
  const orderIds: string[] = [];
  for (let n = 0; n < 5; n++) orderIds.push(await placeOne(`it's ${n}`));
  const all = await pages("/orders?status=ok&limit=2", "orders");
  expect(all.slice(0, 5).map(({ order_id, status }) => [order_id, status])).toEqual(orderIds.toReversed().map((id) => [id, "ok"]));
  expect(new Set(all.map(({ order_id }) => order_id)).size).toBe(all.length);
  const first = all[0];
  expect(await pages(`/orders?status=ok&since=${encodeURIComponent(first.ended_at)}`, "orders")).toEqual([first]);
  expect((await pages(`/orders?status=ok&until=${encodeURIComponent(first.ended_at)}`, "orders")).length).toBe(all.length - 1);
  expect((await post("/backup", { name: "a.db" })).json.error.message).toContain("the engine keeps the orders");
});

test("an event whose time is over becomes a dead letter, and is delivered after all when an operator says so", async () => {
  receiver.status = 500;
  const orderIds = [newId("given up"), newId("given up")];
  for (const orderId of orderIds) {
    const event = { type: "order.placed", orderId, attempt: 1, amount: 5, atMs: Date.now() - DAY_MS - 1 };
    await fetch(`${engine.server.ingressUrl}/OrderEvents/${encodeURIComponent(orderId)}/add`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(event),
    });
  }
  const letters = await pages("/dead-letters?limit=1", "dead_letters");
  expect(letters.map(({ order_id }) => order_id).toSorted()).toEqual(orderIds.toSorted());
  expect(letters[0]).toEqual({
    id: expect.any(String),
    webhook_id: expect.stringMatching(/^evt_/),
    order_id: expect.any(String),
    type: "order.placed",
    created_at: expect.any(String),
    given_up_at: expect.any(String),
    reason: "HTTP 500",
  });
  receiver.status = 204;
  const { id, webhook_id, order_id } = letters[0];
  expect((await post(`/dead-letters/${id}/redeliver`)).json).toEqual({ status: "ok", id });
  await eventually("the event", () => receiver.typesOf(order_id).length === 1);
  expect(receiver.taken.at(-1)?.id).toBe(webhook_id);
  expect((await pages("/dead-letters", "dead_letters")).map((letter) => letter.id)).toEqual([letters[1].id]);
  expect((await post(`/dead-letters/${id}/redeliver`)).status).toBe(404);
  expect((await get("/webhooks")).json).toMatchObject({ dead_letters: 1 });
});

test("a receiver that is down loses nothing, though the node that tried stops meanwhile: the next one delivers, in order", async () => {
  receiver.status = 503;
  const { asked } = receiver;
  const failed = await placeDeclined();
  const placedId = await placeOne("undelivered");
  await eventually("a try for each order", () => receiver.asked >= asked + 2);
  await node.stop();
  node = await engine.start(settings());
  await eventually("all events to wait", async () => (await get("/webhooks")).json.pending >= 3);
  expect([...receiver.typesOf(failed), ...receiver.typesOf(placedId)]).toEqual([]);
  receiver.status = 204;
  await eventually("all events", () => receiver.typesOf(failed).length === 2 && receiver.typesOf(placedId).length === 1);
  expect([receiver.typesOf(failed), receiver.typesOf(placedId)]).toEqual([["order.failed", "order.compensated"], ["order.placed"]]);
});

test("after a 410 no node sends anything until it is resumed at any of them", async () => {
  await using other = await engine.start(settings());
  receiver.status = 410;
  const orderIds = [await placeOne("gone")];
  const receiverAt = async (port: number) => (await send(port, { path: "/webhooks" })).json;
  for (const { adminPort } of [node, other]) {
    await eventually("the node to know", async () => (await receiverAt(adminPort)).receiver === "disabled");
  }
  const { asked } = receiver;
  for (let n = 0; n < 3; n++) orderIds.push(await placeOne("gone"));
  await eventually("all to wait", async () => (await receiverAt(node.adminPort)).pending >= orderIds.length);
  expect(receiver.asked).toBe(asked);
  receiver.status = 204;
  expect((await post("/webhooks/resume")).json.receiver).toBe("up");
  await eventually("all events", () => orderIds.every((orderId) => receiver.typesOf(orderId).length === 1));
  await eventually("nothing left", async () => (await receiverAt(other.adminPort)).pending === 0);
});
