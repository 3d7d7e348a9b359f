import { afterAll, beforeAll, expect, test } from "vitest";
import { startStandIn } from "../../../load/stand-in/stand-in.ts";
import { eventually } from "../../support/eventually.ts";
import { newId, postOrder, send } from "../../support/http-client.ts";
import { RestateServer } from "../../support/restate-server.ts";
import { startNode } from "./node.ts";

let engine: RestateServer;
beforeAll(async () => {
  engine = await RestateServer.start();
});
afterAll(() => engine[Symbol.asyncDispose]());

test("what a failed order did is undone before its answer", async () => {
  await using standIn = disposable(await startStandIn({ rates: { vendor: { refuse: 1 } } }));
  await using node = await startNode(engine, { PAYMENT_URL: standIn.url, VENDOR_URL: standIn.url, COURIER_URL: standIn.url });
  await eventually("ready", async () => (await send(node.running.port, { path: "/readyz" })).status === 200);
  const orderId = newId("undone");
  const { status, json } = await postOrder(node.running.port, { order_id: orderId, amount: 1200 });
  console.log(status, JSON.stringify(json));
  console.log((await send(node.running.port, { path: `/order/${orderId}` })).text);
  console.log((await node.get("/compensations?state=done")).text);
  console.log((await node.get("/compensations")).text);
  console.log((await node.get("/orders")).text);
  console.log(
    (await node.get("/metrics")).text
      .split("\n")
      .filter((l) => /^(compens|events_|event_|dead|journal_bytes)/.test(l))
      .join("\n"),
  );
  await standIn.quiet();
  for (const { acted, undone } of standIn.ledger.snapshot().entries) expect(undone.length).toBe(acted.length);
  console.log(node.running.logged.filter((l) => l.level >= 40));
});

function disposable<T extends { close(): Promise<void> }>(thing: T): T & AsyncDisposable {
  return Object.assign(thing, { [Symbol.asyncDispose]: () => thing.close() });
}
