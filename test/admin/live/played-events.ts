import type { Hello, SampledOrder, Tick } from "../../../src/admin/live/messages.ts";
import { perStep, STEPS, type StepName } from "../../../src/orders/steps.ts";

const TICK_MS = 250;
const TICKS = 40;
// The most that a message has.
const SHOWN = 40;
const ENDED = 1_000;

/** What `GET /events` sends in the n-th ten seconds of a service at full load, in which steps fail, run for long and threads are replaced. */
export function tenSecondsOf(n: number): string {
  const { hello, ticks } = playedTenSeconds(n);
  const messages = ticks.map((tick) => `event: tick\ndata: ${JSON.stringify(tick)}\n\n`);
  return `event: hello\ndata: ${JSON.stringify(hello)}\n\n${messages.join("")}`;
}

/** The same before it is written down. */
export function playedTenSeconds(n: number): { hello: Hello; ticks: Tick[] } {
  const startMs = n * TICKS * TICK_MS;
  const hello: Hello = {
    pid: 1,
    now: startMs,
    now_since_1970_ms: 1_700_000_000_000 + startMs,
    started_since_1970_ms: 1_700_000_000_000,
    every_ms: TICK_MS,
    simulated: true,
    steps: STEPS,
    refunding: ["payment"],
    limits: each(1_000),
  };
  return { hello, ticks: Array.from({ length: TICKS }, (_, at) => tickAt(n * TICKS + at + 1)) };
}

/** The n-th tick since the start, 1 first. */
function tickAt(n: number): Tick {
  const now = n * TICK_MS;
  // Another thread of the shared pool every ten seconds.
  const thread = 2 + Math.floor(n / 40);
  return {
    now,
    running: 300,
    started: n * 3 * ENDED,
    finished: n * 3 * ENDED,
    in_flight: 100,
    threads: [
      [1, "exclusive", 1, n, 5],
      [thread, "shared", 299, n * ENDED, 5],
    ],
    replaced_total: thread - 2,
    interrupted: 0,
    replaced: n % 40 === 0 ? [{ id: thread - 1, pool: "shared", reason: "killed", at: now }] : [],
    in_use: each(100),
    waiting: each(3),
    circuits: each(0),
    loop: { utilization: 0.9, delay_ms: 3 },
    commits: { count: 20, requests: 2 * ENDED, max_ms: 2 },
    receiver: "none",
    backlog: { compensations: each({ count: 0, oldest_s: 0 }), events: { count: 0, oldest_s: 0 }, dead_letters: 0, journal_bytes: 1e6 },
    long_steps: [[`long-${n >> 3}`, 1, 0, 1, now - 300 - (n % 8) * TICK_MS]],
    refused: { overloaded: 3 },
    ended: { ok: ENDED / 2, payment_declined: ENDED / 2 },
    orders: Array.from({ length: SHOWN }, (_, at) => orderAt(now, thread, `order-${n}-${at}`, at % 2 === 0)),
    left: ENDED - SHOWN,
    order_ms: { p50: 200, p99: 210 },
    cancel_ms: { p50: 0.2, p99: 1 },
  };
}

function orderAt(now: number, thread: number, id: string, fails: boolean): SampledOrder {
  const times = { id, attempt: 1, started: now - 200, stored: now };
  if (!fails) return { ...times, kind: "ok", steps: STEPS.map(() => ["ok", thread, now - 200, now - 10, null]) };
  return {
    ...times,
    kind: "payment_declined",
    canceled: ["sibling_failed", now - 100],
    steps: [
      ["failed", thread, now - 200, now - 100, null],
      ["canceled", thread, now - 200, now - 99, null],
      ["ok", 1, now - 200, now - 150, "done"],
    ],
  };
}

function each<Value>(value: Value): Record<StepName, Value> {
  return perStep(() => value);
}
