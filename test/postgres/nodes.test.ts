import { expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId } from "../support/http-client.ts";
import { type Direction, TcpProxy } from "../support/tcp-proxy.ts";
import { LEASE_MS, type NodeProcess } from "./node-process.ts";
import { Site } from "./site.ts";

const ORDER_MS = 3_000;
const UNDO_MS = 500;
const SETTINGS = { ORDER_TIMEOUT_MS: `${ORDER_MS}`, COMPENSATION_TIMEOUT_MS: `${UNDO_MS}`, COURIER_CAPACITY: "2" };
// No order of these ends by itself while others look at its node.
const PATIENT = { ...SETTINGS, ORDER_TIMEOUT_MS: "40000" };
const PERFORMED = [...STEPS].sort();
const INTERRUPTED = { status: "error", cause: "interrupted", error: { kind: "internal" } };

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves when others have ended a life. */
async function ended(node: NodeProcess, life: number): Promise<void> {
  await eventually(
    `the end of life ${life}`,
    () => node.nodes(),
    (seen) => seen.length > 0 && seen.every((one) => one.life !== life),
  );
}

test.concurrent("a killed node's orders are closed soon and compensated when none of their calls can be under way; who waits goes on; its couriers are used", async () => {
  await using site = await Site.open();
  const two = await site.start("two", SETTINGS);
  const one = await site.start("one", SETTINGS);
  const [lifeOfOne, lifeOfTwo] = [await one.life(), await two.life()];
  const first = await site.hold(one, "killed");
  const second = await site.hold(one, "killed");
  const atBoth = two.order(first.id);
  const own = newId("lives");
  const waitsForCourier = two.order(own);
  await eventually("it is stored", () => site.count("attempts", `order_id = '${own}'`));
  const waitsAtOne = one.order(own);
  await eventually(
    "both that wait",
    () => site.count("waiters", "true"),
    (waiters) => waiters === 2,
  );
  site.providers.letGo(first.id);
  // The call that waited may have been answered by now, or not.
  await one.kill();
  await ended(two, lifeOfOne);
  expect(await Promise.all([second.answer, waitsAtOne])).toEqual([undefined, undefined]);
  expect(await waitsForCourier).toMatchObject({ status: 200 });
  expect(await two.shown(own)).toMatchObject({ attempts_total: 1 });
  expect(await site.count("waiters", `life = ${lifeOfOne}`)).toBe(0);
  expect((await two.nodes()).map(({ life }) => life)).toEqual([lifeOfTwo]);
  expect((await atBoth)?.status).toBe(200);
  const both = [await site.hold(two, "courier"), await site.hold(two, "courier")];
  for (const { id } of both) site.providers.letGo(id);

  const [interrupted] = (await two.shown(second.id)).attempts;
  expect(interrupted).toMatchObject(INTERRUPTED);
  site.providers.letGo(second.id);
  expect(await two.order(second.id)).toMatchObject({ status: 200 });
  expect(await two.shown(second.id)).toMatchObject({ status: "ok", attempts_total: 2 });
  await eventually(
    "its compensation",
    () => site.providers.of(second.id, 1).filter((call) => call.startsWith("undo")),
    (undone) => undone.length >= STEPS.length,
  );
  const undoneMs = site.providers.calls
    .filter(({ key, action }) => action === "compensate" && key.startsWith(`${second.id}:1:`))
    .map(({ atMs }) => atMs);
  expect(Math.min(...undoneMs)).toBeGreaterThanOrEqual(Date.parse(interrupted.ended_at) + ORDER_MS + UNDO_MS);
  expect(site.providers.of(second.id, 2).sort()).toEqual(PERFORMED);
  expect(two.warnings).toEqual(["another node is dead: its orders are closed and are being compensated"]);
});

test.concurrent("a frozen node keeps its life for half a lease; after two it has lost its orders, answers none of them as placed and goes on as a new life", async () => {
  await using site = await Site.open();
  const two = await site.start("two", PATIENT);
  const one = await site.start("one", PATIENT);
  const [lifeOfOne, lifeOfTwo] = [await one.life(), await two.life()];
  const short = await site.hold(one, "short");
  one.freeze();
  await pause(LEASE_MS / 2);
  one.wake();
  site.providers.letGo(short.id);
  expect(await short.answer).toMatchObject({ status: 200 });
  expect(await one.life()).toBe(lifeOfOne);

  const long = await site.hold(one, "long");
  const atTwo = await site.hold(two, "lives");
  one.freeze();
  // What it reads when it wakes: an answer of the last provider, and a new order.
  site.providers.letGo(long.id);
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
  // One line for all that others closed. That an outcome could not be stored it may have said before, while it had no session.
  expect(one.warnings.filter((message) => /never be stored|took this one for dead/.test(message))).toEqual([
    "other nodes took this one for dead: the orders that it ran are closed, and it goes on as a new node",
  ]);
  expect((await two.shown(long.id)).attempts).toMatchObject([INTERRUPTED]);
  expect(await two.shown(atTwo.id)).toMatchObject({ status: "running" });
  site.providers.letGo(atTwo.id);
  expect(await atTwo.answer).toMatchObject({ status: 200 });
  expect(await one.stop()).toEqual({ code: 0, signal: null });
});

test.concurrent("a node that wakes does not act on a reply from before: an order that was stored for it, and closed by others since, is not run", async () => {
  await using site = await Site.open();
  await using proxy = await TcpProxy.start(Number(new URL(site.url).port));
  const two = await site.start("two", PATIENT);
  const one = await site.start("one", PATIENT, proxy.through(site.url));
  const life = await one.life();
  let id = "";
  let answer: ReturnType<NodeProcess["order"]>;
  // A batch that looks something up waits for its reply and keeps the order from being sent.
  for (;;) {
    id = newId("stored");
    proxy.cut("to-client");
    answer = one.order(id);
    await pause(LEASE_MS / 5);
    if ((await site.count("attempts", `order_id = '${id}' AND open_by = ${life}`)) === 1) break;
    proxy.heal();
    await answer;
    site.providers.calls.length = 0;
  }
  one.freeze();
  proxy.heal();
  await ended(two, life);
  one.wake();
  expect(await answer).toMatchObject({ status: 503, json: { error: { kind: "overloaded" } }, headers: { "retry-after": "1" } });
  expect((await two.shown(id)).attempts).toMatchObject([INTERRUPTED]);
  expect(site.providers.of(id, 1)).toEqual([]);
});

const CUTS: [string, Direction[]][] = [
  ["it is not heard", ["to-server"]],
  ["it hears nothing", ["to-client"]],
];
test.concurrent.each(CUTS)(
  "a node that is cut off from the database keeps its life for a third of a lease, and refuses once it has lost it: %s",
  async (_how, directions) => {
    await using site = await Site.open();
    await using proxy = await TcpProxy.start(Number(new URL(site.url).port));
    const two = await site.start("two", PATIENT);
    const one = await site.start("one", PATIENT, proxy.through(site.url));
    const life = await one.life();
    const short = await site.hold(one, "short");
    proxy.cut(...directions);
    site.providers.letGo(short.id);
    await pause(LEASE_MS / 3);
    proxy.heal();
    expect(await short.answer).toMatchObject({ status: 200 });
    expect(await one.life()).toBe(life);

    const long = await site.hold(one, "long");
    proxy.cut(...directions);
    site.providers.letGo(long.id);
    await ended(two, life);
    // Where the server hears it, its node may have stored its end, and does not know that.
    const [first] = (await two.shown(long.id)).attempts;
    if (first.status !== "ok" || directions.includes("to-server")) expect(first).toMatchObject(INTERRUPTED);
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

test.concurrent("a stopped node leaves nothing: no row of its own, nothing taken, its couriers free at once", async () => {
  await using site = await Site.open();
  const two = await site.start("two", PATIENT);
  const one = await site.start("one", { ...PATIENT, SHUTDOWN_TIMEOUT_MS: "500" });
  const life = await one.life();
  const held = [await site.hold(one, "stopped"), await site.hold(one, "stopped")];
  const own = two.order();
  expect(await one.stop()).toMatchObject({ signal: null });
  expect(await site.count("nodes", `life = ${life}`)).toBe(0);
  expect(await site.count("attempts", `open_by = ${life}`)).toBe(0);
  expect(await site.count("compensations", `taken_by = ${life}`)).toBe(0);
  expect(await site.count("outbox", `taken_by = ${life}`)).toBe(0);
  expect(await own).toMatchObject({ status: 200 });
  for (const { id, answer } of held) {
    await answer;
    site.providers.letGo(id);
    expect(await two.shown(id)).toMatchObject({ status: "error", attempts_total: 1 });
  }
  // Nobody takes it for dead.
  expect(two.warnings).toEqual([]);
});
