import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Response } from "express";
import type { LongSteps } from "../../diagnosis/long-steps.ts";
import type { EndedOrder } from "../../orders/ended-order.ts";
import type { ErrorKind } from "../../orders/error-kind.ts";
import type { OnFault } from "../../orders/faults.ts";
import type { Backlog } from "../../orders/operator-journal.ts";
import { JournalUnavailable } from "../../orders/order-journal.ts";
import { perStep, STEP_TABLE, STEPS, type StepName } from "../../orders/steps.ts";
import { type Capacity, monotonicMs } from "../../threads/index.ts";
import { CIRCUIT_STATES } from "../metrics/pressure-metrics.ts";
import type { MetricSources } from "../metrics.ts";
import type { ThreadCounters } from "../thread-routes.ts";
import { EventStream } from "./event-stream.ts";
import type { Hello, LiveBacklog, LongRunning, ReplacedThread, Tick } from "./messages.ts";
import { OrderSample } from "./order-sample.ts";

/** What the page shows besides the orders that have ended. */
export interface LiveSources {
  readonly counters: ThreadCounters;
  /** Marked at a steady rate while a page is open, forgotten when the last one closes. */
  readonly longSteps: Pick<LongSteps, "mark" | "sample" | "forget">;
  readonly capacities: Readonly<Record<StepName, Pick<Capacity, "limit" | "inUse" | "waiting">>>;
  readonly circuitState: MetricSources["circuitState"];
  /** Rejects while the journal cannot be read. */
  readonly backlog: () => Promise<Backlog>;
  /** Of events: `none`, `up`, `down` or `disabled`. */
  readonly receiver: () => string;
  /** Whether the providers are simulated, so that trouble can be made. */
  readonly simulated: boolean;
  /** The name of the node; absent where the journal is of one process. */
  readonly node?: string;
  /** The port of the public listener. */
  readonly apiPort?: () => number;
  readonly onFault: OnFault;
}

// Four messages a second look alive, and are little to write and to draw whatever the load is.
const TICK_MS = 250;
// The start of a step that still runs is known to this precision, which is five pixels of a wide page.
const MARK_MS = 50;
// Counting a long backlog is work for the journal, so it is done once a second.
const BACKLOG_EVERY_TICKS = 4;
const LOOP_RESOLUTION_MS = 10;

/** Reports to every open page what happens. An open page costs a counter an order; without one nothing is counted. Main thread only. */
export class LiveFeed {
  readonly #sources: LiveSources;
  readonly #stream = new EventStream((isWatched) => (isWatched ? this.#begin() : this.#pause()));
  #sample: OrderSample | undefined;
  #timer: NodeJS.Timeout | undefined;
  #loopDelay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  #loopUse = performance.eventLoopUtilization();
  #commits = { count: 0, requests: 0, max_ms: 0 };
  #refused: Partial<Record<ErrorKind, number>> = {};
  #interrupted = 0;
  #replaced: ReplacedThread[] = [];
  #backlog: Backlog | undefined;
  #marks = 0;
  #ticks = 0;

  constructor(sources: LiveSources) {
    this.#sources = sources;
  }

  /** Open pages. */
  get pages(): number {
    return this.#stream.pages;
  }

  orderEnded(order: EndedOrder): void {
    this.#sample?.add(order);
  }

  /** An order was refused before any of its steps began. */
  orderRefused(kind: ErrorKind): void {
    if (this.#sample !== undefined) this.#refused[kind] = (this.#refused[kind] ?? 0) + 1;
  }

  /** The start has closed so many orders that the last process left open. */
  recovered(interrupted: number): void {
    this.#interrupted = interrupted;
  }

  /** The journal has made so many requests durable. */
  committed(requests: number, milliseconds: number): void {
    if (this.#sample === undefined) return;
    this.#commits.count++;
    this.#commits.requests += requests;
    this.#commits.max_ms = Math.max(this.#commits.max_ms, Math.round(milliseconds * 100) / 100);
  }

  threadReplaced(pool: string, id: number, reason: string): void {
    if (this.#sample !== undefined) this.#replaced.push({ id, pool, reason, at: monotonicMs() });
  }

  /** Makes a response a stream of events. Returns false when there are too many, or after `close`. */
  open(response: Response): boolean {
    const { simulated, capacities, node, apiPort } = this.#sources;
    return this.#stream.add(response, "hello", {
      pid: process.pid,
      ...(node !== undefined && { node }),
      now: monotonicMs(),
      now_since_1970_ms: Date.now(),
      started_since_1970_ms: Math.round(performance.timeOrigin),
      ...(apiPort !== undefined && { api_port: apiPort() }),
      every_ms: TICK_MS,
      simulated,
      steps: STEPS,
      refunding: STEPS.filter((step) => STEP_TABLE[step].compensate.hasAmount),
      limits: perStep((step) => capacities[step].limit),
    } satisfies Hello);
  }

  /** Ends every stream. */
  close(): void {
    this.#stream.close();
    this.#pause();
  }

  #begin(): void {
    this.#sample = new OrderSample();
    this.#loopUse = performance.eventLoopUtilization();
    this.#loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
    this.#loopDelay.enable();
    // The first tick says already what is stuck, so the page need not move its panels afterwards.
    this.#ticks = 1;
    void this.#readBacklog();
    this.#timer = setInterval(() => {
      this.#sources.longSteps.mark();
      if (++this.#marks % (TICK_MS / MARK_MS) === 0) this.#tick();
    }, MARK_MS);
  }

  #pause(): void {
    clearInterval(this.#timer);
    this.#loopDelay?.disable();
    this.#sources.longSteps.forget();
    this.#sample = undefined;
    this.#refused = {};
    this.#replaced = [];
    this.#commits = { count: 0, requests: 0, max_ms: 0 };
  }

  #tick(): void {
    if (this.#sample === undefined) return;
    if (this.#ticks++ % BACKLOG_EVERY_TICKS === 0) void this.#readBacklog();
    const { counters, capacities, circuitState, receiver } = this.#sources;
    const use = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(use, this.#loopUse);
    this.#loopUse = use;
    const { running, started, finished } = counters.totals();
    this.#stream.send("tick", {
      now: monotonicMs(),
      running,
      started,
      finished,
      in_flight: counters.ordersInFlight(),
      threads: counters
        .threads()
        .map(({ id, pool, running: steps, started: ever, heartbeatAgeMs }) => [id, pool, steps, ever, heartbeatAgeMs]),
      replaced_total: [...counters.replaced().values()].reduce((sum, count) => sum + count, 0),
      interrupted: this.#interrupted,
      replaced: this.#replaced,
      in_use: perStep((step) => capacities[step].inUse),
      waiting: perStep((step) => capacities[step].waiting),
      circuits: perStep((step) => CIRCUIT_STATES.indexOf(circuitState(step))),
      loop: { utilization: Math.round(utilization * 1_000) / 1_000, delay_ms: this.#loopDelayMs() },
      commits: this.#commits,
      receiver: receiver(),
      backlog: this.#backlog === undefined ? null : shown(this.#backlog),
      long_steps: this.#longSteps(this.#sample),
      refused: this.#refused,
      ...this.#sample.take(),
    } satisfies Tick);
    this.#loopDelay?.reset();
    this.#refused = {};
    this.#replaced = [];
    this.#commits = { count: 0, requests: 0, max_ms: 0 };
  }

  #longSteps(sample: OrderSample): LongRunning[] {
    const reported: LongRunning[] = [];
    for (const { name, action, orderId, attempt, threadId, sinceMs } of this.#sources.longSteps.sample()) {
      const step = (STEPS as readonly string[]).indexOf(name);
      if (step < 0 || action === "compensate") continue;
      // A page that drew the step while it ran also draws how it ended.
      sample.expect(orderId);
      reported.push([orderId, attempt, step, threadId, Math.round(sinceMs)]);
    }
    return reported;
  }

  /** The monitor records how long its timer took each time; the delay is what exceeds the timer's own length. */
  #loopDelayMs(): number {
    const longestMs = (this.#loopDelay?.max ?? 0) / 1e6;
    return Math.max(0, Math.round((longestMs - LOOP_RESOLUTION_MS) * 100) / 100);
  }

  async #readBacklog(): Promise<void> {
    try {
      this.#backlog = await this.#sources.backlog();
    } catch (error) {
      this.#backlog = undefined;
      if (!(error instanceof JournalUnavailable)) this.#sources.onFault("the backlog could not be read", error);
    }
  }
}

function shown({ compensations, events, deadLetters, bytes }: Backlog): LiveBacklog {
  const nowMs = Date.now();
  const waiting = ({ count, sinceMs }: { count: number; sinceMs?: number }) => ({
    count,
    oldest_s: sinceMs === undefined ? 0 : Math.max(0, Math.round((nowMs - sinceMs) / 1_000)),
  });
  return {
    compensations: perStep((step) => waiting(compensations[step])),
    events: waiting(events),
    dead_letters: deadLetters,
    journal_bytes: bytes,
  };
}
