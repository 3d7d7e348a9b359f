import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Backlog, Waiting } from "../orders/operator-journal.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { STEPS, type StepName } from "../orders/step.ts";
import type { WebhookControl } from "./webhook-routes.ts";

/** What is asked when metrics are read. */
export interface MetricSources {
  readonly backlog: () => Promise<Backlog>;
  readonly ordersInFlight: () => number;
  /** 0 closed, 1 half-open, 2 open. */
  readonly circuits: () => Readonly<Record<StepName, number>>;
  /** Absent where no receiver is configured. */
  readonly webhooks?: Pick<WebhookControl, "state">;
}

// From a quick disk to one that makes every order late.
const COMMIT_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];
const TRY_STATUSES = ["done", "failed"] as const;

/** The metrics of one service, under the names of the contract. Main thread only. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #compensationsPending: Gauge<"step">;
  readonly #compensationOldest: Gauge<"step">;
  readonly #compensationsTried: Counter<"step" | "status">;
  readonly #eventsPending: Gauge;
  readonly #eventOldest: Gauge;
  readonly #deadLetters: Gauge;
  readonly #journalBytes: Gauge;
  readonly #receiverUp: Gauge;
  readonly #ordersInFlight: Gauge;
  readonly #circuitState: Gauge<"step">;
  readonly #commitSeconds: Histogram;

  constructor() {
    const registers = [this.#registry];
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    const stepGauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ["step"], registers });
    this.#ordersInFlight = gauge("orders_in_flight", "Orders that run, and requests that wait for the answer of one.");
    this.#circuitState = stepGauge("circuit_state", "The provider's circuit breaker: 0 closed, 1 half-open, 2 open.");
    this.#compensationsPending = stepGauge("compensations_pending", "Steps of failed orders that are not undone yet.");
    this.#compensationOldest = stepGauge("compensation_oldest_seconds", "How long the oldest of them has waited; 0 where none waits.");
    this.#compensationsTried = new Counter({
      name: "compensations_total",
      help: "Tries of a compensation that have ended, by what came of them.",
      labelNames: ["step", "status"],
      registers,
    });
    this.#eventsPending = gauge("events_pending", "Order events that are not delivered yet.");
    this.#eventOldest = gauge("event_oldest_seconds", "How long the oldest of them has waited; 0 where none waits.");
    this.#deadLetters = gauge("dead_letters", "Order events that were given up.");
    this.#receiverUp = gauge("webhook_receiver_up", "1 while the webhook receiver takes events, 0 while it is down or has said 410.");
    this.#journalBytes = gauge("journal_bytes", "Size of the journal and its log.");
    this.#commitSeconds = new Histogram({
      name: "journal_commit_seconds",
      help: "How long a commit of the journal took until it was durable.",
      buckets: COMMIT_SECONDS,
      registers,
    });
    // A rate of something that has not happened yet is 0, not nothing.
    for (const step of STEPS) for (const status of TRY_STATUSES) this.#compensationsTried.inc({ step, status }, 0);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  committed(milliseconds: number): void {
    this.#commitSeconds.observe(milliseconds / 1_000);
  }

  compensationTried(step: StepName, done: boolean): void {
    this.#compensationsTried.inc({ step, status: done ? "done" : "failed" });
  }

  /**
   * The exposition format. While the journal cannot be read the series that come from it are left out, for a stale or invented number
   * would hide that from whoever looks at it.
   */
  async text({ backlog, ordersInFlight, circuits, webhooks }: MetricSources): Promise<string> {
    this.#ordersInFlight.set(ordersInFlight());
    const states = circuits();
    for (const step of STEPS) this.#circuitState.set({ step }, states[step]);
    if (webhooks !== undefined) this.#receiverUp.set(webhooks.state().receiver === "up" ? 1 : 0);
    else this.#receiverUp.remove();
    this.#showBacklog(await orUnavailable(backlog));
    return (await this.#registry.metrics()) + (await processMetrics().metrics());
  }

  #showBacklog(backlog: Backlog | undefined): void {
    const nowMs = Date.now();
    for (const step of STEPS) {
      show(this.#compensationsPending, backlog?.compensations[step].count, { step });
      show(this.#compensationOldest, oldestSeconds(backlog?.compensations[step], nowMs), { step });
    }
    show(this.#eventsPending, backlog?.events.count);
    show(this.#eventOldest, oldestSeconds(backlog?.events, nowMs));
    show(this.#deadLetters, backlog?.deadLetters);
    show(this.#journalBytes, backlog?.bytes);
  }
}

async function orUnavailable(read: () => Promise<Backlog>): Promise<Backlog | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof JournalUnavailable) return undefined;
    throw error;
  }
}

function show(gauge: Gauge, value: number | undefined, labels: Record<string, string> = {}): void {
  if (value === undefined) gauge.remove(labels);
  else gauge.set(labels, value);
}

function oldestSeconds(waiting: Waiting | undefined, nowMs: number): number | undefined {
  return waiting && Math.max(0, nowMs - (waiting.sinceMs ?? nowMs)) / 1_000;
}

let ofProcess: Registry | undefined;

/**
 * Node's own. One registry for the process, because they are about the process and their observers never end; made when somebody
 * asks for the first time, because observing the event loop and the garbage collector is not free.
 */
function processMetrics(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}
