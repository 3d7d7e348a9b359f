import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder } from "../support/http-client.ts";
import { allPages, attempt, eventsDue, type OnFile, Receiver, startOnFile } from "./fixture.ts";

const pending = (server: OnFile) => server.get("/webhooks").then(({ json }) => json.pending as number);

/** Events that were given up, one a new order. The receiver must refuse them all the while. */
async function giveUpSome(server: OnFile, count: number): Promise<string[]> {
  const { journal } = server.running.service;
  const orders = Array.from({ length: count }, () => newId("given up"));
  for (const id of orders) await attempt(journal, id, undefined);
  for (const { seq } of await eventsDue(journal, Date.now() + 3_600_000)) await journal.giveUpEvent(seq, "HTTP 500", Date.now());
  return orders;
}

describe("dead letters", () => {
  test("are listed page by page, each once, while some go and new ones come", async () => {
    await using receiver = await Receiver.start();
    receiver.status = 500;
    await using server = await startOnFile({ WEBHOOK_URL: receiver.url });
    const orders = await giveUpSome(server, 11);
    const later: string[] = [];
    const all = await allPages(server, "/dead-letters?limit=2", "dead_letters", async (page) => {
      if (page <= 2) later.push(...(await giveUpSome(server, 1)));
      if (page === 3) await server.post("/dead-letters/1/redeliver");
    });
    expect(all.map(({ order_id }) => order_id)).toEqual([...orders, ...later]);
    expect(all[0]).toEqual({
      id: expect.any(Number),
      webhook_id: expect.stringMatching(/^evt_/),
      order_id: orders[0],
      type: "order.placed",
      created_at: expect.any(String),
      given_up_at: expect.any(String),
      reason: "HTTP 500",
    });
  });

  test("are delivered after all, under the id they had, once the receiver takes them", async () => {
    await using receiver = await Receiver.start();
    receiver.status = 500;
    await using server = await startOnFile({ WEBHOOK_URL: receiver.url });
    const [order = ""] = await giveUpSome(server, 2);
    const [letter, other] = (await server.get("/dead-letters")).json.dead_letters;
    await eventually("no request under way", async () => (await server.get("/webhooks")).json.in_flight === 0);
    expect((await server.get("/webhooks")).json).toMatchObject({ pending: 0, dead_letters: 2 });

    receiver.status = 204;
    const { status, json } = await server.post(`/dead-letters/${letter.id}/redeliver`);
    expect([status, json]).toEqual([200, { status: "ok", id: letter.id }]);
    await eventually("the event", () => receiver.taken.length === 1);
    expect(receiver.taken).toEqual([{ id: letter.webhook_id, type: "order.placed", orderId: order }]);
    expect((await server.get("/dead-letters")).json.dead_letters).toEqual([other]);
    expect((await server.post(`/dead-letters/${letter.id}/redeliver`)).json.error).toEqual({
      kind: "not_found",
      message: "no such dead letter",
    });
    await eventually("an empty outbox", async () => (await pending(server)) === 0);
  });

  test("refuse what they do not know", async () => {
    await using server = await startOnFile();
    expect((await server.get("/dead-letters?state=all")).json.error.message).toContain(
      "state: is not a known parameter; known are limit, cursor",
    );
    for (const id of ["1", "0", "evt_1"]) expect((await server.post(`/dead-letters/${id}/redeliver`)).status).toBe(404);
    expect((await server.post("/dead-letters/1/redeliver", { to: "me" })).json.error.message).toContain(
      "to: is not a known field; there is none",
    );
    expect((await server.post("/dead-letters")).headers.allow).toBe("GET, HEAD");
    expect((await server.get("/dead-letters/1/redeliver")).headers.allow).toBe("POST");
  });
});

describe("the webhook receiver", () => {
  test("is none without WEBHOOK_URL, and cannot be resumed", async () => {
    await using server = await startOnFile();
    await postOrder(server.running.port, orderOf("placed", 0));
    expect((await server.get("/webhooks")).json).toEqual({ receiver: "none", pending: 0, in_flight: 0, dead_letters: 0 });
    const { status, json } = await server.post("/webhooks/resume");
    expect([status, json.error]).toEqual([400, { kind: "bad_request", message: "webhooks: there is no receiver; WEBHOOK_URL is not set" }]);
  });

  test("is disabled after a 410, keeps what waits, and goes on when it is resumed", async () => {
    await using receiver = await Receiver.start();
    receiver.status = 410;
    await using server = await startOnFile({ WEBHOOK_URL: receiver.url });
    const upMetric = async () => /^webhook_receiver_up (\d)$/m.exec((await server.get("/metrics")).text)?.[1];
    expect((await server.get("/webhooks")).json).toEqual({
      receiver: "up",
      origin: receiver.origin,
      pending: 0,
      in_flight: 0,
      dead_letters: 0,
    });
    expect(await upMetric()).toBe("1");
    for (const id of ["one", "two", "three"]) await postOrder(server.running.port, orderOf(id, 0));
    const { json } = await eventually(
      "the receiver to be disabled",
      () => server.get("/webhooks"),
      ({ json: state }) => state.receiver === "disabled" && state.in_flight === 0,
    );
    expect(json).toEqual({
      receiver: "disabled",
      origin: receiver.origin,
      pending: 3,
      oldest_age_seconds: expect.any(Number),
      in_flight: 0,
      dead_letters: 0,
    });
    expect(JSON.stringify(json)).not.toContain("token");
    expect(await upMetric()).toBe("0");

    receiver.status = 204;
    const resumed = await server.post("/webhooks/resume");
    expect(resumed.status).toBe(200);
    expect(resumed.json).toMatchObject({ receiver: "up", origin: receiver.origin });
    await eventually("all events", () => receiver.taken.length === 3);
    expect(receiver.taken.map(({ orderId }) => orderId).toSorted()).toEqual(["one", "three", "two"]);
    await eventually("an empty outbox", async () => (await pending(server)) === 0);
  });

  test("counts as down while it fails", async () => {
    await using receiver = await Receiver.start();
    receiver.status = 500;
    await using server = await startOnFile({ WEBHOOK_URL: receiver.url });
    for (let n = 0; n < 10; n++) await postOrder(server.running.port, orderOf(newId("unheard"), 0));
    const isDown = async () => (await server.get("/webhooks")).json.receiver === "down";
    await eventually("the receiver to count as down", isDown);
    expect(await pending(server)).toBe(10);
    expect((await server.get("/webhooks?verbose=1")).json.error.message).toContain("verbose: is not a known parameter; there is none here");
  });
});
