import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Balancer } from "../../load/cluster/balancer.ts";
import { type AttemptEnding, balance } from "../../load/stand-in/balance.ts";
import { type StandIn, startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStep, perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";
import { RestateTestEngine } from "./engines.ts";

const FOR_EVER_MS = 300_000;
const FEW_THREADS = { THREADS: "1", CPU_THREADS: "1" };
// For an engine on a busy core.
const QUERY_TIMEOUT_MS = 30_000;
const OVERLOADED = { status: 503, json: { error: { kind: "overloaded" } }, headers: { "retry-after": "1" } };
const PLACED = { status: 200, json: { status: "ok" } };

let engine: RestateTestEngine;
let standIn: StandIn;
let balancer: Balancer;
/** The node that the engine calls, behind the balancer, until a test registers another one. */
let node: TestService;
let port: number;
let urls: Record<string, string>;
/** Orders whose first call of the vendor is never answered. */
const hanging = new Set<string>();
const vendorCalls = new Map<string, number>();

beforeAll(async () => {
  engine = await RestateTestEngine.start();
  standIn = await startStandIn({
    faultModeOf({ step, action, nth, body: { order_id: id } }) {
      if (step !== "vendor" || action !== "perform") return undefined;
      vendorCalls.set(id, (vendorCalls.get(id) ?? 0) + 1);
      return nth === 1 && hanging.delete(id) ? { type: "answer", slowMs: FOR_EVER_MS } : undefined;
    },
  });
  const { url } = standIn;
  urls = { ...FEW_THREADS, ...perStepSetting("URL", () => url), ORDER_TIMEOUT_MS: String(FOR_EVER_MS) };
  node = await startService({ ...engine.settings, ...urls });
  ({ port } = node);
  balancer = await Balancer.start([`http://127.0.0.1:${node.service.endpointPort}`]);
  await engine.server.register(balancer.url);
});
// A test may end before the node has noticed that its engine is back.
beforeEach(() => ready(port));
afterAll(async () => {
  await node?.stop();
  await Promise.all([engine?.[Symbol.asyncDispose](), standIn?.close(), balancer?.[Symbol.asyncDispose]()]);
});

const viewAt = async (at: number, id: string) => (await send(at, { path: `/order/${id}` })).json;
const ready = (at: number) => eventually("to be ready", async () => (await send(at, { path: "/readyz" })).status === 200);
const effectsOf = (id: string) => standIn.ledger.snapshot().entries.filter(({ orderId }) => orderId === id);
const actedSteps = (id: string) =>
  effectsOf(id)
    .map(({ key }) => key)
    .toSorted();
const allSteps = (id: string) => STEPS.toSorted().map((step) => `${id}:1:${step}`);

/** Every step but the vendor has acted, and the vendor hangs. */
async function vendorHangs(id: string): Promise<void> {
  await eventually("the order to hang at the vendor", () => actedSteps(id).length === STEPS.length - 1 && vendorCalls.get(id) === 1);
}

/** The order ended in the attempt that was under way, and each step has one effect. */
async function endedOnce(at: number, id: string): Promise<void> {
  await eventually("the order to end", async () => (await viewAt(at, id))?.status === "ok");
  expect(await viewAt(at, id)).toMatchObject({ attempts_total: 1, status: "ok" });
  expect(await postOrder(at, { order_id: id, amount: 1 })).toMatchObject({ ...PLACED, headers: { "idempotent-replayed": "true" } });
  expect(actedSteps(id)).toEqual(allSteps(id));
  expectBalance([{ orderId: id, attempt: 1, ok: true, amount: 1 }]);
}

function expectBalance(endings: readonly [AttemptEnding]): void {
  const [{ orderId }] = endings;
  expect(balance({ ...standIn.ledger.snapshot(), entries: effectsOf(orderId) }, endings)).toEqual([]);
}

test("an engine that is killed: refusals at once, and what was in flight ends after its restart", async () => {
  hanging.add("killed");
  const first = postOrder(port, { order_id: "killed", amount: 1 });
  await vendorHangs("killed");
  await engine.server.kill();
  expect(await first).toMatchObject(OVERLOADED);
  await fastOnce("a refusal", 1_000, async () => {
    const answer = await postOrder(port, { order_id: "meanwhile", amount: 1 }, { headers: { "idempotency-key": "unbound" } });
    expect(answer).toMatchObject(OVERLOADED);
    return answer.elapsedMs;
  });
  await eventually("not to be ready", async () => (await send(port, { path: "/readyz" })).status === 503);
  expect((await send(port, { path: "/readyz" })).json).toEqual({ status: "engine_unavailable" });
  expect((await send(port, { path: "/healthz" })).status).toBe(200);
  await engine.server.restart();
  await ready(port);
  await endedOnce(port, "killed");
});

test("an engine that hangs: refusals within a second, also for those that wait; their orders go on", async () => {
  const pid = engine.server.pid as number;
  let round = 0;
  await fastOnce("a refusal", 1_000, async () => {
    await ready(port);
    process.kill(pid, "SIGSTOP");
    try {
      const order = { order_id: `hung ${++round}`, amount: 1 };
      const keyed = postOrder(port, { order_id: "hung with a key", amount: 1 }, { headers: { "idempotency-key": "hung" } });
      const answers = await Promise.all([postOrder(port, order), keyed]);
      for (const answer of answers) expect(answer).toMatchObject(OVERLOADED);
      return Math.max(...answers.map(({ elapsedMs }) => elapsedMs));
    } finally {
      process.kill(pid, "SIGCONT");
    }
  });
  await eventually("the order to end", async () => (await viewAt(port, `hung%20${round}`))?.status === "ok");
});

test("a hang-up frees the key: who asks again gets a real answer, and the first attempt is compensated", async () => {
  hanging.add("again");
  const order = { order_id: "again", amount: 1 };
  const keyed = { headers: { "idempotency-key": "again" } };
  const client = new AbortController();
  const first = postOrder(port, order, { ...keyed, signal: client.signal }).catch(() => "gone");
  await vendorHangs("again");
  client.abort();
  expect(await first).toBe("gone");
  const answer = await postOrder(port, order, keyed);
  expect(answer).toMatchObject(PLACED);
  expect(answer.headers["idempotent-replayed"]).toBeUndefined();
  expect(await postOrder(port, order, keyed)).toMatchObject({ text: answer.text, headers: { "idempotent-replayed": "true" } });
  const isDone = ({ status }: { status: string }) => status === "done";
  const view = await eventually(
    "the first attempt to be compensated",
    () => viewAt(port, "again"),
    ({ attempts }) => attempts[0].compensations.length > 0 && attempts[0].compensations.every(isDone),
  );
  expect(view.attempts.map(({ status }: { status: string }) => status)).toEqual(["error", "ok"]);
  expect(view.attempts[0].error.kind).toBe("canceled");
  expectBalance([{ orderId: "again", attempt: 2, ok: true, amount: 1 }]);
});

test("an engine that dies before it has the begin of an attempt: no step has acted, and the attempt runs once after the restart", async () => {
  const answers = balancer.holdAnswerTo("/invoke/Order/attempt");
  const first = postOrder(port, { order_id: "unbegun", amount: 1 });
  await answers;
  // Steps that did not wait for the engine would act before those of an order that comes later.
  expect(await postOrder(port, { order_id: "later", amount: 1 })).toMatchObject(PLACED);
  expect(actedSteps("later")).toEqual(allSteps("later"));
  expect(actedSteps("unbegun")).toEqual([]);
  await engine.server.kill();
  expect(await first).toMatchObject(OVERLOADED);
  await engine.server.restart();
  await ready(port);
  await endedOnce(port, "unbegun");
});

test("a node that is frozen under a call for couriers: the engine takes the call away, and orders get couriers", async () => {
  // Couriers that nobody uses go back, so the next order needs a call.
  const sql = "SELECT count(*) AS count FROM state WHERE service_name = 'CourierLease'";
  await eventually("no courier to be held", async () => (await query<{ count: number }>(sql))?.count === 0);
  const freezes = balancer.holdAnswerTo("/invoke/CourierLease/sync");
  const answer = postOrder(port, { order_id: "frozen", amount: 1 });
  await freezes;
  expect(await answer).toMatchObject(PLACED);
});

test("a node that dies in the middle: another goes on with the same attempt, and what it had finished is not done again", async () => {
  const RESTATE_ENDPOINT_PORT = String(await freePort());
  const settings = { ...engine.settings, ...urls, RESTATE_ENDPOINT_PORT };
  hanging.add("orphan");
  const first = new ChildServer({ ...settings, JOURNAL: "" });
  try {
    const { port: at } = await first.ports();
    await engine.server.register(`http://127.0.0.1:${RESTATE_ENDPOINT_PORT}`);
    await ready(at);
    const answer = postOrder(at, { order_id: "orphan", amount: 1 }).catch(() => "gone");
    await vendorHangs("orphan");
    // A step without a record would run again.
    await eventually("its begin and all steps but one to be recorded", async () => (await recorded("orphan")) === STEPS.length);
    first.signal("SIGKILL");
    expect(await answer).toBe("gone");
  } finally {
    await first[Symbol.asyncDispose]();
  }
  await using second = await engine.start({ ...urls, RESTATE_ENDPOINT_PORT });
  await endedOnce(second.port, "orphan");
  const calls = Object.fromEntries(effectsOf("orphan").map(({ step, calls: count }) => [step, count]));
  expect(calls).toEqual(perStep(() => 1));
  expect(vendorCalls.get("orphan")).toBe(2);
});

describe("with two nodes", () => {
  const settings = { ...FEW_THREADS, ORDER_TIMEOUT_MS: String(FOR_EVER_MS) };
  const long = (id: string, amount = 1) => ({ ...orderOf(id, 60_000), amount });

  test("requests for one id meet; a hang-up cancels only when nobody waits at either; both repeat the answer", async () => {
    await using here = await engine.start(settings);
    await using there = await engine.start(settings);
    const running = () => there.service.threads.totals().running;
    const [one, two] = [new AbortController(), new AbortController()];
    const gone = (port: number, { signal }: AbortController) => postOrder(port, long("shared"), { signal }).catch(() => "gone");
    const first = gone(here.port, one);
    await eventually("the order to run", running, (count) => count === STEPS.length);
    const second = gone(there.port, two);
    await eventually("the second to be known to wait", () => joined("shared"));
    expect(await postOrder(here.port, long("shared", 2))).toMatchObject({ status: 409, json: { error: { kind: "order_conflict" } } });
    one.abort();
    expect(await first).toBe("gone");
    // One that comes after the hang-up was dealt with has seen it.
    await eventually("the hang-up to be known", () => left("shared"));
    expect((await viewAt(here.port, "shared")).status).toBe("running");
    expect(running()).toBe(STEPS.length);
    two.abort();
    expect(await second).toBe("gone");
    const view = await eventually(
      "the cancel",
      () => viewAt(here.port, "shared"),
      ({ status }) => status === "error",
    );
    expect(view).toMatchObject({ attempts_total: 1, error: { kind: "canceled" } });
    expect(view.steps.map(({ detail }: { detail: string }) => detail)).toEqual(STEPS.map(() => "client_disconnected"));
    const answers = [];
    for (const { port } of [here, there, here]) answers.push(await postOrder(port, { ...orderOf("shared", 0), amount: 3 }));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers.map(({ headers }) => headers["idempotent-replayed"])).toEqual([undefined, "true", "true"]);
  });

  test("a key that comes with a request that joins another node's attempt stands for that attempt, failed or not", async () => {
    const [called, fails] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const vendor = createHttpServer(async ({ url }, answer) => {
      called.resolve();
      if (url === "/orders") await fails.promise;
      answer.writeHead(url === "/orders" ? 422 : 200).end("{}");
    }).listen(0, "127.0.0.1");
    await once(vendor, "listening");
    const VENDOR_URL = `http://127.0.0.1:${(vendor.address() as AddressInfo).port}`;
    try {
      await using here = await engine.start({ ...settings, VENDOR_URL });
      await using there = await engine.start({ ...settings, VENDOR_URL });
      const order = { order_id: "keyed", amount: 1 };
      const keyed = { headers: { "idempotency-key": "joins" } };
      const first = postOrder(here.port, order);
      await called.promise;
      const second = postOrder(there.port, order, keyed);
      await eventually("the second to be known to wait", () => joined("keyed"));
      fails.resolve();
      const { text } = await second;
      expect((await first).text).toBe(text);
      expect(await postOrder(here.port, order, keyed)).toMatchObject({ status: 503, text, headers: { "idempotent-replayed": "true" } });
      expect(await viewAt(here.port, "keyed")).toMatchObject({ attempts_total: 1 });
    } finally {
      vendor.close();
    }
  });

  test("a shutdown cancels what its clients wait for, wherever it runs", async () => {
    const settings = { ORDER_TIMEOUT_MS: String(FOR_EVER_MS) };
    const stopped = await engine.start(settings);
    await using there = await engine.start(settings);
    const first = postOrder(stopped.port, long("stopped"));
    await eventually(
      "the order to run",
      () => there.service.threads.totals().running,
      (count) => count === STEPS.length,
    );
    await stopped.stop();
    const answer = await first;
    expect(answer).toMatchObject({ status: 408, json: { error: { kind: "canceled" } } });
    expect(answer.json.steps.map(({ detail }: { detail: string }) => detail)).toEqual(STEPS.map(() => "shutdown"));
    expect(
      await eventually(
        "nothing to run",
        () => there.service.threads.totals().running,
        (count) => count === 0,
      ),
    ).toBe(0);
  });
});

/** The first row that a SELECT finds in the engine's tables. */
async function query<Row>(sql: string): Promise<Row | undefined> {
  return (await engine.server.admin.query<Row>(sql, QUERY_TIMEOUT_MS))[0];
}

async function recorded(id: string): Promise<number> {
  const sql = `SELECT count(*) AS runs FROM sys_journal j JOIN sys_invocation i ON j.id = i.id WHERE i.target_service_key = '${id}' AND j.entry_type = 'Notification: Run'`;
  return (await query<{ runs: number }>(sql))?.runs ?? 0;
}

async function waiters(id: string): Promise<{ joined: string[]; begunLeft: boolean } | undefined> {
  const sql = `SELECT value_utf8 FROM state WHERE service_name = 'OrderWaiters' AND service_key = '${id}'`;
  const row = await query<{ value_utf8: string }>(sql);
  return row === undefined ? undefined : JSON.parse(row.value_utf8);
}

const joined = async (id: string) => (await waiters(id))?.joined.length === 1;
const left = async (id: string) => (await waiters(id))?.begunLeft === true;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
