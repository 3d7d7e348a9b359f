import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { attempt, fail, type OnFile, startOnFile, waiting } from "./fixture.ts";

const RETRIES = 32;

let provider: Server;
/** The orders for which it was asked to pay back, in order. Nobody is answered before the gate is opened. */
let asked: string[];
let gate: PromiseWithResolvers<number>;

beforeEach(async () => {
  asked = [];
  gate = Promise.withResolvers();
  provider = createServer(async (request, response) => {
    asked.push((JSON.parse(await text(request)) as { order_id: string }).order_id);
    response.writeHead(await gate.promise).end();
  });
  await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  gate.resolve(200);
  const closed = new Promise((resolve) => provider.close(resolve));
  provider.closeAllConnections();
  await closed;
});

const start = () =>
  startOnFile({ PAYMENT_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}`, COMPENSATION_TIMEOUT_MS: "60000" });
const listed = async (server: OnFile, state: string) => (await server.get(`/compensations?state=${state}&limit=500`)).json.compensations;
const onOrder = async (server: OnFile, id: string) => (await send(server.running.port, { path: `/order/${id}` })).json;

describe("a compensation that is being tried", () => {
  test("can be neither settled nor tried beside that: 409; what the provider answers then is on the row", async () => {
    await using server = await start();
    await fail(server.running.service.journal, "charged", ["payment"]);
    const [{ id }] = await listed(server, "pending");
    const retry = server.post(`/compensations/${id}/retry`);
    await eventually("the provider to be asked", () => asked.length === 1);
    expect(await listed(server, "pending")).toEqual([]);
    expect(await listed(server, "trying")).toEqual([
      expect.objectContaining({ id, order_id: "charged", state: "trying", tries: 1, last_answer: "HTTP 503" }),
    ]);
    // When it would be tried next depends on this try.
    expect((await listed(server, "trying"))[0]).not.toHaveProperty("next_try_at");
    expect((await onOrder(server, "charged")).attempts[0].compensations).toEqual([{ step: "payment", status: "trying", tries: 1 }]);
    for (const [action, body, word] of [
      ["settle", { note: "paid back by bank transfer" }, "settled"],
      ["retry", undefined, "tried"],
    ] as const) {
      const { status, json } = await server.post(`/compensations/${id}/${action}`, body);
      const message = `id: compensation ${id} is being tried; it can be ${word} when that has ended`;
      expect([status, json.error]).toEqual([409, { kind: "order_conflict", message }]);
    }
    gate.resolve(200);
    expect((await retry).json).toMatchObject({ id, state: "done", tries: 2 });
    expect(asked).toEqual(["charged"]);
    expect((await onOrder(server, "charged")).attempts[0].compensations).toEqual([{ step: "payment", status: "done", tries: 2 }]);
    // Nobody pays a second time by hand what the provider has paid back.
    const late = await server.post(`/compensations/${id}/settle`, { note: "paid back by bank transfer" });
    expect([late.status, late.json.error.message]).toEqual([
      400,
      `id: compensation ${id} is done already; only a pending one can be settled`,
    ]);
    expect(await listed(server, "settled")).toEqual([]);
  });

  test("can be settled when the try has failed", async () => {
    await using server = await start();
    await fail(server.running.service.journal, "charged", ["payment"]);
    const [{ id }] = await listed(server, "pending");
    gate.resolve(404);
    expect((await server.post(`/compensations/${id}/retry`)).json).toMatchObject({ state: "pending", last_answer: "HTTP 404" });
    // Its own next try comes soon.
    const settled = await eventually(
      "no try to be under way",
      () => server.post(`/compensations/${id}/settle`, { note: "by hand" }),
      ({ status }) => status !== 409,
    );
    expect(settled).toMatchObject({ status: 200, json: { state: "settled", note: "by hand" } });
    const before = asked.length;
    // Another one, whose tries go on all the while, is tried twice more before the settled one could have been.
    await fail(server.running.service.journal, "other", ["payment"]);
    const [other] = await listed(server, "pending");
    for (let n = 0; n < 2; n++) {
      await eventually(
        "the other to wait",
        () => server.post(`/compensations/${other.id}/retry`),
        ({ status }) => status === 200,
      );
    }
    expect(new Set(asked.slice(before))).toEqual(new Set(["other"]));
  });

  test("is one of the bulkhead's; those that wait for it can be settled, and the provider is not asked for them", async () => {
    await using server = await start();
    const { journal, compensator } = server.running.service;
    const orders = Array.from({ length: RETRIES + 8 }, (_, n) => `order ${n}`);
    await Promise.all(orders.map((id) => attempt(journal, id, [{ ...waiting("payment"), nextTryMs: Date.now() - 1_000 }])));
    compensator.notify();
    await eventually("as many calls as may be under way", () => asked.length === RETRIES);
    const left = await listed(server, "pending");
    expect([left.length, (await listed(server, "trying")).length]).toEqual([8, RETRIES]);
    for (const { id } of left) expect((await server.post(`/compensations/${id}/settle`, { note: "by hand" })).status).toBe(200);
    gate.resolve(200);
    await eventually("all tries to end", async () => (await listed(server, "done")).length === RETRIES);
    expect(asked.toSorted()).toEqual(orders.filter((id) => !left.some((row: { order_id: string }) => row.order_id === id)).toSorted());
  });
});

describe("a compensation that is held since a restore", () => {
  test("is shown so, is not tried by an operator's word for this row, and can be settled", async () => {
    await using server = await start();
    await fail(server.running.service.journal, "charged", ["payment"]);
    const [{ id }] = await listed(server, "pending");
    const db = new DatabaseSync(server.settings.JOURNAL as string, { timeout: 5_000 });
    db.prepare("UPDATE compensations SET state = 'held', next_try_ms = NULL WHERE id = ?").run(id);
    db.close();
    expect(await listed(server, "pending")).toEqual([]);
    expect(await listed(server, "held")).toMatchObject([{ id, state: "held", tries: 1 }]);
    expect((await onOrder(server, "charged")).attempts[0].compensations).toEqual([{ step: "payment", status: "held", tries: 1 }]);
    const { status, json } = await server.post(`/compensations/${id}/retry`);
    expect([status, json.error.kind]).toEqual([409, "order_conflict"]);
    expect(json.error.message).toContain(`compensation ${id} is held since a restore`);
    expect((await server.post(`/compensations/${id}/settle`, { note: "never happened" })).json).toMatchObject({ state: "settled" });
    expect(asked).toEqual([]);
  });
});
