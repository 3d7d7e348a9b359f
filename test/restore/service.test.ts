import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Site } from "./site.ts";

/** Lets both queues of a step do their work: an order fails, and its refund succeeds at its third try. */
async function letQueuesWork(site: Site, orderId: string): Promise<void> {
  const answerBefore = site.answer;
  site.answer = (call) => {
    if (call.orderId !== orderId) return answerBefore(call);
    if (call.path === "/orders") return 422;
    return call.path === "/refunds" && site.undone(orderId).filter((path) => path === "/refunds").length < 3 ? 500 : 200;
  };
  await site.order(orderId);
  await eventually("a refund of a later order", async () => {
    const { attempts } = await site.look(orderId);
    return attempts[0].compensations.every(({ status }: { status: string }) => status === "done");
  });
  expect(site.undone(orderId).filter((path) => path === "/refunds")).toHaveLength(3);
  site.answer = answerBefore;
}

test("an order that was running when the backup was made, and was placed since, is not undone: it is held until an operator says so", async () => {
  await using site = await Site.open();
  const paying = Promise.withResolvers<void>();
  const payment = Promise.withResolvers<void>();
  site.answer = async ({ path, orderId }) => {
    if (path !== "/payments" || orderId !== "shoes") return 200;
    paying.resolve();
    await payment.promise;
    return 200;
  };
  await site.start();
  const placing = site.order("shoes", { key: "k" });
  await paying.promise;
  await site.backUp("b.db");
  payment.resolve();
  expect((await placing).status).toBe(200);
  await eventually("the event", () => site.events.includes("order.placed shoes"));
  await site.restore("b.db");

  const said = (await eventually("the warning", () => site.warnings.find(({ msg }) => /^held since a restore/.test(String(msg))))) ?? {};
  expect(said).toMatchObject({ orders: 1, compensations: 3, restored_at: expect.any(String) });
  const { json: state } = await site.admin("GET", "/restore");
  expect(state).toEqual({
    restored_at: said.restored_at,
    orders: 1,
    compensations: 3,
    held: [
      {
        order_id: "shoes",
        attempt: 1,
        amount: 900,
        was: "running",
        accepted_at: expect.any(String),
        compensations: ["payment", "vendor", "courier"].map((step) => ({ id: expect.any(Number), step, tries: 0 })),
      },
    ],
  });
  expect((await site.look("shoes")).attempts[0].compensations.map(({ status }: { status: string }) => status)).toEqual(
    Array(3).fill("held"),
  );
  site.calls.length = 0;
  for (const how of [{}, { key: "k" }, { key: "another" }, { amount: 901 }]) {
    const { status, json } = await site.order("shoes", how);
    expect([status, json.error.kind]).toEqual([409, "order_conflict"]);
    expect(json.error.message).toMatch(/held since a restore of the journal, until an operator confirms it with POST \/restore\/confirm/);
  }
  // Others go on, and what fails of them is undone.
  expect((await site.order("other")).status).toBe(200);
  await letQueuesWork(site, "failing");
  expect(site.calls.filter(({ orderId }) => orderId === "shoes")).toEqual([]);
  expect(site.events.filter((event) => event.endsWith(" shoes"))).toEqual(["order.placed shoes"]);

  // After the word it is undone, told of and free again.
  expect((await site.admin("POST", "/restore/confirm", { order_id: "shoes" })).json).toEqual({
    status: "ok",
    order_id: "shoes",
    compensations: 3,
  });
  await eventually("all of it undone", () => site.events.includes("order.compensated shoes"));
  expect(site.undone("shoes").sort()).toEqual(["/cancellations", "/refunds", "/releases"]);
  expect(site.events.filter((event) => event.endsWith(" shoes")).slice(1)).toEqual(["order.failed shoes", "order.compensated shoes"]);
  expect((await site.admin("POST", "/restore/confirm", { order_id: "shoes" })).status).toBe(404);
  expect((await site.order("shoes")).status).toBe(200);
  const { attempts, attempts_total } = await site.look("shoes");
  expect([attempts_total, attempts[0].attempt, attempts[1].attempt > 2 ** 40]).toEqual([2, 1, true]);
  const charged = site.calls.filter(({ path, orderId }) => path === "/payments" && orderId === "shoes");
  expect(charged).toEqual([{ path: "/payments", key: `shoes:${attempts[1].attempt}:payment`, orderId: "shoes" }]);
});

test("a refund that was settled by hand after the backup is not made, and can be settled once more", async () => {
  await using site = await Site.open();
  let refunds = 500;
  site.answer = ({ path, orderId }) =>
    orderId === "s" && path === "/orders" ? 422 : path === "/refunds" && orderId === "s" ? refunds : 200;
  await site.start();
  expect((await site.order("s")).status).toBe(503);
  const rowsIn = async (state: string) => (await site.admin("GET", `/compensations?state=${state}`)).json.compensations;
  const settle = async (state: string) => {
    const [row] = await eventually(
      `the refund to be ${state}`,
      () => rowsIn(state),
      (rows) => rows.length === 1,
    );
    expect(row).toMatchObject({ order_id: "s", step: "payment" });
    let answer = await site.admin("POST", `/compensations/${row.id}/settle`, { note: "by bank transfer" });
    // A try may be under way.
    while (answer.status === 409) answer = await site.admin("POST", `/compensations/${row.id}/settle`, { note: "by bank transfer" });
    expect(answer.json).toMatchObject({ id: row.id, state: "settled" });
  };
  await eventually("the refund to be refused", () => site.undone("s").includes("/refunds"));
  await site.backUp("b.db");
  await settle("pending");
  const before = site.events.filter((event) => event === "order.compensated s").length;
  refunds = 200;
  site.calls.length = 0;
  await site.restore("b.db");
  await letQueuesWork(site, "failing");
  expect(site.calls.filter(({ orderId }) => orderId === "s")).toEqual([]);
  const [held] = await rowsIn("held");
  const retried = await site.admin("POST", `/compensations/${held.id}/retry`);
  expect([retried.status, retried.json.error.message]).toEqual([409, expect.stringContaining("held since a restore")]);
  await settle("held");
  expect((await site.admin("GET", "/restore")).json).toMatchObject({ orders: 0, compensations: 0, held: [] });
  await eventually("the event of the settling", () => site.events.filter((event) => event === "order.compensated s").length > before);
  site.answer = () => 200;
  expect((await site.order("s")).status).toBe(200);
  expect(site.undone("s")).toEqual([]);
});

test("a backup that is restored twice lets no provider get a key for a second charge, and the word for all undoes each order once", async () => {
  await using site = await Site.open();
  const open = new Set(["one", "two", "three"]);
  const begun = new Set<string>();
  let holding = true;
  site.answer = async ({ path, orderId }) => {
    if (path !== "/payments" || !open.has(orderId)) return 200;
    begun.add(orderId);
    await eventually("the end of the hold", () => !holding);
    return 200;
  };
  await site.start();
  const placing = [...open].map((orderId) => site.order(orderId));
  await eventually("the payments", () => begun.size === open.size);
  await site.backUp("b.db");
  holding = false;
  await Promise.all(placing);
  const charges = () => site.calls.filter(({ path }) => path === "/payments").map(({ key }) => key);
  expect(charges()).toHaveLength(open.size);
  // Once all at a word, once in two pages of one by one.
  for (const restore of [1, 2]) {
    await site.restore("b.db");
    expect((await site.order("one")).status).toBe(409);
    const before = site.calls.length;
    const { json } = await site.admin("GET", "/restore?limit=2");
    expect([json.held.length, json.orders, json.compensations]).toEqual([2, 3, 9]);
    const next = (await site.admin("GET", `/restore?limit=2&cursor=${json.next_cursor}`)).json;
    expect([...json.held, ...next.held].map((held: { order_id: string }) => held.order_id).sort()).toEqual([...open].sort());
    const confirmed = restore === 1 ? (await site.admin("POST", "/restore/confirm")).json : await confirmEach(site, open);
    expect(confirmed).toEqual({ status: "ok", compensations: 9 });
    expect((await site.admin("POST", "/restore/confirm", {})).json).toEqual({ status: "ok", compensations: 0 });
    await eventually("all undone", async () => (await site.admin("GET", "/orders?status=compensating")).json.orders.length === 0);
    expect(
      site.calls
        .slice(before)
        .map(({ path }) => path)
        .sort(),
    ).toEqual(["/cancellations", "/refunds", "/releases"].flatMap((path) => Array(open.size).fill(path)));
    for (const orderId of open) expect((await site.order(orderId)).status).toBe(200);
  }
  const keys = charges();
  expect(keys).toHaveLength(3 * open.size);
  expect(new Set(keys).size).toBe(keys.length);
});

async function confirmEach(site: Site, orderIds: ReadonlySet<string>): Promise<unknown> {
  let compensations = 0;
  for (const order_id of orderIds) {
    const { status, json } = await site.admin("POST", "/restore/confirm", { order_id });
    expect(status).toBe(200);
    compensations += json.compensations;
  }
  return { status: "ok", compensations };
}

test("the routes refuse what they do not know, and change nothing", async () => {
  await using site = await Site.open();
  await site.start();
  expect((await site.admin("GET", "/restore")).json).toEqual({ restored_at: null, orders: 0, compensations: 0, held: [] });
  expect((await site.admin("POST", "/restore/confirm", { all: true })).json).toEqual({ status: "ok", compensations: 0 });
  const refused: [unknown, RegExp][] = [
    [{ all: false }, /^all: must be true/],
    [{ order_id: 5 }, /^order_id: must be a string/],
    [{ all: true, order_id: "a" }, /^order_id: cannot be given together with all/],
    [{ order: "a" }, /^order: is not a known field/],
    [[], /^body: must be one JSON object/],
  ];
  for (const [body, message] of refused) {
    const { status, json } = await site.admin("POST", "/restore/confirm", body);
    expect([status, json.error.message]).toEqual([400, expect.stringMatching(message)]);
  }
  for (const order_id of ["never seen", ".", "\u{1F600}".repeat(128)]) {
    expect((await site.admin("POST", "/restore/confirm", { order_id })).status).toBe(404);
  }
  for (const path of ["/restore?cursor=x", "/restore?limit=0", "/restore?state=held"])
    expect((await site.admin("GET", path)).status).toBe(400);
  const wrong = await site.admin("POST", "/restore");
  expect([wrong.status, wrong.headers.allow]).toEqual([405, "GET, HEAD"]);
  expect((await site.admin("GET", "/restore/confirm")).status).toBe(405);
  expect(site.warnings).toEqual([]);
});
