import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { seedOf } from "../support/seed.ts";
import { QueueRun } from "./queue-run.ts";

const RUNS = 40;
const ACTIONS = 120;
// The longest pause after a fault, between probes and before a look, and the longest wait of a row and of a hold here.
const ALL_TRIED_IN_MS = 10_000 + 10_000 + 10_000 + 5_000 + 5_000;

async function go(run: QueueRun): Promise<void> {
  for (const queue of run.queues) queue.start();
  for (let count = 0, outage = 0; count < ACTIONS; count++) {
    act(run);
    // Long enough for some probes.
    outage = run.failing === 1 ? outage + 1 : 0;
    if (outage > 20) run.failing = 0;
    for (let turns = run.below(5); turns > 0; turns--) await turn();
  }
  await everythingIsTriedAtLast(run);
  if (run.maxPerSecond === undefined) await everythingIsTriedInTime(run);
  checkPace(run);
  addSome(run);
  run.stopped = true;
  await Promise.all(run.queues.map((queue) => queue.stop()));
  run.pace?.close();
  run.health.close();
  const inFlight = run.queues.reduce((sum, queue) => sum + queue.inFlight, 0);
  run.expect(inFlight === 0 && run.rows.busy === 0 && run.clock.timers === 0, "a try, a look or a timer outlived the stop");
}

function act(run: QueueRun): void {
  const { clock, rows, marks } = run;
  const actions = [
    () => addSome(run),
    () => addSome(run),
    () => clock.advance(run.below(30)),
    () => clock.advance(run.below(3_000)),
    () => clock.advance(run.below(100_000)),
    () => clock.jump(run.below(20_000) - 10_000),
    () => (run.failing = run.chance(0.5) ? 0.3 : 0),
    () => (run.failing = 1),
    () => (run.how = run.chance(0.4) ? "answered" : run.chance(0.7) ? "silent" : "unconnected"),
    () => (run.faulty = run.chance(0.2) ? 0.1 : 0),
    () => (rows.unavailable = run.chance(0.3)),
    () => void run.callFromOutside(),
    () => run.health.slow(),
    () => (marks ? void run.orderFails().catch(() => {}) : pauseOrResume(run)),
    () => marks && actOnOne(run),
  ];
  actions[run.below(actions.length)]?.();
}

function addSome(run: QueueRun): void {
  const some = run.chance(0.1) ? 200 : 5;
  for (let count = run.below(some); count >= 0; count--) {
    run.rows.add(run.clock.nowMs() + (run.chance(0.5) ? 0 : run.below(5_000)), run.chance(0.5) ? 0 : run.below(4));
  }
  run.notify();
}

/** An operator has a row tried, or settles it. */
function actOnOne(run: QueueRun): void {
  const rows = run.rows.waiting();
  const row = rows[run.below(rows.length)];
  if (row === undefined) return;
  if (run.chance(0.5)) void run.tryNow(row);
  else run.rows.remove(row.id);
}

function pauseOrResume(run: QueueRun): void {
  run.paused = run.chance(0.3);
  for (const queue of run.queues) {
    if (run.paused) queue.pause();
    else queue.resume();
  }
}

/** All is well from now on. Time passes only when nothing else can happen: a wake-up that got lost shows as a timer that is not there. */
async function everythingIsTriedAtLast(run: QueueRun): Promise<void> {
  const { clock, rows } = run;
  run.failing = 0;
  run.faulty = 0;
  rows.unavailable = false;
  run.paused = false;
  for (const queue of run.queues) queue.resume();
  // Rows may be dated by a clock that was ahead.
  const allowedMs = ALL_TRIED_IN_MS + 10_000 * 20 + (rows.size * 1_000) / (run.maxPerSecond ?? Number.POSITIVE_INFINITY);
  const untilMs = clock.passedMs + allowedMs;
  while (rows.size > 0) {
    if (!(await passIdleTime(run))) return;
    run.expect(clock.passedMs <= untilMs, `${rows.size} rows still wait`);
    if (clock.passedMs > untilMs) return;
  }
  while (!run.isIdle) await turn();
}

/** Nothing is in the way: each row is tried when it is due, and as soon as the wall clock says so after a jump. */
async function everythingIsTriedInTime(run: QueueRun): Promise<void> {
  const { clock, rows } = run;
  // The rest of an outage.
  for (let count = 0; count < 10; count++) await passIdleTime(run, 1_000);
  run.lateMs.length = 0;
  for (let count = 0; count < 3; count++) rows.add(clock.nowMs() + run.below(5_000));
  run.notify();
  while (rows.size > 0) if (!(await passIdleTime(run))) return;
  // A look after a try takes the place of one that was to come a moment earlier.
  run.expect(Math.max(...run.lateMs) <= 50, `a row was tried ${Math.max(...run.lateMs)} ms late`);
  rows.add(clock.nowMs() + 3_600_000);
  run.notify();
  await passIdleTime(run, 1);
  const jumpedAtMs = clock.passedMs;
  clock.jump(3_600_000);
  while (rows.size > 0) if (!(await passIdleTime(run))) return;
  const tookMs = clock.passedMs - jumpedAtMs;
  run.expect(tookMs <= 10_000, `the jump of the clock was noticed after ${tookMs} ms`);
}

/** Until nothing happens without time passing, and then until the next timer, or for `ms`. False where there is no timer. */
async function passIdleTime(run: QueueRun, ms?: number): Promise<boolean> {
  for (let idle = 0; idle < 20; idle = run.isIdle ? idle + 1 : 0) await turn();
  if (run.rows.size === 0 && ms === undefined) return true;
  const waitMs = ms ?? run.clock.nextMs;
  run.expect(waitMs !== undefined, `${run.rows.size} rows wait and nothing will wake the queue`);
  if (waitMs !== undefined) run.clock.advance(waitMs);
  return waitMs !== undefined;
}

function checkPace(run: QueueRun): void {
  const { maxPerSecond, starts } = run;
  if (maxPerSecond === undefined) return;
  const burst = 1 + maxPerSecond / 50;
  for (const [first, fromMs] of starts.entries()) {
    // The fake clock stands still between its timers, so a refill may lie at the very edge of any window. What each queue is taking has its
    // tokens, and begins later.
    const within = starts.slice(first).filter((atMs) => atMs - fromMs <= 1_000).length;
    run.expect(within <= maxPerSecond + 4 * burst, `${within} tries in a second of ${maxPerSecond}`);
  }
}

test("whatever the endpoint, the journal, the clock, others and operators do: every row, none twice at once, none too early or too late", async () => {
  const seed = seedOf("SEED");
  console.log(`SEED=${seed}`);
  let tries = 0;
  let probes = 0;
  for (let index = 0; index < RUNS; index++) {
    const run = new QueueRun(seed + index);
    await go(run);
    tries += run.tries;
    probes += run.probes;
    expect(run.wrong, `SEED=${seed + index}`).toEqual([]);
  }
  expect(tries).toBeGreaterThan(1_000);
  expect(probes).toBeGreaterThan(20);
}, 120_000);
