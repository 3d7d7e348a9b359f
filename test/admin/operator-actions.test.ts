import { createHash } from "node:crypto";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, type Received, send } from "../support/http-client.ts";
import { fail, type OnFile, Receiver, startOnFile } from "./fixture.ts";

const FAILS = { vendor: { refuse: 1 }, compensate: { refuse: 1 } } as const;
const [ANN, BOB] = ["key-of-ann-the-operator", "key-of-bob-the-operator"];
const nameOf = (key: string) => `key ${createHash("sha256").update(key).digest("hex").slice(0, 32)}`;
const bearer = { authorization: `Bearer ${ANN}` };
const basic = { authorization: `Basic ${Buffer.from(`anybody:${BOB}`).toString("base64")}` };

/** A service whose payments cannot be refunded, with an order that failed and a dead letter of it; and a way to post to its admin listener. */
async function startFailing(overlay: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>>) {
  const parts = new AsyncDisposableStack();
  const standIn = parts.adopt(await startStandIn({ rates: FAILS }), (one) => one.close());
  const receiver = parts.use(await Receiver.start());
  receiver.status = 500;
  const server = parts.use(await startOnFile({ ...perStepSetting("URL", () => standIn.url), WEBHOOK_URL: receiver.url, ...overlay }));
  const { port, adminPort, service } = server.running;
  await postOrder(port, { order_id: "a", amount: 1200 });
  const get = async (path: string) => (await send(adminPort, { path, headers })).json;
  const refund = await eventually("a refund that was refused", async () =>
    (await get("/compensations")).compensations.find(({ step }: { step: string }) => step === "payment"),
  );
  await service.journal.giveUpEvent(1, "gone", Date.now());
  const post = (path: string, as: Readonly<Record<string, string>>, body?: object): Promise<Received> =>
    send(adminPort, { method: "POST", path, headers: as, ...(body !== undefined && { body }) });
  return { server, receiver, refund, get, post, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

const acted = (server: OnFile) => server.running.logged.filter(({ msg }) => msg === "an operator acted");

test("who retried, settled, redelivered, resumed and backed up is in the journal and in the log, once each, by the name of their key", async () => {
  using directory = mkdtempDisposableSync(join(tmpdir(), "keys-"));
  const keys = join(directory.path, "keys");
  writeFileSync(keys, `${ANN}\n${BOB}\n`);
  await using failing = await startFailing({ ADMIN_KEYS_FILE: keys }, bearer);
  const { server, refund, get, post } = failing;
  const { id } = refund;
  const statusOf = async (answer: Promise<Received>) => (await answer).status;
  // Its own try may be under way.
  await eventually("a retry", async () => (await statusOf(post(`/compensations/${id}/retry`, bearer))) === 200);
  const settle = (note: string) => statusOf(post(`/compensations/${id}/settle`, basic, { note }));
  await eventually("the settling", async () => (await settle("by bank")) === 200);
  expect(await statusOf(post("/dead-letters/1/redeliver", bearer))).toBe(200);
  expect(await statusOf(post("/webhooks/resume", basic))).toBe(200);
  expect(await statusOf(post("/backup", bearer, { name: "monday.db" }))).toBe(200);

  // What is refused, or sent again, leaves nothing.
  expect(await settle("by bank")).toBe(200);
  expect(await settle("another")).toBe(400);
  expect(await statusOf(post(`/compensations/${id}/retry`, bearer))).toBe(400);
  expect(await statusOf(post("/dead-letters/1/redeliver", bearer))).toBe(404);
  expect(await statusOf(post("/backup", bearer, { name: "monday.db" }))).toBe(400);
  expect(await statusOf(post("/webhooks/resume", {}))).toBe(401);

  const [ann, bob] = [nameOf(ANN), nameOf(BOB)];
  const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
  const words = `compensation ${id} (attempt 1, payment)`;
  expect((await get("/orders/a")).operator_actions).toEqual([
    { at, actor: ann, action: "retry", detail: words },
    { at, actor: bob, action: "settle", detail: `${words}: by bank` },
    { at, actor: ann, action: "redeliver", detail: "event 1" },
  ]);
  const db = new DatabaseSync(join(server.directory, "orders.db"), { readOnly: true });
  const rows = db.prepare("SELECT actor, action, detail FROM operator_actions WHERE order_id IS NULL ORDER BY id").all();
  db.close();
  expect(rows).toEqual([
    { actor: bob, action: "resume", detail: null },
    { actor: ann, action: "backup", detail: "monday.db" },
  ]);
  expect(acted(server).map(({ level, actor, action, order_id }) => [level, actor, action, order_id])).toEqual([
    [30, ann, "retry", "a"],
    [30, bob, "settle", "a"],
    [30, ann, "redeliver", undefined],
    [30, bob, "resume", undefined],
    [30, ann, "backup", undefined],
  ]);
  expect(JSON.stringify(server.running.logged)).not.toMatch(/key-of/);

  // Clients do not see who the operators are.
  const seen = await send(server.running.port, { path: "/order/a" });
  expect(seen.json).toMatchObject({ order_id: "a", status: "error" });
  expect(seen.text).not.toMatch(/actor|operator/);
});

test("who confirmed a restore is in the log, once for each word that let something go, with how much that was", async () => {
  await using before = await startOnFile();
  for (const orderId of ["a", "b", "c"]) await fail(before.running.service.journal, orderId, ["payment", "vendor"]);
  await before.post("/backup", { name: "monday.db" });
  const keys = join(before.directory, "keys");
  writeFileSync(keys, `${ANN}\n${BOB}\n`);
  await using server = await startOnFile({ JOURNAL: join(before.backups, "monday.db"), ADMIN_KEYS_FILE: keys });
  const confirm = async (headers: Readonly<Record<string, string>>, body: object) =>
    (await send(server.running.adminPort, { method: "POST", path: "/restore/confirm", headers, body })).status;
  expect(await confirm(bearer, { order_id: "a" })).toBe(200);
  // Of these nothing is held, and nobody has said who is asking.
  expect(await confirm(bearer, { order_id: "a" })).toBe(404);
  expect(await confirm(bearer, { order_id: "unknown" })).toBe(404);
  expect(await confirm({}, { all: true })).toBe(401);
  expect(await confirm(basic, { all: true })).toBe(200);
  expect(await confirm(bearer, {})).toBe(200);
  expect(acted(server).map(({ level, actor, action, order_id, compensations }) => [level, actor, action, order_id, compensations])).toEqual(
    [
      [30, nameOf(ANN), "confirm", "a", 2],
      [30, nameOf(BOB), "confirm", undefined, 4],
    ],
  );
});

test("without keys it is the address", async () => {
  await using failing = await startFailing({}, {});
  const { server, refund, get, post } = failing;
  expect((await get("/orders/a")).operator_actions).toEqual([]);
  await eventually("a retry", async () => (await post(`/compensations/${refund.id}/retry`, {})).status === 200);
  expect((await get("/orders/a")).operator_actions).toMatchObject([{ actor: "127.0.0.1", action: "retry" }]);
  expect(acted(server)).toMatchObject([{ actor: "127.0.0.1", action: "retry", order_id: "a", compensation: refund.id, step: "payment" }]);
});

test("while the journal cannot be written a backup is made all the same, and nothing else is done", async () => {
  await using failing = await startFailing({}, {});
  const { server, refund, receiver, get, post } = failing;
  receiver.status = 410;
  await postOrder(server.running.port, { order_id: "b", amount: 1200 });
  await eventually("the receiver to be disabled", async () => (await get("/webhooks")).receiver === "disabled");
  using other = new DatabaseSync(join(server.directory, "orders.db"), { timeout: 5_000 });
  other.exec("BEGIN IMMEDIATE");
  const answers = await Promise.all([
    post("/webhooks/resume", {}),
    post(`/compensations/${refund.id}/settle`, {}, { note: "by bank" }),
    post("/dead-letters/1/redeliver", {}),
    post("/backup", {}, { name: "now.db" }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([500, 500, 500, 200]);
  expect(acted(server)).toMatchObject([{ action: "backup", name: "now.db" }]);
  expect((await get("/webhooks")).receiver).toBe("disabled");
  other.exec("COMMIT");
  await eventually("the journal to work", async () => (await post("/webhooks/resume", {})).status === 200);
  expect(acted(server)).toMatchObject([{ action: "backup" }, { action: "resume" }]);
});
