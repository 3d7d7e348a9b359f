import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { LOCK_CLASS } from "../../src/journal/postgres/schema.ts";
import { TAKEOVER_POLL_MS } from "../../src/journal/postgres/session.ts";
import { eventually } from "../support/eventually.ts";
import { newId, postOrder, type Received, send, threadsPage } from "../support/http-client.ts";
import { type PostgresServer, startPostgres } from "../support/postgres/index.ts";
import { seedOf } from "../support/seed.ts";
import { startService } from "../support/service.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { LEASE_MS, NodeProcess } from "./node-process.ts";
import { Site } from "./site.ts";

// Two looks at a free lock are over well before it. A node that cannot connect again between them loses its life, so these tests run one
// after the other: side by side they slow each other down.
const LONG_LEASE_MS = 6_000;
const PATIENT = { ORDER_TIMEOUT_MS: "40000", NODE_LEASE_MS: `${LONG_LEASE_MS}` };
const BREAKS = 3;
const CLIENTS = 6;
// While a database is down: without a pause nearly all that was sent, and looked up at the end, were refusals. All come again before it is killed
// once more.
const AFTER_REFUSAL_MS = 20;
const SLOW = { payment: 2_000, vendor: 0, courier: 0 };

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function seededRandom(): () => number {
  const seed = seedOf("SESSIONS_SEED");
  console.info(`SESSIONS_SEED=${seed}`);
  return randomFrom(seed);
}

/** Orders without end at some nodes, and what was answered. */
class Load {
  readonly answers = new Map<string, Received | undefined>();
  #isOn = true;
  readonly #clients: Promise<unknown>;

  /** `afterRefusalMs`: how long a client that is refused waits before it comes again. */
  constructor(nodes: readonly NodeProcess[], afterRefusalMs = 0) {
    this.#clients = Promise.all(
      Array.from({ length: CLIENTS }, (_, index) => this.#client(nodes[index % nodes.length] as NodeProcess, index, afterRefusalMs)),
    );
  }

  async #client(node: NodeProcess, index: number, afterRefusalMs: number): Promise<void> {
    while (this.#isOn) {
      const id = newId("load");
      // Some are looked up before they are stored.
      const answer = await node.order(id, index % 3 === 0 ? { headers: { "idempotency-key": id } } : {});
      this.answers.set(id, answer);
      if (answer?.status !== 200 && afterRefusalMs > 0) await pause(afterRefusalMs);
    }
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    await this.#clients;
  }
}

/** What was answered is stored, and all nodes know the same of every order. */
async function expectSameEverywhere(load: Load, nodes: readonly NodeProcess[]): Promise<void> {
  let placed = 0;
  for (const [id, answer] of load.answers) {
    const shown = await eventually(
      `the end of ${id}`,
      () => Promise.all(nodes.map((node) => node.shown(id))),
      (views) => views.every(({ status }) => status !== "running"),
    );
    for (const view of shown) expect(view).toEqual(shown[0]);
    if (answer?.status === 200) {
      placed++;
      expect({ id, status: shown[0].status, attempts: shown[0].attempts_total }).toEqual({ id, status: "ok", attempts: 1 });
      expect(shown[0].steps).toEqual(answer.json.steps);
    } else if (answer?.status === 503)
      expect({ id, error: answer.json.error.kind, shown: shown[0].error?.kind }).toEqual({ id, error: "overloaded", shown: "not_found" });
    else expect({ id, answer: answer?.text }).toEqual({ id, answer: undefined });
  }
  expect(placed).toBeGreaterThan(0);
}

/** Nothing is tried for ever to be stored. */
async function expectIdle(nodes: readonly NodeProcess[]): Promise<void> {
  for (const { adminPort } of nodes) {
    await eventually(
      "no order in flight",
      () => threadsPage(adminPort),
      (page) => page.orders_in_flight === 0,
    );
  }
}

async function livesOf(nodes: readonly NodeProcess[]): Promise<number[]> {
  return Promise.all(nodes.map((node) => node.life()));
}

async function allReady(): Promise<void> {
  await eventually("all are ready", async () =>
    (await Promise.all(nodes.map((node) => node.readiness()))).every((status) => status === 200),
  );
}

const all = new AsyncDisposableStack();
let server: PostgresServer;
let proxy: TcpProxy;
let nodes: readonly [NodeProcess, NodeProcess];

beforeAll(async () => {
  server = all.use(await startPostgres());
  proxy = all.use(await TcpProxy.start(server.port));
  const one = all.use(await NodeProcess.start("one", proxy.through(server.url), undefined, PATIENT));
  nodes = [one, all.use(await NodeProcess.start("two", server.url, undefined, PATIENT))];
});

afterAll(() => all.disposeAsync());

test("a database that is killed again and again: nodes refuse at once meanwhile, keep their lives and their orders, and no answer is lost or changed", async () => {
  const random = seededRandom();
  const lives = await livesOf(nodes);
  const long = newId("long");
  const longAnswer = nodes[0].order(long, { body: { order_id: long, amount: 5, delay_ms: SLOW } });
  await eventually(
    "it runs",
    () => nodes[1].shown(long),
    ({ status }) => status === "running",
  );
  const load = new Load(nodes, AFTER_REFUSAL_MS);
  for (let nth = 0; nth < BREAKS; nth++) {
    await pause(150 * random());
    await server.kill();
    const refused = await eventually(
      "a refusal",
      () => nodes[0].order(),
      (answer) => answer !== undefined && answer.status !== 200,
    );
    expect(refused).toMatchObject({ status: 503, json: { error: { kind: "overloaded" } }, headers: { "retry-after": "1" } });
    expect(await nodes[0].readiness()).toBe(503);
    // All locks are free then, and one of the nodes is late.
    if (nth === 0) proxy.cut();
    await server.start();
    if (nth === 0) {
      await pause(LONG_LEASE_MS - 1_000);
      proxy.heal();
    }
    await allReady();
  }
  await load.stop();
  expect(await livesOf(nodes)).toEqual(lives);
  await expectIdle(nodes);
  await longAnswer;
  expect(await nodes[1].shown(long)).toMatchObject({ status: "ok", attempts_total: 1 });
  await expectSameEverywhere(load, nodes);
  for (const node of nodes) expect(node.warnings.filter((message) => /dead/.test(message))).toEqual([]);
});

test("connections that break in the middle of commits leave no doubt", async () => {
  const random = seededRandom();
  const lives = await livesOf(nodes);
  const load = new Load(nodes);
  let brokenMs = performance.now();
  let longestMs = 0;
  for (let nth = 0; nth < 4 * BREAKS; nth++) {
    // Orders flow again.
    await eventually(
      "an answer",
      () => nodes[0].order(),
      (answer) => answer?.status === 200,
    );
    longestMs = Math.max(longestMs, performance.now() - brokenMs);
    await pause(60 * random());
    // What is sent now is lost, or it is executed and its reply is lost.
    brokenMs = performance.now();
    proxy.cut(random() < 0.5 ? "to-server" : "to-client");
    await pause(30 * random());
    proxy.reset();
    proxy.heal();
  }
  await load.stop();
  await eventually(
    "it is ready",
    () => nodes[0].readiness(),
    (status) => status === 200,
  );
  longestMs = Math.max(longestMs, performance.now() - brokenMs);
  // A node that a busy machine keeps away while others look twice is dead to them, and none of its orders is in doubt then either.
  if (longestMs < TAKEOVER_POLL_MS) expect(await livesOf(nodes)).toEqual(lives);
  await expectIdle(nodes);
  await expectSameEverywhere(load, nodes);
});

test("a process of the database that crashes frees all locks: a node that comes back late keeps its life", async () => {
  const lives = await livesOf(nodes);
  const upMs = "SELECT extract(epoch FROM now() - pg_postmaster_start_time()) * 1000 AS ms";
  await eventually("it is up for a lease", async () => Number((await server.query<{ ms: string }>(upMs))[0]?.ms) > LONG_LEASE_MS);
  proxy.cut();
  const [session] = await server.query<{ pid: number }>("SELECT pid FROM pg_stat_activity WHERE application_name = 'two' LIMIT 1");
  process.kill(session?.pid as number, "SIGKILL");
  await pause(LONG_LEASE_MS - 1_000);
  proxy.heal();
  await allReady();
  expect(await livesOf(nodes)).toEqual(lives);
});

test("a node that is frozen inside a transaction holds others up until the server ends its session, and fails none of their orders", async () => {
  await using site = await Site.open();
  // Past the hold-up the orders have a deadline that a busy machine keeps.
  const node = await site.start("one", { ORDER_TIMEOUT_MS: "10000" });
  const id = newId("contested");
  const frozen = new Client({ connectionString: site.url, options: `-c idle_in_transaction_session_timeout=${LEASE_MS}` });
  const ended = new Promise((resolve) => frozen.on("error", resolve));
  await frozen.connect();
  await frozen.query("BEGIN");
  await frozen.query("INSERT INTO order_pipeline.attempts (order_id, attempt, amount, accepted_ms, open_by) VALUES ($1, 1, 5, 0, 0)", [id]);
  const answers = await Promise.all([id, newId("beside"), newId("beside")].map((one) => node.order(one)));
  expect(answers.map((answer) => answer?.status)).toEqual([200, 200, 200]);
  await ended;
});

// Of the session that holds a life's lock: those for waits and couriers commit too.
const WAITING = `SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.classid = ${LOCK_CLASS}
                 WHERE a.application_name = 'shop-1' AND a.wait_event = 'SyncRep' AND l.granted`;

test("a commit whose wait for the standby is canceled is not taken for stored, until a later one has reached the standby", async () => {
  await using primary = await startPostgres();
  const node = await startService({ JOURNAL: primary.url, NODE_NAME: "shop-1", THREADS: "1", CPU_THREADS: "1" });
  const readiness = async () => (await send(node.port, { path: "/readyz" })).status;
  try {
    await primary.query("ALTER SYSTEM SET synchronous_standby_names = 'none'");
    await primary.query("SELECT pg_reload_conf()");
    let isAnswered = false;
    const answer = postOrder(node.port, { order_id: newId("waits"), amount: 1 }).finally(() => {
      isAnswered = true;
    });
    answer.catch(() => {}); // Where an assertion before its await fails.
    const waiting = () => primary.query(WAITING);
    const [commit] = await eventually("the commit's wait", waiting, (rows) => rows.length === 1);
    await primary.query("SELECT pg_cancel_backend($1)", [commit?.pid]);
    // The node has come back, and its first commit waits too.
    await eventually("the next wait", waiting, ([next]) => next !== undefined && next.pid !== commit?.pid);
    await pause(200);
    expect([isAnswered, await readiness()]).toEqual([false, 503]);
    await primary.query("ALTER SYSTEM RESET synchronous_standby_names");
    await primary.query("SELECT pg_reload_conf()");
    expect(await answer).toMatchObject({ status: 200 });
    expect(await readiness()).toBe(200);
  } finally {
    await node.stop();
  }
});
