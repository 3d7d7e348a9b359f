import { setImmediate as turn } from "node:timers/promises";
import { type CallEnd, type CallFailure, EndpointHealth, type Lane } from "../../src/resilience/endpoint-health.ts";
import { Pace } from "../../src/resilience/pace.ts";
import { RetryQueue, type RetryQueueOptions } from "../../src/resilience/retry-queue.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeRows, type Row } from "./fake-rows.ts";

/** A row that failed says nothing of the endpoint unless it is its first try. */
export const FAILED = { again: false, how: "answered", overloaded: false, retryAfterMs: 0 } satisfies CallFailure;

export interface QueueFixtureOptions extends Partial<RetryQueueOptions<Row>> {
  readonly max?: number;
  readonly kind?: "first" | "again";
  readonly maxPerSecond?: number;
}

/** A queue over rows in memory that are marked when they are taken; tries succeed at once unless a test says otherwise. */
export class QueueFixture {
  readonly clock = new FakeClock();
  readonly rows = new FakeRows({ marks: true });
  readonly health: EndpointHealth;
  readonly lane: Lane;
  readonly queue: RetryQueue<Row>;
  readonly pace: Pace | undefined;
  readonly tried: number[] = [];
  readonly faults: string[] = [];
  /** Tries at one time, each until its outcome is stored; calls at one time, those of others included. */
  mostInFlight = 0;
  mostCalls = 0;
  running = 0;
  looks = 0;
  /** What the endpoint makes of a call. */
  call: (row: Row) => Promise<CallEnd> | CallEnd = () => "ok";
  /** How long a row that failed is put off. While the endpoint is down its probes have a pause of their own. */
  pauseMs: () => number = () => (this.health.down ? 0 : 1_000);

  constructor({ max = 4, kind = "again", maxPerSecond, ...options }: QueueFixtureOptions = {}) {
    if (maxPerSecond !== undefined) this.pace = new Pace(maxPerSecond, this.clock);
    this.health = new EndpointHealth({ maxInFlight: max, clock: this.clock, random: () => 1 });
    this.lane = this.health.lane(max, kind);
    this.queue = new RetryQueue<Row>({
      idOf: ({ id }) => id,
      take: (request) => this.rows.take(request),
      tryOnce: (row) => this.#try(row),
      lane: this.lane,
      clock: this.clock,
      onFault: (message) => this.faults.push(message),
      random: () => 1,
      ...(this.pace !== undefined && { pace: this.pace }),
      ...options,
    });
  }

  /** A `take` of these rows: the answer to the look of that number comes once the gate is open. Counts in `looks`. */
  holdingLook(held: number, { passed }: { readonly passed: Promise<unknown> }): RetryQueueOptions<Row>["take"] {
    return async (request) => {
      const page = await this.rows.take(request);
      if (++this.looks === held) await passed;
      return page;
    };
  }

  add(count: number, inMs = 0, tries = 0): Row[] {
    return Array.from({ length: count }, () => this.rows.add(this.clock.nowMs() + inMs, tries));
  }

  /** Takes the endpoint down, or makes it silent, by calls of others. */
  takeDown(how: "answered" | "silent" = "answered"): void {
    for (let count = 0; count < 5; count++) this.health.end(this.health.begin(), { ...FAILED, how });
  }

  /** Lets everything happen that happens without time passing. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 10; idle = this.rows.busy === 0 ? idle + 1 : 0) await turn();
  }

  /** Lets time pass, then everything happen that is due by then. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  /** Holds the calls that begin from now on until the gate is open; then they go well. */
  holdCalls(): ReturnType<typeof newGate> {
    const gate = newGate();
    this.call = () => gate.passed.then(() => "ok");
    return gate;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await turn();
  }

  /** Nothing runs, waits for a timer or reads any more. */
  async stop(): Promise<readonly [inFlight: number, busy: number, timers: number]> {
    await this.queue.stop();
    this.health.close();
    this.pace?.close();
    return [this.queue.inFlight, this.rows.busy, this.clock.timers];
  }

  async #try(row: Row): Promise<void> {
    this.tried.push(row.id);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.running);
    const call = this.lane.begin();
    this.mostCalls = Math.max(this.mostCalls, this.health.inFlight);
    let end: CallEnd;
    try {
      try {
        end = await this.call(row);
      } finally {
        this.lane.end(call, end);
      }
      if (end === "ok") await this.rows.done(row.id);
      else await this.rows.failed(row.id, this.clock.nowMs() + this.pauseMs());
    } finally {
      this.running--;
    }
  }
}

/** A gate that many can wait at. */
export function newGate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}
