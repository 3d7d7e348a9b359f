import { statfsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { type MetricSources, Metrics, recentBacklog } from "../../src/admin/metrics.ts";
import type { Backlog } from "../../src/orders/operator-journal.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { perStep, type StepName } from "../../src/orders/steps.ts";
import type { CircuitState } from "../../src/resilience/circuit-breaker.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder } from "../support/http-client.ts";
import { disposable, eventsDue, fail, type OnFile, Receiver, startOnFile } from "./fixture.ts";
import { QUIET } from "./quiet-sources.ts";

const NOTHING = { count: 0 };
const BACKLOG: Backlog = {
  compensations: perStep(() => NOTHING),
  events: NOTHING,
  deadLetters: 0,
  bytes: 4096,
  freeBytes: 8192,
};
const OF_THE_JOURNAL = [
  "compensations_pending",
  "compensation_oldest_seconds",
  "events_pending",
  "event_oldest_seconds",
  "dead_letters",
  "journal_bytes",
  "journal_free_bytes",
];

/** The samples of an exposition by their name with labels. */
function samplesIn(exposition: string): Map<string, number> {
  const lines = exposition.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

const scrape = async (server: OnFile) => samplesIn((await server.get("/metrics")).text);

describe("GET /metrics", () => {
  test("says what has happened and what is stuck, under the names of the contract", async () => {
    let compensationCalls = 0;
    await using standIn = disposable(
      await startStandIn({
        rates: { compensate: { refuse: 1 } },
        faultModeOf({ action }) {
          if (action === "compensate") compensationCalls++;
          return undefined;
        },
      }),
    );
    await using receiver = await Receiver.start();
    receiver.status = 410;
    await using server = await startOnFile({ PAYMENT_URL: standIn.url, WEBHOOK_URL: receiver.url, ORDER_TIMEOUT_MS: "60000" });
    const { journal } = server.running.service;
    const pastMs = Date.now() - 600_000;
    await fail(journal, newId("charged"), ["payment"], pastMs);
    await fail(journal, newId("charged"), ["payment", "courier"]);
    // Only what comes through the service wakes the delivery of events.
    await postOrder(server.running.port, { order_id: newId("placed"), amount: 1 });
    const [payment] = (await server.get("/compensations")).json.compensations;
    await server.post(`/compensations/${payment.id}/retry`);
    await eventually("the receiver to be disabled", async () => (await server.get("/webhooks")).json.receiver === "disabled");
    for (const { seq } of await eventsDue(journal, Date.now(), 1)) await journal.giveUpEvent(seq, "HTTP 500", Date.now());
    const hangUp = new AbortController();
    standIn.setFaultRates({ slow: 1, slowMs: [60_000, 60_000] });
    const running = postOrder(server.running.port, { order_id: newId("running"), amount: 1 }, { signal: hangUp.signal });

    const samples = await eventually(
      "an order that runs, and counts that are not of a second ago",
      () => scrape(server),
      (found) => found.get("orders_in_flight") === 1 && found.get("dead_letters") === 1,
    );
    const { pending } = (await server.get("/webhooks")).json;
    const expected: Record<string, unknown> = {
      'compensations_pending{step="payment"}': 2,
      'compensations_pending{step="vendor"}': 0,
      'compensations_pending{step="courier"}': 1,
      'compensation_oldest_seconds{step="vendor"}': 0,
      events_pending: pending,
      dead_letters: 1,
      webhook_receiver_up: 0,
      orders_in_flight: 1,
      'circuit_state{step="payment"}': 0,
      'circuit_state{step="vendor"}': 0,
      'circuit_state{step="courier"}': 0,
      'compensations_total{step="payment",status="done"}': 0,
      'compensations_total{step="courier",status="failed"}': 0,
    };
    for (const [name, value] of Object.entries(expected)) expect([name, samples.get(name)]).toEqual([name, value]);
    // What an operator has tried is soon due again.
    const failed = samples.get('compensations_total{step="payment",status="failed"}');
    expect(failed).toBeGreaterThanOrEqual(1);
    expect(failed).toBeLessThanOrEqual(compensationCalls);
    expect(samples.get('compensation_oldest_seconds{step="payment"}')).toBeGreaterThanOrEqual(600);
    expect(samples.get('compensation_oldest_seconds{step="courier"}')).toBeLessThan(600);
    expect(samples.get("event_oldest_seconds")).toBeGreaterThan(0);
    expect(samples.get("journal_bytes")).toBeGreaterThan(4096);
    const { bavail, bsize } = statfsSync(server.directory);
    expect((samples.get("journal_free_bytes") ?? 0) / (bavail * bsize)).toBeCloseTo(1, 1);
    expect(samples.get("journal_commit_seconds_count")).toBeGreaterThan(5);
    expect(samples.get("journal_commit_seconds_sum")).toBeGreaterThan(0);
    expect(samples.get('journal_commit_seconds_bucket{le="+Inf"}')).toBe(samples.get("journal_commit_seconds_count"));
    // Node's own.
    for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_heap_size_used_bytes"]) {
      expect([name, samples.has(name)]).toEqual([name, true]);
    }
    hangUp.abort();
    await expect(running).rejects.toThrow();
  });

  test("is text as Prometheus reads it: each series once, with help and type", async () => {
    await using server = await startOnFile();
    await server.get("/metrics");
    const { status, headers, text } = await server.get("/metrics");
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(headers["x-request-id"]).toMatch(/^[\da-f]{32}$/);
    const names = text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.slice(0, line.lastIndexOf(" ")));
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) {
      const family = name.replace(/\{.*/, "").replace(/_(bucket|sum|count)$/, "");
      expect([name, new RegExp(`^# TYPE ${family}(_count|_sum)? \\w+$`, "m").test(text)]).toEqual([name, true]);
    }
    expect(samplesIn(text).has("webhook_receiver_up")).toBe(false);
    expect((await server.post("/metrics")).headers.allow).toBe("GET, HEAD");
  });

  test("two services of one process count apart", async () => {
    await using one = await startOnFile();
    await using other = await startOnFile();
    for (let n = 0; n < 3; n++) await postOrder(one.running.port, orderOf(newId("placed"), 0));
    const commitsOf = async (server: OnFile) => (await scrape(server)).get("journal_commit_seconds_count") ?? 0;
    expect(await commitsOf(one)).toBeGreaterThanOrEqual(6);
    expect(await commitsOf(other)).toBeLessThan(3);
  });
});

describe("metrics while the journal cannot be read", () => {
  test("come without the series that it is asked for, and with them again afterwards", { tags: ["three-steps"] }, async () => {
    const metrics = new Metrics();
    metrics.committed(3);
    let backlog = async () => BACKLOG;
    const sources: MetricSources = {
      ...QUIET,
      backlog: () => backlog(),
      orderService: { inFlight: 7 },
      circuitState: (step) =>
        (({ payment: "closed", vendor: "half_open", courier: "open" }) as Partial<Record<StepName, CircuitState>>)[step] ?? "closed",
      webhooks: { state: () => ({ receiver: "up", inFlight: 0 }) },
    };
    const text = async () => samplesIn((await metrics.scrape(sources)).text);
    const ofJournal = (samples: ReadonlyMap<string, number>) =>
      [...samples.keys()].filter((name) => OF_THE_JOURNAL.includes(name.replace(/\{.*/, "")));
    expect(ofJournal(await text())).toHaveLength(11);

    backlog = () => Promise.reject(new JournalUnavailable("the disk reports an error"));
    const without = await text();
    expect(ofJournal(without)).toEqual([]);
    expect(["payment", "vendor", "courier"].map((step) => without.get(`circuit_state{step="${step}"}`))).toEqual([0, 1, 2]);
    expect([without.get("orders_in_flight"), without.get("webhook_receiver_up"), without.get("journal_commit_seconds_count")]).toEqual([
      7, 1, 1,
    ]);

    backlog = async () => ({ ...BACKLOG, deadLetters: 3 });
    const again = await text();
    expect([ofJournal(again).length, again.get("dead_letters"), again.get("journal_bytes"), again.get("journal_free_bytes")]).toEqual([
      11, 3, 4096, 8192,
    ]);
  });

  test("a bug is not taken for that", async () => {
    const backlog = () => Promise.reject(new TypeError("bug"));
    await expect(new Metrics().scrape({ ...QUIET, backlog })).rejects.toThrow("bug");
  });
});

test("refusals are counted by reason: those of admission by its own, the others by their kind", async () => {
  const metrics = new Metrics();
  for (const kind of Array<"overloaded">(9).fill("overloaded")) metrics.orders.refused(kind);
  metrics.orders.refused("rate_limited");
  metrics.orders.refused("order_conflict");
  const admission = { limit: 17, refused: { deadline: 4, limit: 2, max_in_flight: 1 } };
  const sources = { ...QUIET, admission, backlog: async () => BACKLOG };
  const samples = samplesIn((await metrics.scrape(sources)).text);
  const reasons = { deadline: 4, limit: 2, max_in_flight: 1, unavailable: 2, rate_limited: 1, shutting_down: 0 };
  for (const [reason, count] of Object.entries(reasons))
    expect([reason, samples.get(`orders_refused_total{reason="${reason}"}`)]).toEqual([reason, count]);
  expect(samples.get("admission_limit")).toBe(17);
});

test("what waits is counted at most once a second, however often it is asked for", async () => {
  let reads = 0;
  let nowMs = 5_000;
  const recent = recentBacklog({ backlog: async () => ({ ...BACKLOG, deadLetters: ++reads }) }, () => nowMs);
  const asked = await Promise.all(Array.from({ length: 100 }, () => recent()));
  expect(new Set(asked.map(({ deadLetters }) => deadLetters))).toEqual(new Set([1]));
  nowMs += 999;
  expect((await recent()).deadLetters).toBe(1);
  nowMs += 1;
  expect((await recent()).deadLetters).toBe(2);
});
