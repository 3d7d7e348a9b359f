import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import type { Journal } from "../../src/journal/journal.ts";
import { perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { orderOf, postOrder } from "../support/http-client.ts";
import { allPages, disposable, fail, type OnFile, Receiver, startOnFile } from "./fixture.ts";

const REFUSE = { compensate: { refuse: 1 } } as const;

/** A service with one compensation, 1, which waits until the last test of what is refused settles it. */
let withOne: OnFile;
beforeAll(async () => {
  withOne = await startOnFile();
  await fail(withOne.running.service.journal, "one", ["payment"]);
});
afterAll(() => withOne[Symbol.asyncDispose]());

describe("GET /compensations", () => {
  test("shows what a provider refuses to compensate", async () => {
    await using standIn = disposable(await startStandIn({ rates: { ...REFUSE, vendor: { refuse: 1 } } }));
    await using server = await startOnFile({ ...perStepSetting("URL", () => standIn.url) });
    const answer = await postOrder(server.running.port, { order_id: "charged", amount: 1200 });
    expect(answer.json.error.kind).toBe("vendor_unavailable");
    const rows = await eventually(
      "payment with a refused try",
      async () => (await server.get("/compensations")).json.compensations,
      (found) => found.some(({ step, tries }: { step: string; tries: number }) => step === "payment" && tries > 0),
    );
    expect(rows.find(({ step }: { step: string }) => step === "payment")).toEqual({
      id: expect.any(Number),
      order_id: "charged",
      attempt: 1,
      step: "payment",
      amount: 1200,
      state: "pending",
      age_seconds: expect.any(Number),
      tries: expect.any(Number),
      next_try_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      last_answer: "HTTP 503",
      held_back_by: expect.stringMatching(/^(backoff|bulkhead)$/),
    });
    const [row] = (await server.get("/compensations")).json.compensations;
    expect(row.held_back_by === "backoff" || Date.parse(row.next_try_at) <= Date.now()).toBe(true);
  });

  test("pages bring every one once, oldest first, while some are done and new ones come", async () => {
    await using server = await startOnFile();
    const { journal } = server.running.service;
    for (let n = 0; n < 20; n++) await fail(journal, `order ${n}`, n % 2 === 0 ? STEPS : ["courier"]);
    const before = (await server.get("/compensations?limit=500")).json.compensations;
    expect(before).toHaveLength(10 * STEPS.length + 10);
    const all = await allPages(server, "/compensations?limit=3", "compensations", async (page) => {
      if (page <= 5) await fail(journal, `new ${page}`, ["vendor"]);
      if (page <= 4 || page > 8) return;
      const isNext = (row: { order_id: string; step: string }) => row.order_id === `order ${page - 5}` && row.step === "courier";
      const { id } = before.find(isNext);
      await journal.takeCompensation(id, Date.now(), "test");
      await journal.compensationTried({ id, step: "courier" }, Date.now());
    });
    const ids = all.map(({ id }) => id);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    const gone = new Set(["order 0", "order 1", "order 2", "order 3"]);
    const stayed = before.filter(({ order_id, step }: { order_id: string; step: string }) => !(gone.has(order_id) && step === "courier"));
    for (const { id } of stayed) expect(ids.filter((each) => each === id)).toEqual([id]);
    expect(new Set(ids).size).toBe(ids.length);
    expect(all.filter(({ order_id }) => order_id.startsWith("new"))).toHaveLength(5);
    const done = await allPages(server, "/compensations?state=done&limit=1", "compensations");
    expect(done.map(({ order_id, state }) => [order_id, state])).toEqual([...gone].map((id) => [id, "done"]));
    for (const { ended_at, next_try_at } of done) expect([typeof ended_at, next_try_at]).toEqual(["string", undefined]);
  });

  test("refuses queries that break a rule", async () => {
    for (const [query, message] of [
      ["state=failed", "state: must be one of pending, trying, held, done, settled"],
      ["status=done", "status: is not a known parameter; known are state, limit, cursor"],
      ["limit=many", "limit: must be a whole number from 1 to 500"],
      ["cursor=x", "cursor: must be the next_cursor"],
    ]) {
      const { status, json } = await withOne.get(`/compensations?${query}`);
      expect([query, status, json.error.kind]).toEqual([query, 400, "bad_request"]);
      expect(json.error.message).toContain(message);
    }
  });
});

describe("POST /compensations/{id}/retry", () => {
  test("tries at once, though its turn is far away and the provider counts as down, and answers with the row", async () => {
    await using standIn = disposable(await startStandIn({ rates: REFUSE }));
    await using receiver = await Receiver.start();
    await using server = await startOnFile({ PAYMENT_URL: standIn.url, WEBHOOK_URL: receiver.url });
    const { journal, compensator } = server.running.service;
    for (let n = 0; n < 2; n++) await fail(journal, `order ${n}`, ["payment"]);
    const [untried, tried] = (await server.get("/compensations")).json.compensations;
    expect(standIn.connections.accepted).toBe(0);
    const refused = await server.post(`/compensations/${tried.id}/retry`);
    expect(refused.status).toBe(200);
    expect(refused.json).toMatchObject({ id: tried.id, order_id: "order 1", state: "pending", tries: 2, last_answer: "HTTP 503" });

    // One row that fails again and again says nothing of the provider; five that were never tried do.
    for (let n = 0; n < 5; n++) await untriedOne(journal, `never tried ${n}`);
    compensator.notify();
    const isDown = () => server.running.logged.some(({ msg, step }) => msg.includes("takes no compensations") && step === "payment");
    await eventually("the provider to count as down", isDown);

    standIn.setFaultRates({});
    const { id } = untried;
    const { status, json } = await server.post(`/compensations/${id}/retry`, {});
    expect(status).toBe(200);
    expect(json).toMatchObject({ id, order_id: "order 0", state: "done", tries: 2, ended_at: expect.any(String) });
    expect(json.next_try_at).toBeUndefined();
    expect(standIn.ledger.snapshot().entries.find(({ orderId }) => orderId === "order 0")?.compensationCalls).toBe(1);
    await eventually("its event", () => receiver.typesOf("order 0").includes("order.compensated"));

    const again = await server.post(`/compensations/${id}/retry`);
    expect([again.status, again.json.error]).toEqual([
      400,
      { kind: "bad_request", message: `id: compensation ${id} is done already; only a pending one can be tried` },
    ]);
  });
});

describe("POST /compensations/{id}/settle", () => {
  test("ends the tries, keeps the note, and the last one of an order emits order.compensated", async () => {
    await using receiver = await Receiver.start();
    await using server = await startOnFile({ WEBHOOK_URL: receiver.url });
    const { journal } = server.running.service;
    await fail(journal, "by hand", ["payment", "vendor"]);
    const [payment, vendor] = (await server.get("/compensations")).json.compensations;

    const note = "paid back by bank transfer, Ünal 🙂";
    const { status, json } = await server.post(`/compensations/${payment.id}/settle`, { note });
    expect(status).toBe(200);
    expect(json).toEqual({
      id: payment.id,
      order_id: "by hand",
      attempt: 1,
      step: "payment",
      amount: 1200,
      state: "settled",
      age_seconds: expect.any(Number),
      tries: 1,
      last_answer: "HTTP 503",
      note,
      ended_at: expect.any(String),
    });
    expect((await server.get("/compensations")).json.compensations).toEqual([vendor]);
    expect((await server.get("/compensations?state=settled")).json.compensations).toEqual([json]);
    expect(server.running.logged.filter(({ note: logged }) => logged !== undefined)).toMatchObject([
      { level: 30, msg: "an operator acted", action: "settle", order_id: "by hand", note },
    ]);
    await eventually("the failure's event", () => receiver.typesOf("by hand").includes("order.failed"));
    expect(receiver.typesOf("by hand")).toEqual(["order.failed"]);

    await server.post(`/compensations/${vendor.id}/settle`, { note: "never came" });
    await eventually("the last event", () => receiver.typesOf("by hand").length === 2);
    expect(receiver.typesOf("by hand")).toEqual(["order.failed", "order.compensated"]);

    // Sent again for want of an answer it is the same; with another note it is not.
    expect((await server.post(`/compensations/${payment.id}/settle`, { note })).json).toEqual(json);
    const other = await server.post(`/compensations/${payment.id}/settle`, { note: "another" });
    expect([other.status, other.json.error.message]).toEqual([
      400,
      `id: compensation ${payment.id} is settled already; only a pending one can be settled`,
    ]);
    expect((await server.post(`/compensations/${payment.id}/retry`)).status).toBe(400);
    expect((await server.get("/orders?status=error")).json.orders).toMatchObject([{ order_id: "by hand", status: "error" }]);
  });

  test("refuses notes that are none", async () => {
    for (const [body, message] of [
      [{}, "note: must be a string of 1 to 1000 characters"],
      [{ note: "" }, "note: "],
      [{ note: " \n" }, "note: "],
      [{ note: "x".repeat(1001) }, "note: "],
      [{ note: 5 }, "note: "],
      ['{"note":"\\ud800"}', "note: "],
      [{ note: "paid\0" }, "note: "],
      [{ note: "fine", by: "me" }, "by: is not a known field; known are note"],
      ["[]", "body: must be one JSON object and nothing after it"],
      ['{"note":', "body: must be one JSON object and nothing after it"],
      [Buffer.from('{"note":"caf\u00e9"}', "latin1"), "body: must be JSON in UTF-8"],
    ]) {
      const { status, json } = await withOne.post("/compensations/1/settle", body);
      expect([body, status, json.error.kind]).toEqual([body, 400, "bad_request"]);
      expect(json.error.message).toContain(message);
    }
    expect((await withOne.get("/compensations")).json.compensations).toHaveLength(1);
  });
});

test("both answer 404 for what is no compensation, 405 to other methods, and refuse what they do not know", async () => {
  for (const id of ["2", "0", "-1", "01", "1.0", "x", "9999999999999999"]) {
    expect((await withOne.post(`/compensations/${id}/retry`)).json.error).toEqual({ kind: "not_found", message: "no such compensation" });
    expect((await withOne.post(`/compensations/${id}/settle`, { note: "x" })).status).toBe(404);
  }
  for (const action of ["retry", "settle"]) {
    const { status, headers } = await withOne.get(`/compensations/1/${action}`);
    expect([status, headers.allow]).toEqual([405, "POST"]);
  }
  expect((await withOne.post("/compensations/1/retry", { now: true })).json.error.message).toContain("now: is not a known field");
  expect((await withOne.post("/compensations/1/retry?force=1")).json.error.message).toContain("force: is not a known parameter");
});

test("a settled note may be as long as its rule says, however it is written", async () => {
  const body = `{"note":"${"\\ud83d\\ude42".repeat(1000)}"}`;
  expect((await withOne.post("/compensations/1/settle", body)).json.note).toBe("🙂".repeat(1000));
});

test("what an order placed by HTTP has left pending is what the lists and the order itself show", async () => {
  await using standIn = disposable(await startStandIn({ rates: { ...REFUSE, vendor: { refuse: 1 } } }));
  await using server = await startOnFile({ ...perStepSetting("URL", () => standIn.url) });
  for (let n = 0; n < 5; n++) await postOrder(server.running.port, { order_id: `charged ${n}`, amount: 100 + n });
  const orders = await allPages(server, "/orders?status=compensating&limit=2", "orders");
  expect(orders.map(({ order_id, amount }) => [order_id, amount]).toSorted()).toEqual(
    Array.from({ length: 5 }, (_, n) => [`charged ${n}`, 100 + n]),
  );
  standIn.setFaultRates({});
  for (const { id } of await allPages(server, "/compensations?limit=2", "compensations")) {
    // Its own turn may have come first.
    expect([200, 400, 409]).toContain((await server.post(`/compensations/${id}/retry`)).status);
  }
  // A try that was under way before may have been refused still.
  await eventually(
    "nothing left to be done",
    async () => (await server.get("/compensations")).json.compensations.length,
    (count) => count === 0,
    20_000,
  );
  expect((await server.get("/orders?status=compensating")).json.orders).toEqual([]);
  await standIn.quiet();
  for (const { acted, compensated } of standIn.ledger.snapshot().entries) expect(compensated.length).toBe(acted.length);
  expect(await postOrder(server.running.port, orderOf("next", 0))).toMatchObject({ status: 400 });
});

/** A failed attempt whose payment nobody has tried to take back. */
async function untriedOne(journal: Journal, orderId: string): Promise<void> {
  const nowMs = Date.now();
  await journal.accept({ orderId, amount: 1, nowMs });
  const answer = { error: "internal", json: "{}" } as const;
  const compensations = [{ step: "payment", trying: false }] as const;
  await journal.finish({ orderId, attempt: 1, answer, answered: false, compensations, nowMs });
  await journal.answer({ orderId, attempt: 1, json: "{}", answered: true, tried: [], nowMs });
}
