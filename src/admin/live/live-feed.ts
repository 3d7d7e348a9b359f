import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Response } from "express";
import type { LongSteps } from "../../diagnosis/long-steps.ts";
import type { OnFault } from "../../orders/faults.ts";
import type { Backlog, WaitingCount } from "../../orders/operator-journal.ts";
import { JournalUnavailable } from "../../orders/order-journal.ts";
import { perStep, STEP_TABLE, STEPS, type StepName } from "../../orders/steps.ts";
import { type Capacity, monotonicMs } from "../../threads/index.ts";
import { CIRCUIT_STATES } from "../metrics/present-families.ts";
import type { MetricSources } from "../metrics.ts";
import { total } from "../thread-routes.ts";
import { ageSeconds } from "../times.ts";
import { EventStream } from "./event-stream.ts";
import type { LiveEvents } from "./live-events.ts";
import type { Hello, LiveBacklog, LongRunning, Tick } from "./messages.ts";

/** What the page shows besides `LiveEvents`. `backlog` rejects while the journal cannot be read. */
export interface LiveSources extends Pick<MetricSources, "threads" | "orderService" | "circuitState" | "backlog" | "webhooks"> {
  /** Marked at a steady rate while a page is open, forgotten when the last one closes. */
  readonly longSteps: Pick<LongSteps, "mark" | "sample" | "forget">;
  readonly capacities: Readonly<Record<StepName, Pick<Capacity, "limit" | "inUse" | "waiting">>>;
  /** Whether the providers are simulated, so that trouble can be made. */
  readonly simulated: boolean;
  /** The name of the node; absent where the journal is of one process. */
  readonly node?: string;
  /** The port of the public listener. */
  readonly apiPort?: number;
  readonly onFault: OnFault;
}

// Four messages per second look alive, and are little to write and to draw whatever the load is.
const TICK_MS = 250;
// The start of a step that still runs is known to this precision, which is five pixels of a wide page.
const MARK_MS = 50;
// Counting a long backlog is work for the journal, so it is done once a second.
const BACKLOG_EVERY_TICKS = 4;
const LOOP_RESOLUTION_MS = 10;

/** Reports to every open page what happens. An open page costs a counter an order. */
export class LiveFeed {
  readonly #events: LiveEvents;
  readonly #sources: LiveSources;
  readonly #stream = new EventStream((isWatched) => (isWatched ? this.#begin() : this.#pause()));
  #timer: NodeJS.Timeout | undefined;
  #loopDelay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  #loopUse = performance.eventLoopUtilization();
  #backlog: Backlog | undefined;
  #marks = 0;
  #ticks = 0;

  constructor(events: LiveEvents, sources: LiveSources) {
    this.#events = events;
    this.#sources = sources;
  }

  /** Open pages. */
  get pages(): number {
    return this.#stream.pages;
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
      ...(apiPort !== undefined && { api_port: apiPort }),
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
    this.#events.begin();
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
    this.#events.end();
  }

  #tick(): void {
    if (this.#ticks++ % BACKLOG_EVERY_TICKS === 0) void this.#readBacklog();
    const { threads, orderService, capacities, circuitState, webhooks } = this.#sources;
    const use = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(use, this.#loopUse);
    this.#loopUse = use;
    const { running, started, finished, replaced, threads: views } = threads.statistics();
    this.#stream.send("tick", {
      now: monotonicMs(),
      running,
      started,
      finished,
      in_flight: orderService.inFlight,
      threads: views.map(({ id, pool, running: steps, started: ever, heartbeatAgeMs }) => [id, pool, steps, ever, heartbeatAgeMs]),
      replaced_total: total(replaced),
      in_use: perStep((step) => capacities[step].inUse),
      waiting: perStep((step) => capacities[step].waiting),
      circuits: perStep((step) => CIRCUIT_STATES.indexOf(circuitState(step))),
      loop: { utilization: Math.round(utilization * 1_000) / 1_000, delay_ms: this.#loopDelayMs() },
      receiver: webhooks?.state().receiver ?? "none",
      backlog: this.#backlog === undefined ? null : shown(this.#backlog),
      long_steps: this.#longSteps(),
      ...this.#events.take(),
    } satisfies Tick);
    this.#loopDelay?.reset();
  }

  #longSteps(): LongRunning[] {
    const reported: LongRunning[] = [];
    for (const { name, action, orderId, attempt, threadId, sinceMs } of this.#sources.longSteps.sample()) {
      const step = (STEPS as readonly string[]).indexOf(name);
      if (step < 0 || action === "compensate") continue;
      // A page that drew the step while it ran also draws how it ended.
      this.#events.expect(orderId);
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
  const waiting = ({ count, sinceMs }: WaitingCount) => ({ count, oldest_s: sinceMs === undefined ? 0 : ageSeconds(sinceMs) });
  return {
    compensations: perStep((step) => waiting(compensations[step])),
    events: waiting(events),
    dead_letters: deadLetters,
    journal_bytes: bytes,
  };
}
