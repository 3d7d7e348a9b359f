import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId, postOrder, send } from "../support/http-client.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres/index.ts";
import { startService, type TestService } from "../support/service.ts";
import { watch } from "./live/watching.ts";

// Far longer than any test waits.
const FOR_EVER_MS = 40_000;

let database: FreshDatabase;
let one: TestService;
let other: TestService;
const start = (name: string) =>
  startService({ JOURNAL: database.url, NODE_NAME: name, THREADS: "1", CPU_THREADS: "1", ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });

beforeAll(async () => {
  database = await freshDatabase();
  [one, other] = await Promise.all([start("shop-1"), start("shop-2")]);
});
afterAll(async () => {
  await Promise.all([one.stop(), other.stop()]);
  await database[Symbol.asyncDispose]();
});

const nodesAt = async ({ adminPort }: TestService) => (await send(adminPort, { path: "/nodes" })).json.nodes;

test("every node lists all nodes, itself marked, with the orders of each", async () => {
  const hangUp = new AbortController();
  const order = { order_id: newId("runs"), amount: 1, delay_ms: { payment: FOR_EVER_MS } };
  const running = postOrder(one.port, order, { signal: hangUp.signal });
  const [atOne, atOther] = await eventually(
    "the order in the list",
    () => Promise.all([nodesAt(one), nodesAt(other)]),
    (lists) => lists.every(([first]) => first.orders_under_way === 1),
  );
  const known = { life: expect.any(Number), version: expect.stringMatching(/^\d+\.\d+\.\d+$/), lease_ms: 5_000 };
  const [first, second] = [
    { name: "shop-1", ...known, started_at: expect.any(String), orders_under_way: 1 },
    { name: "shop-2", ...known, started_at: expect.any(String), orders_under_way: 0 },
  ];
  expect([atOne, atOther]).toEqual([
    [{ ...first, this: true }, second],
    [first, { ...second, this: true }],
  ]);
  hangUp.abort();
  await expect(running).rejects.toThrow();
});

test("/metrics counts them, and a node that was stopped is none of them any more", async () => {
  const metric = async () => /^nodes\{node="shop-1"\} (\d+)$/m.exec((await send(one.adminPort, { path: "/metrics" })).text)?.[1];
  expect(await metric()).toBe("2");
  const third = await start("shop-0");
  const namesNow = async () => (await nodesAt(one)).map(({ name }: { name: string }) => name);
  expect([await metric(), await namesNow()]).toEqual(["3", ["shop-0", "shop-1", "shop-2"]]);
  await third.stop();
  expect([await metric(), await namesNow()]).toEqual(["2", ["shop-1", "shop-2"]]);
});

// test/admin/live/page.test.ts shows that its head has it.
test("the live page is told the node's name", async () => {
  using watching = await watch(other.adminPort);
  expect(watching.hello.node).toBe("shop-2");
});

test("POST /backup says who makes backups", async () => {
  const { status, json } = await send(one.adminPort, { method: "POST", path: "/backup", body: { name: "a.db" } });
  expect([status, json.error]).toEqual([
    400,
    { kind: "bad_request", message: "backup: PostgreSQL makes those of this journal; see docs/many-machines.md" },
  ]);
});
