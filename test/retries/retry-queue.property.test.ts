import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { EndpointHealth } from "../../src/retries/endpoint-health.ts";
import { Pace } from "../../src/retries/pace.ts";
import { RetryQueue } from "../../src/retries/retry-queue.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeRows, type Row } from "./fake-rows.ts";

const MAX_IN_FLIGHT = 3;
const BUFFER = 64;
const ACTIONS = 120;

/** A run of a queue beside other writers of the journal, other callers of the endpoint and an operator. Notes whatever is wrong. */
class Run {
  readonly wrong: string[] = [];
  readonly clock = new FakeClock();
  readonly rows: FakeRows;
  readonly health: EndpointHealth;
  readonly queue: RetryQueue<Row>;
  readonly #random: () => number;
  readonly #maxPerSecond: number | undefined;
  readonly #pace: Pace | undefined;
  readonly #running = new Set<number>();
  readonly #forced = new Set<number>();
  readonly #starts: number[] = [];
  readonly #startMs = this.clock.nowMs();
  #paused = false;
  #stopped = false;
  /** Share of calls that fail. */
  #failing = 0;
  #outage = 0;
  #faulty = 0;
  tries = 0;
  probes = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.rows = new FakeRows(() => this.#below(4));
    const random = this.#random;
    const { clock } = this;
    this.#maxPerSecond = this.#chance(0.3) ? 20 + this.#below(200) : undefined;
    this.#pace = this.#maxPerSecond === undefined ? undefined : new Pace(this.#maxPerSecond, clock);
    this.health = new EndpointHealth({ maxInFlight: MAX_IN_FLIGHT, clock, random });
    this.queue = new RetryQueue<Row>({
      idOf: ({ id }) => id,
      due: (nowMs, limit) => this.#due(nowMs, limit),
      attempt: (row) => this.#attempt(row),
      health: this.health,
      maxInFlight: MAX_IN_FLIGHT,
      ...(this.#pace !== undefined && { pace: this.#pace }),
      clock,
      random,
    });
  }

  async go(): Promise<void> {
    this.queue.start();
    for (let count = 0; count < ACTIONS; count++) {
      this.#act();
      for (let turns = this.#below(5); turns > 0; turns--) await turn();
    }
    await this.#everythingIsTriedAtLast();
    this.#checkPace();
    this.#addSome();
    this.#stopped = true;
    await this.queue.stop();
    this.#pace?.close();
    this.health.close();
    this.#expect(this.queue.inFlight === 0 && this.#running.size === 0, "a try outlived the stop");
    this.#expect(this.rows.busy === 0, "a read outlived the stop");
    this.#expect(this.clock.timers === 0, "a timer outlived the stop");
  }

  #act(): void {
    const actions = [
      () => this.#addSome(),
      () => this.#addSome(),
      () => this.clock.advance(this.#below(30)),
      () => this.clock.advance(this.#below(3_000)),
      () => this.clock.advance(this.#below(100_000)),
      () => (this.#failing = this.#outage > 0 ? 1 : this.#chance(0.5) ? 0.3 : 0),
      () => (this.#outage = this.#failing = 1),
      () => (this.#faulty = this.#chance(0.2) ? 0.1 : 0),
      () => (this.rows.unavailable = this.#chance(0.3)),
      () => this.#tryNow(),
      () => this.#settleByHand(),
      () => void this.#callFromOutside(),
      () => this.#pauseOrResume(),
    ];
    actions[this.#below(actions.length)]?.();
    // Long enough for some probes.
    if (this.#outage > 0) this.#outage = ++this.#outage % 20;
  }

  #addSome(): void {
    const some = this.#chance(0.1) ? 200 : 5;
    for (let count = this.#below(some); count >= 0; count--) {
      this.rows.add(this.clock.nowMs() + (this.#chance(0.5) ? 0 : this.#below(5_000)));
    }
    this.queue.notify();
  }

  #tryNow(): void {
    const row = this.#anyRow();
    if (row === undefined) return;
    if (!this.#running.has(row.id)) this.#forced.add(row.id);
    void this.queue.attemptNow(row);
  }

  #settleByHand(): void {
    const row = this.#anyRow();
    if (row === undefined || this.#running.has(row.id)) return;
    this.rows.remove(row.id);
    this.queue.forget(row.id);
  }

  async #callFromOutside(): Promise<void> {
    const epoch = this.health.begin();
    for (let turns = this.#below(20); turns > 0; turns--) await turn();
    this.health.end(epoch, this.#outcome());
  }

  #pauseOrResume(): void {
    this.#paused = this.#chance(0.3);
    if (this.#paused) this.queue.pause();
    else this.queue.resume();
  }

  #due(nowMs: number, limit: number) {
    this.#expect(limit <= BUFFER + this.queue.inFlight + BUFFER + MAX_IN_FLIGHT, `a page of ${limit} was asked for`);
    this.#expect(!this.#paused && !this.health.paused, "something was read during a pause");
    this.#expect(!this.health.down || limit <= 1 + BUFFER + MAX_IN_FLIGHT, "more than a probe was read while the endpoint was down");
    return this.rows.due(nowMs, limit);
  }

  async #attempt({ id, tries }: Row): Promise<void> {
    const forced = this.#forced.delete(id);
    const row = this.rows.get(id);
    this.tries++;
    this.#expect(!this.#running.has(id), `row ${id} was tried twice at once`);
    this.#expect(row !== undefined, `row ${id} was tried after it was taken out`);
    this.#expect(!this.#stopped, "a try began after the stop");
    if (!forced) {
      this.#starts.push(this.clock.nowMs() - this.#startMs);
      this.#expect(row?.tries === tries && row.nextTryMs <= this.clock.nowMs(), `row ${id} was tried from a page that was out of date`);
      this.#expect(!this.#paused && this.health.mayStart, "a try began during a pause");
      this.#expect(this.#running.size < (this.health.down ? 1 : MAX_IN_FLIGHT), "too many tries at one time");
      if (this.health.down) this.probes++;
    }
    const epoch = this.health.begin();
    this.#running.add(id);
    for (let turns = this.#below(10); turns > 0; turns--) await turn();
    const outcome = this.#outcome();
    this.health.end(epoch, outcome);
    try {
      if (this.#chance(this.#faulty)) throw new Error("bug");
      await this.#write(() => (outcome === "ok" ? this.rows.done(id) : this.rows.failed(id, this.clock.nowMs() + this.#below(4_000))));
    } finally {
      this.#running.delete(id);
    }
  }

  /** As often as it takes, like a real try; a turn stands for the pause. */
  async #write(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write();
      } catch {
        await turn();
      }
    }
  }

  #outcome() {
    if (!this.#chance(this.#failing)) return "ok" as const;
    const overloaded = this.#chance(0.2);
    return { counts: true, overloaded, pauseMs: overloaded ? this.#below(5_000) : 0 };
  }

  /** All is well from now on. Time passes only when nothing else can happen: a wake-up that got lost shows as a timer that is not there. */
  async #everythingIsTriedAtLast(): Promise<void> {
    this.#failing = 0;
    this.#faulty = 0;
    this.rows.unavailable = false;
    this.#paused = false;
    this.queue.resume();
    for (let idle = 0; this.rows.size > 0; ) {
      await turn();
      idle = this.rows.busy > 0 || this.#running.size > 0 || this.health.inFlight > 0 ? 0 : idle + 1;
      if (idle < 20) continue;
      idle = 0;
      const waitMs = this.clock.nextMs;
      this.#expect(waitMs !== undefined, `${this.rows.size} rows wait and nothing will wake the queue`);
      if (waitMs === undefined) return;
      this.clock.advance(waitMs);
    }
  }

  #checkPace(): void {
    const rate = this.#maxPerSecond;
    if (rate === undefined) return;
    const burst = 1 + rate / 50;
    for (const [first, fromMs] of this.#starts.entries()) {
      // The fake clock stands still between its timers, so a refill may lie at the very edge of any window.
      const within = this.#starts.slice(first).filter((atMs) => atMs - fromMs <= 1_000).length;
      this.#expect(within <= rate + 2 * burst, `${within} tries in a second of ${rate}`);
    }
  }

  #anyRow(): Row | undefined {
    const rows = this.rows.all();
    return rows[this.#below(rows.length)];
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #expect(holds: boolean, otherwise: string): void {
    if (!holds) this.wrong.push(otherwise);
  }
}

test("whatever the endpoint, the journal, others and operators do: every row, none twice at once, none too early or too late", async () => {
  let tries = 0;
  let probes = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const run = new Run(seed);
      await run.go();
      tries += run.tries;
      probes += run.probes;
      expect(run.wrong).toEqual([]);
    }),
    { numRuns: 60, endOnFailure: true },
  );
  expect(tries).toBeGreaterThan(1_000);
  expect(probes).toBeGreaterThan(20);
}, 120_000);
