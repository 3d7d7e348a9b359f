import { Client } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId } from "../support/http-client.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres/index.ts";
import { type Direction, TcpProxy } from "../support/tcp-proxy.ts";
import { GatedProviders } from "./gated-providers.ts";
import { LEASE_MS, NodeProcess } from "./node-process.ts";

const ORDER_MS = 3_000;
const UNDO_MS = 500;
const SETTINGS = { ORDER_TIMEOUT_MS: `${ORDER_MS}`, COMPENSATION_TIMEOUT_MS: `${UNDO_MS}`, COURIER_CAPACITY: "2" };
// No order of these ends by itself while others look at its node.
const PATIENT = { ...SETTINGS, ORDER_TIMEOUT_MS: "40000" };
const PERFORMED = [...STEPS].sort();
const INTERRUPTED = { status: "error", cause: "interrupted", error: { kind: "internal" } };

let database: FreshDatabase;
let client: Client;
let providers: GatedProviders;
beforeEach(async () => {
  database = await freshDatabase();
  client = new Client({ connectionString: database.url });
  await client.connect();
  providers = await GatedProviders.start();
});
afterEach(async () => {
  await providers[Symbol.asyncDispose]();
  await client.end();
  await database[Symbol.asyncDispose]();
});

const startNode = (name: string, settings: Readonly<Record<string, string>> = SETTINGS, journal = database.url) =>
  NodeProcess.start(name, journal, providers.url, settings);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends an order that waits at the courier. Resolves when its courier call is under way. */
async function hold(node: NodeProcess, meaning: string) {
  const id = newId(meaning);
  providers.hold(id);
  const answer = node.order(id);
  await eventually(`the courier call of ${id}`, () => providers.waiting.has(`${id}:1:courier`));
  return { id, answer };
}

/** Resolves when others have ended a life, with the milliseconds that took. */
async function ended(node: NodeProcess, life: number): Promise<number> {
  const startMs = performance.now();
  await eventually(
    `the end of life ${life}`,
    () => node.nodes(),
    (seen) => seen.length > 0 && seen.every((one) => one.life !== life),
  );
  return performance.now() - startMs;
}

async function count(table: string, which: string): Promise<number> {
  const { rows } = await client.query(`SELECT count(*)::integer AS count FROM order_pipeline.${table} WHERE ${which}`);
  return rows[0].count;
}

test("a killed node's orders are closed soon and compensated when none of their calls can be under way; who waits goes on; its couriers are used", async () => {
  await using two = await startNode("two");
  await using one = await startNode("one");
  const [lifeOfOne, lifeOfTwo] = [await one.life(), await two.life()];
  const first = await hold(one, "killed");
  const second = await hold(one, "killed");
  const atBoth = two.order(first.id);
  const own = newId("lives");
  const waitsForCourier = two.order(own);
  await eventually("it is stored", () => count("attempts", `order_id = '${own}'`));
  const waitsAtOne = one.order(own);
  await eventually(
    "both that wait",
    () => count("waiters", "true"),
    (waiters) => waiters === 2,
  );
  providers.letGo(first.id);
  // The call that waited may have been answered by now, or not.
  await one.kill();
  expect(await ended(two, lifeOfOne)).toBeLessThan(LEASE_MS + 60_000);
  expect(await Promise.all([second.answer, waitsAtOne])).toEqual([undefined, undefined]);
  expect(await waitsForCourier).toMatchObject({ status: 200 });
  expect(await two.shown(own)).toMatchObject({ attempts_total: 1 });
  expect(await count("waiters", `life = ${lifeOfOne}`)).toBe(0);
  expect((await two.nodes()).map(({ life }) => life)).toEqual([lifeOfTwo]);
  expect((await atBoth)?.status).toBe(200);

  const [interrupted] = (await two.shown(second.id)).attempts;
  expect(interrupted).toMatchObject(INTERRUPTED);
  providers.letGo(second.id);
  expect(await two.order(second.id)).toMatchObject({ status: 200 });
  expect(await two.shown(second.id)).toMatchObject({ status: "ok", attempts_total: 2 });
  await eventually(
    "its compensation",
    () => providers.of(second.id, 1).filter((call) => call.startsWith("undo")),
    (undone) => undone.length >= STEPS.length,
  );
  const undoneMs = providers.calls
    .filter(({ key, action }) => action === "compensate" && key.startsWith(`${second.id}:1:`))
    .map(({ atMs }) => atMs);
  expect(Math.min(...undoneMs)).toBeGreaterThanOrEqual(Date.parse(interrupted.ended_at) + ORDER_MS + UNDO_MS);
  expect(providers.of(second.id, 2).sort()).toEqual(PERFORMED);
  expect(two.warnings).toEqual(["another node is dead: its orders are closed and are being compensated"]);
});

test("a frozen node keeps its life for half a lease; after two it has lost its orders, answers none of them as placed and goes on as a new life", async () => {
  await using two = await startNode("two", PATIENT);
  await using one = await startNode("one", PATIENT);
  const [lifeOfOne, lifeOfTwo] = [await one.life(), await two.life()];
  const short = await hold(one, "short");
  one.freeze();
  await pause(LEASE_MS / 2);
  one.wake();
  providers.letGo(short.id);
  expect(await short.answer).toMatchObject({ status: 200 });
  expect(await one.life()).toBe(lifeOfOne);

  const long = await hold(one, "long");
  const atTwo = await hold(two, "lives");
  one.freeze();
  // What it reads when it wakes: an answer of the last provider, and a new order.
  providers.letGo(long.id);
  const meanwhile = newId("meanwhile");
  const sentMeanwhile = one.order(meanwhile);
  await ended(two, lifeOfOne);
  expect((await two.shown(long.id)).attempts[0]).toMatchObject(INTERRUPTED);
  one.wake();
  expect((await long.answer)?.status ?? "none").not.toBe(200);
  expect([200, 503]).toContain((await sentMeanwhile)?.status);
  await eventually(
    "it takes orders",
    () => one.order(),
    (answer) => answer?.status === 200,
  );
  expect(await one.life()).toBeGreaterThan(lifeOfTwo);
  expect((await two.shown(long.id)).attempts).toMatchObject([INTERRUPTED]);
  expect(await two.shown(atTwo.id)).toMatchObject({ status: "running" });
  providers.letGo(atTwo.id);
  expect(await atTwo.answer).toMatchObject({ status: 200 });
  expect(await one.stop()).toEqual({ code: 0, signal: null });
});

test("a node that wakes does not act on a reply from before: an order that was stored for it, and closed by others since, is not run", async () => {
  await using proxy = await TcpProxy.start(Number(new URL(database.url).port));
  await using two = await startNode("two", PATIENT);
  await using one = await startNode("one", PATIENT, proxy.through(database.url));
  const life = await one.life();
  let id = "";
  let answer: ReturnType<NodeProcess["order"]>;
  // A batch that looks something up waits for its reply and keeps the order from being sent.
  for (;;) {
    id = newId("stored");
    proxy.cut("to-client");
    answer = one.order(id);
    await pause(LEASE_MS / 5);
    if ((await count("attempts", `order_id = '${id}' AND open_by = ${life}`)) === 1) break;
    proxy.heal();
    await answer;
    providers.calls.length = 0;
  }
  one.freeze();
  proxy.heal();
  await ended(two, life);
  one.wake();
  expect(await answer).toMatchObject({ status: 503, json: { error: { kind: "overloaded" } }, headers: { "retry-after": "1" } });
  expect((await two.shown(id)).attempts).toMatchObject([INTERRUPTED]);
  expect(providers.of(id, 1)).toEqual([]);
});

const CUTS: [string, Direction[]][] = [
  ["it is not heard", ["to-server"]],
  ["it hears nothing", ["to-client"]],
  ["neither hears the other", ["to-server", "to-client"]],
];
test.each(CUTS)(
  "a node that is cut off from the database keeps its life for a third of a lease, and refuses once it has lost it: %s",
  async (_how, directions) => {
    await using proxy = await TcpProxy.start(Number(new URL(database.url).port));
    await using two = await startNode("two", PATIENT);
    await using one = await startNode("one", PATIENT, proxy.through(database.url));
    const life = await one.life();
    const short = await hold(one, "short");
    proxy.cut(...directions);
    providers.letGo(short.id);
    await pause(LEASE_MS / 3);
    proxy.heal();
    expect(await short.answer).toMatchObject({ status: 200 });
    expect(await one.life()).toBe(life);

    const long = await hold(one, "long");
    proxy.cut(...directions);
    providers.letGo(long.id);
    await ended(two, life);
    // Its node may have stored its end, and does not know that.
    const [first] = (await two.shown(long.id)).attempts;
    if (directions.length > 1 || directions[0] === "to-server") expect(first).toMatchObject(INTERRUPTED);
    else expect(first).toMatchObject({ status: "ok" });
    await eventually(
      "it says that it is cut off",
      () => one.readiness(),
      (status) => status === 503,
    );
    const refused = await one.order();
    expect(refused).toMatchObject({ status: 503, json: { error: { kind: "overloaded" } }, headers: { "retry-after": "1" } });
    // The same order goes on elsewhere meanwhile.
    expect(await two.order(long.id)).toMatchObject({ status: 200 });
    proxy.heal();
    await eventually(
      "it is ready",
      () => one.readiness(),
      (status) => status === 200,
    );
    expect((await long.answer)?.status ?? "none").not.toBe(200);
    expect(await one.order()).toMatchObject({ status: 200 });
    expect(await one.life()).toBeGreaterThan(life);
    expect((await two.shown(long.id)).attempts).toMatchObject(first.status === "ok" ? [first] : [INTERRUPTED, { status: "ok" }]);
  },
);

test("a stopped node leaves nothing: no row of its own, nothing taken, its couriers free at once", async () => {
  await using two = await startNode("two", PATIENT);
  await using one = await startNode("one", { ...PATIENT, SHUTDOWN_TIMEOUT_MS: "500" });
  const life = await one.life();
  const held = [await hold(one, "stopped"), await hold(one, "stopped")];
  const own = two.order();
  expect(await one.stop()).toMatchObject({ signal: null });
  expect(await count("nodes", `life = ${life}`)).toBe(0);
  expect(await count("attempts", `open_by = ${life}`)).toBe(0);
  expect(await count("compensations", `taken_by = ${life}`)).toBe(0);
  expect(await count("outbox", `taken_by = ${life}`)).toBe(0);
  expect(await own).toMatchObject({ status: 200 });
  for (const { id, answer } of held) {
    await answer;
    providers.letGo(id);
    expect(await two.shown(id)).toMatchObject({ status: "error", attempts_total: 1 });
  }
  // Nobody takes it for dead.
  expect(two.warnings).toEqual([]);
});
