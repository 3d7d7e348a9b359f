import { afterAll, describe, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder } from "../support/http-client.ts";
import { allPages, attempt, fail, startOnFile } from "./fixture.ts";

const idsOf = (orders: { order_id: string }[]) => orders.map(({ order_id }) => order_id);

describe("GET /orders", () => {
  test("shows each order once, newest first, as it is", async () => {
    await using server = await startOnFile();
    const { port } = server.running;
    await postOrder(port, orderOf("placed", 0));
    await postOrder(port, { ...orderOf("failed, then placed", 0), fail_step: "vendor" });
    await postOrder(port, orderOf("failed, then placed", 0));
    await postOrder(port, { ...orderOf("failed", 0), fail_step: "payment" });
    await fail(server.running.service.journal, "not compensated", ["payment", "courier"]);
    const hangUp = new AbortController();
    const running = postOrder(port, orderOf("running ☕", 60_000), { signal: hangUp.signal });
    await eventually("an order that runs", async () => (await server.get("/orders?status=running")).json.orders.length === 1);

    const { json } = await server.get("/orders");
    expect(json.orders).toEqual([
      { order_id: "running ☕", attempt: 1, amount: 1, status: "running", accepted_at: expect.any(String) },
      {
        order_id: "not compensated",
        attempt: 1,
        amount: 1200,
        status: "compensating",
        error: "vendor_unavailable",
        accepted_at: expect.any(String),
        ended_at: expect.any(String),
      },
      expect.objectContaining({ order_id: "failed", attempt: 1, status: "error", error: "payment_declined" }),
      expect.objectContaining({ order_id: "failed, then placed", attempt: 2, status: "ok" }),
      expect.objectContaining({ order_id: "placed", attempt: 1, amount: 1, status: "ok" }),
    ]);
    for (const { accepted_at } of json.orders) expect(new Date(accepted_at).toISOString()).toBe(accepted_at);
    const byStatus = async (status: string) => idsOf((await server.get(`/orders?status=${status}`)).json.orders);
    expect(await byStatus("running")).toEqual(["running ☕"]);
    expect(await byStatus("ok")).toEqual(["failed, then placed", "placed"]);
    expect(await byStatus("error")).toEqual(["not compensated", "failed"]);
    expect(await byStatus("compensating")).toEqual(["not compensated"]);
    hangUp.abort();
    await expect(running).rejects.toThrow();
  });

  test("since and until take ISO 8601 and milliseconds, the one included, the other not", async () => {
    await using server = await startOnFile();
    const { journal } = server.running.service;
    const noonMs = Date.parse("2026-01-02T12:00:00Z");
    for (const [index, id] of ["before", "at", "after"].entries()) await fail(journal, id, ["payment"], noonMs + (index - 1) * 1000);
    const found = async (query: string) => idsOf((await server.get(`/orders?${query}`)).json.orders);
    for (const noon of [String(noonMs), "2026-01-02T12:00:00Z", "2026-01-02T12:00:00.000Z", "2026-01-02T14:00:00%2B02:00"]) {
      for (const status of ["", "&status=error", "&status=compensating"]) {
        expect(await found(`since=${noon}${status}`)).toEqual(["after", "at"]);
        expect(await found(`until=${noon}${status}`)).toEqual(["before"]);
        expect(await found(`since=${noon}&until=${noonMs + 1}${status}`)).toEqual(["at"]);
      }
    }
    expect(await found("since=2026-01-03")).toEqual([]);
    expect(await found("until=2026-01-03&limit=1")).toEqual(["after"]);
  });

  test("pages bring every order once, whatever ends, fails, begins anew or is compensated meanwhile", async () => {
    await using server = await startOnFile();
    const { journal } = server.running.service;
    const before = Array.from({ length: 60 }, (_, n) => `before ${n}`);
    for (const [n, id] of before.entries()) {
      if (n % 3 === 0) await attempt(journal, id, undefined);
      else await fail(journal, id, n % 3 === 1 ? STEPS : ["courier"]);
    }
    const open = Array.from({ length: 20 }, (_, n) => `open ${n}`);
    for (const orderId of open) await journal.accept({ orderId, amount: 1200, nowMs: Date.now() });

    const seen = await allPages(server, "/orders?limit=7", "orders", async (page) => {
      // An order that runs ends, a new one comes, and a failed one that no page has shown yet begins anew.
      await journal.finish({
        orderId: `open ${page}`,
        attempt: 1,
        answer: { json: "{}" },
        answered: true,
        compensations: [],
        nowMs: Date.now(),
      });
      await attempt(journal, `new ${page}`, undefined);
      if (page >= 4) await journal.accept({ orderId: `before ${page - 3}`, amount: 1200, nowMs: Date.now() }).catch(() => {});
    });
    const counts = Map.groupBy(idsOf(seen), (id) => id);
    for (const id of before) expect([id, counts.get(id)?.length]).toEqual([id, 1]);
    // Those that changed from running to ended may be there twice.
    for (const id of open) expect([1, 2]).toContain(counts.get(id)?.length);
    expect(seen.filter(({ order_id, status }) => open.includes(order_id) && status === "running").length).toBeGreaterThan(0);
  });

  test("orders that run, of the same millisecond too, are paged by key: each comes once, though others end and begin", async () => {
    await using server = await startOnFile();
    const { journal } = server.running.service;
    const nowMs = Date.now();
    const open = Array.from({ length: 30 }, (_, n) => `open ${n}`);
    for (const [n, orderId] of open.entries()) await journal.accept({ orderId, amount: 1, nowMs: nowMs + Math.floor(n / 10) });
    const shown = async () => idsOf((await server.get("/orders?status=running&limit=500")).json.orders);
    const all = await allPages(server, "/orders?status=running&limit=4", "orders", async (page) => {
      // At first the list grows at its head, then what was shown already goes: by position some would come twice, and some not at all.
      if (page <= 2) await journal.accept({ orderId: `new ${page}`, amount: 1, nowMs: nowMs + 1_000 });
      else if (page <= 5) {
        for (const orderId of (await shown()).slice(0, 3)) {
          await journal.finish({ orderId, attempt: 1, answer: { json: "{}" }, answered: true, compensations: [], nowMs: Date.now() });
        }
      }
    });
    expect(idsOf(all).sort()).toEqual([...open].sort());
  });

  test("a page may be short where few of many rows match, and the next ones bring the rest", async () => {
    await using server = await startOnFile();
    const { journal } = server.running.service;
    await attempt(journal, "placed first", undefined);
    await Promise.all(Array.from({ length: 4_200 }, (_, n) => fail(journal, `failed ${n}`, ["payment"])));
    const { json } = await server.get("/orders?status=ok");
    expect(json).toEqual({ orders: [], next_cursor: expect.any(String) });
    expect(idsOf(await allPages(server, "/orders?status=ok", "orders"))).toEqual(["placed first"]);
    for (const status of ["error", "compensating"]) {
      const ids = idsOf(await allPages(server, `/orders?status=${status}&limit=500`, "orders"));
      expect([ids.length, new Set(ids).size]).toEqual([4_200, 4_200]);
    }
  });

  test.each([
    ["limit=0", "limit: must be a whole number from 1 to 500"],
    ["limit=501", "limit: must be a whole number from 1 to 500"],
    ["limit=1.5", "limit: "],
    ["limit=", "limit: "],
    ["limit=5&limit=6", "limit: "],
    ["status=done", "status: must be one of running, ok, error, compensating"],
    ["since=yesterday", "since: must be a date or a time in ISO 8601"],
    ["since=2026-02-30", "since: "],
    ["since=2026-01-02T12:00:00", "since: "],
    ["until=-1", "until: "],
    ["sort=amount", "sort: is not a known parameter; known are status, since, until, limit, cursor"],
    ["cursor=nonsense", "cursor: must be the next_cursor of a page of the same list"],
    ["cursor=", "cursor: "],
    [`cursor=${Buffer.from('["compensations pending",3]').toString("base64url")}`, "cursor: "],
    [`cursor=${Buffer.from('["orders ",{}]').toString("base64url")}`, "cursor: "],
  ])("refuses ?%s", async (query, message) => {
    const { status, json } = await (await shared()).get(`/orders?${query}`);
    expect(status).toBe(400);
    expect(json.error.kind).toBe("bad_request");
    expect(json.error.message).toContain(message);
  });

  test("a cursor is good for its own list only", async () => {
    const server = await shared();
    for (let n = 0; n < 2; n++) await fail(server.running.service.journal, newId("of two lists"), ["payment"]);
    const { next_cursor } = (await server.get("/orders?status=error&limit=1")).json;
    expect((await server.get(`/orders?status=error&limit=1&cursor=${next_cursor}`)).status).toBe(200);
    expect((await server.get(`/orders?status=compensating&cursor=${next_cursor}`)).status).toBe(400);
  });

  test("takes GET and HEAD only, and /orders/ is no route", async () => {
    const server = await shared();
    const posted = await server.post("/orders");
    expect(posted.status).toBe(405);
    expect(posted.headers.allow).toBe("GET, HEAD");
    expect((await server.get("/orders/")).status).toBe(404);
  });
});

let server: Awaited<ReturnType<typeof startOnFile>> | undefined;
async function shared() {
  server ??= await startOnFile();
  return server;
}
afterAll(() => server?.[Symbol.asyncDispose]());
