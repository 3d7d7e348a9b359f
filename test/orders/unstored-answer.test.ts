import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { FaultMode } from "../../load/stand-in/fault-mode.ts";
import { Journal } from "../../src/journal/journal.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService } from "../support/service.ts";
import { ended, FOR_EVER_MS, KEYED, ORDER, Outliving } from "./outliving.ts";

const OTHER_KEY = { headers: { "idempotency-key": "another-key" } };

let at: Outliving;
/** How the vendor treats the first attempt, as soon as its call has come. */
let vendor: () => FaultMode;
let calls: number;

beforeEach(async () => {
  calls = 0;
  at = await Outliving.open(({ step, action, key }) => {
    if (step !== "vendor" || action !== "perform" || !key.includes(":1:")) return undefined;
    calls++;
    return vendor();
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await at[Symbol.asyncDispose]();
});

/** Paid, assigned, and the vendor has the call. */
async function firstAttemptWaits(): Promise<void> {
  await eventually("all steps but the vendor's", () => {
    const { charges, assignments } = at.standIn.ledger.snapshot().counts;
    return charges === 1 && assignments === 1 && calls === 1;
  });
}

describe("an attempt whose answer nobody had is made again for its key, and the first is compensated", () => {
  beforeEach(() => {
    vendor = () => ({ type: "answer", slowMs: FOR_EVER_MS });
  });

  async function expectRealAnswer(port: number): Promise<void> {
    const answer = await at.place(port);
    expect(answer).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(answer.headers["idempotent-replayed"]).toBeUndefined();
    const again = await at.place(port);
    expect(again).toMatchObject({ status: 200, text: answer.text });
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(await at.compensated(port)).toMatchObject([{ status: "error" }, { status: "ok" }]);
    await at.expectBalance(2);
  }

  test("its client timed out and asks again: a real answer, not 408 for 24 hours", async () => {
    await using running = await startService(at.settings);
    const client = new AbortController();
    const first = ended(postOrder(running.port, ORDER, { ...KEYED, signal: client.signal }));
    await firstAttemptWaits();
    client.abort();
    expect(await first).toBe("closed");
    await expectRealAnswer(running.port);
  });

  test("the process was stopped in the middle and started again, though the first answer was 408", async () => {
    const stopped = await startService(at.settings);
    const first = at.place(stopped.port);
    await firstAttemptWaits();
    await stopped.stop();
    expect(await first).toMatchObject({ status: 408, json: { error: { kind: "canceled" } } });
    await using running = await startService(at.settings);
    await expectRealAnswer(running.port);
  });

  test.skipIf(process.platform === "win32")("kill -9 ended the process in the middle", async () => {
    {
      await using server = new ChildServer(at.settings);
      const { port } = await server.ports();
      const first = ended(at.place(port));
      await firstAttemptWaits();
      server.signal("SIGKILL");
      expect(await first).toBe("closed");
      await server.exited;
    }
    await using running = await startService(at.settings);
    await expectRealAnswer(running.port);
  });
});

describe("an answer that cannot be stored, for another program holds the journal's lock", () => {
  /** Places the order three times, and has its steps end while the journal is locked. Gives what the clients had, and what unlocks. */
  async function placeAndLock(port: number, treatment: FaultMode): Promise<{ outcomes: unknown[]; unlock: () => void }> {
    const held = Promise.withResolvers<void>();
    vendor = () => ({ ...treatment, after: held.promise });
    const first = ended(at.place(port));
    await firstAttemptWaits();
    using raw = await RawConnection.open(port);
    const body = JSON.stringify(ORDER);
    await raw.write(`POST /order HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: third\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const joined = ended(postOrder(port, ORDER, OTHER_KEY));
    const lock = new DatabaseSync(at.settings.JOURNAL, { timeout: 5_000 });
    const keys = lock.prepare("SELECT count(*) AS count FROM idempotency_keys");
    await eventually("the others to join", () => keys.get()?.count === 3);
    lock.exec("BEGIN IMMEDIATE");
    held.resolve();
    const outcomes = await Promise.all([first, joined]);
    await eventually("the end of the connection", () => raw.closed);
    return { outcomes: [...outcomes, raw.received], unlock: () => lock.close() };
  }

  const afterwards = (port: number) =>
    eventually(
      "the journal to work",
      () => at.place(port),
      ({ status }) => status !== 500,
    );

  test("is sent to nobody who waits; the key gets the true answer once it is stored, and nothing is compensated", async () => {
    await using running = await startService(at.settings);
    const { outcomes, unlock } = await placeAndLock(running.port, { type: "answer" });
    expect(outcomes).toEqual(["closed", "closed", ""]);
    // Nobody knows anything else of it yet, and it is not run a second time.
    expect((await at.view(running.port)).status).toBe("running");
    expect(await at.place(running.port)).toMatchObject({ status: 500, json: { error: { kind: "internal" } } });
    unlock();
    const again = await afterwards(running.port);
    expect(again).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(await postOrder(running.port, ORDER, OTHER_KEY)).toMatchObject({ status: 200, text: again.text });
    expect(await postOrder(running.port, { ...ORDER, amount: 1 }, KEYED)).toMatchObject({ status: 422 });
    expect((await at.view(running.port)).attempts).toMatchObject([{ attempt: 1, status: "ok", compensations: [] }]);
    await at.expectBalance(1);
    expect(at.standIn.ledger.snapshot().entries).toHaveLength(STEPS.length);
    expect(running.service.orderService.inFlight).toBe(0);
  });

  test("of an order that failed holds no key: who asks again gets a new attempt, and the first is compensated once", async () => {
    await using running = await startService(at.settings);
    const { outcomes, unlock } = await placeAndLock(running.port, { type: "refuse" });
    expect(outcomes).toEqual(["closed", "closed", ""]);
    // Its rows are not durable, so no provider has been asked to take anything back.
    expect(at.standIn.ledger.snapshot().counts).toMatchObject({ refunds: 0, releases: 0 });
    unlock();
    const again = await afterwards(running.port);
    expect(again).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(again.headers["idempotent-replayed"]).toBeUndefined();
    // The true outcome, not that of the journal.
    expect(await at.compensated(running.port)).toMatchObject([
      { status: "error", error: { kind: "vendor_unavailable" } },
      { status: "ok" },
    ]);
    await at.expectBalance(2);
  });
});

test("while another program holds the journal's write lock each order is refused and logged by its ids, and readyz says so", async () => {
  const file = at.settings.JOURNAL;
  await using running = await startService({ JOURNAL: file });
  const ready = () => send(running.port, { path: "/readyz" });
  expect(await ready()).toMatchObject({ status: 200 });
  // The service may be writing just then.
  using other = new DatabaseSync(file, { timeout: 5_000 });
  other.exec("BEGIN IMMEDIATE");
  const ids = Array.from({ length: 20 }, () => newId("locked"));
  const answers = await Promise.all(
    ids.map((id) => postOrder(running.port, orderOf(id, 0), { headers: { "X-Request-Id": `request-${id}` } })),
  );
  for (const { status, json } of answers) expect([status, json.error.kind]).toEqual([500, "internal"]);
  const logged = () => running.logged.filter(({ msg }) => msg.startsWith("order refused: it could not be written down"));
  // Equal faults of one second are one line, which is the first one's, and their number.
  const refusals = () => logged().reduce((sum, { count }) => sum + Number(count ?? 1), 0);
  await eventually("each refusal to be counted", () => refusals() === ids.length);
  const lines = logged();
  expect(lines.length).toBeLessThan(ids.length);
  const [{ order_id: id, request_id: request, reason, err }] = lines as [(typeof lines)[number]];
  expect(ids).toContain(id);
  expect(request).toBe(`request-${id}`);
  expect(reason).toMatch(/^another process has it open/);
  expect(err).toBeUndefined();
  const { status, json } = await ready();
  expect([status, json.status]).toEqual([503, "journal_unavailable"]);
  other.exec("COMMIT");
  await eventually("ready again", async () => (await ready()).status === 200, Boolean, 20_000);
  expect(await postOrder(running.port, orderOf(ids[0] as string, 0))).toMatchObject({ status: 200 });
});

/** The journal refuses the outcome of one order until it is mended. */
function refuse(orderId: string): { count: () => number; mend: () => void } {
  const { finish } = Journal.prototype;
  let count = 0;
  let isMended = false;
  const mend = () => {
    isMended = true;
  };
  vi.spyOn(Journal.prototype, "finish").mockImplementation(async function (this: Journal, request) {
    if (request.orderId !== orderId || isMended) return finish.call(this, request);
    count++;
    throw new JournalUnavailable("the disk is full");
  });
  return { count: () => count, mend };
}

const requestOf = (orderId: string, ms: number): string => {
  const body = JSON.stringify(orderOf(orderId, ms));
  return `POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

test("an answer that cannot be stored closes its connection, after the answers before it and without a word of its own", async () => {
  await using running = await startService({ ORDER_TIMEOUT_MS: "60000" });
  const refused = refuse("lost");
  using connection = await RawConnection.open(running.port);
  using other = await RawConnection.open(running.port);
  await other.write(requestOf("other", 300));
  // Pipelined: one after the other.
  await connection.write(requestOf("first", 300) + requestOf("lost", 0) + requestOf("third", 60_000));
  const answers = await connection.answersToTheEnd();
  expect(answers.map(({ status, body }) => [status, JSON.parse(body).order_id])).toEqual([[200, "first"]]);
  expect(refused.count()).toBeGreaterThan(0);
  // The lost one counts until it is stored, and the third never began.
  await eventually("one order", () => running.service.orderService.inFlight === 1);
  await other.until(/"order_id":"other"/);
  expect(other.closed).toBe(false);
  expect((await send(running.port, { path: "/order/third" })).status).toBe(404);
  refused.mend();
  expect(await postOrder(running.port, orderOf("lost", 0))).toMatchObject({ status: 200, headers: { "idempotent-replayed": "true" } });
  expect(running.logged.filter(({ msg }) => msg.includes("gets no answer"))).toMatchObject([{ level: 50, order_id: "lost" }]);
});
