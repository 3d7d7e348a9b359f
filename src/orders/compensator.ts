import { backoffMs, COMPENSATION_BACKOFF, PROBE_BACKOFF } from "../retries/backoff.ts";
import type { EndpointHealth } from "../retries/endpoint-health.ts";
import { Pace } from "../retries/pace.ts";
import { RetryQueue } from "../retries/retry-queue.ts";
import { Canceled, CancelScope, Capacity, type Clock, monotonicMs, pause, SYSTEM_CLOCK } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import { Compensating, type Tried } from "./compensating.ts";
import { compensateOnce, compensationHealth, FIRST_TRIES, LINE_MS, RETRIES, type RetriedCompensation } from "./compensation-call.ts";
import type { OnFault } from "./faults.ts";
import { type Compensation, JournalUnavailable, type OrderJournal } from "./order-journal.ts";
import type { ProviderHealths } from "./provider-health.ts";
import type { AttemptInput } from "./step.ts";
import type { StepRunner } from "./step-runner.ts";
import { perStep, STEPS, type StepName } from "./steps.ts";
import { newTraceparent } from "./traceparent.ts";

// For all providers together, so that a backlog leaves orders their share of the machine. A million takes some six minutes.
const RETRIES_A_SECOND = 2_500;

export interface CompensatorOptions {
  readonly runner: StepRunner;
  readonly journal: Pick<OrderJournal, "compensationTried" | "dueCompensations">;
  /** Deadline of one call. The order's has often passed already. */
  readonly timeoutMs: number;
  /** Shared with the orders' calls, so that each side knows what the other has learned of a provider. */
  readonly providers?: ProviderHealths;
  /** A try that has ended. */
  readonly onTried?: (step: StepName, done: boolean) => void;
  /** A try of a row of the journal has ended, done or not. */
  readonly onRetried?: (retry: RetriedCompensation) => void;
  /** Progress has been stored, perhaps with an event. */
  readonly onStored?: () => void;
  /** A provider has stopped taking compensations (true), or takes them again (false). */
  readonly onDown?: (step: StepName, down: boolean) => void;
  /** Something that will be tried again, for the log. */
  readonly onFault?: OnFault;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
  readonly clock?: Clock;
}

/** What the compensations of one provider share. */
interface Bulkhead {
  readonly firstTries: Capacity;
  readonly health: EndpointHealth;
  readonly queue: RetryQueue<Compensation>;
}

/**
 * Compensates what failed orders did (a saga), outside their cancel scopes: a cancel that stopped the order must not stop its refund. All
 * compensations of an order are tried at once, side by side. Those not done then are rows of the journal, retried across restarts until they
 * are done. A provider that hangs delays no other provider's compensations. Main thread only.
 */
export class Compensator {
  readonly #options: CompensatorOptions;
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #bulkheads: Readonly<Record<StepName, Bulkhead>>;
  readonly #stop = new CancelScope<CancelCause>();
  readonly #active = new Set<Promise<void>>();

  constructor(options: CompensatorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#pace = new Pace(RETRIES_A_SECOND, this.#clock);
    this.#bulkheads = perStep((step) => this.#bulkhead(step));
  }

  /** Begins to retry the compensations that are pending in the journal. To be called once. */
  start(): void {
    for (const step of STEPS) this.#bulkheads[step].queue.start();
  }

  /** Calls under way. */
  get inFlight(): number {
    return STEPS.reduce((sum, step) => sum + this.#bulkheads[step].health.inFlight, 0);
  }

  /** Tries each of these steps of a failed attempt once. */
  begin(input: AttemptInput, steps: readonly StepName[]): Compensating {
    const compensating = new Compensating(steps, {
      timeoutMs: this.#options.timeoutMs,
      random: this.#options.random ?? Math.random,
      firstTry: (step, begins) => this.#firstTry(step, input, begins),
      record: (step, tried) => void this.#keep(this.#recordFirst(step, input, tried)),
      due: (step) => this.#bulkheads[step].queue.notify(),
    });
    void this.#keep(compensating.firstTries);
    return compensating;
  }

  /** Retries now, for an operator, whatever the provider's health. Resolves when the result is stored. Rejects after `stop`. */
  tryNow(compensation: Compensation): Promise<void> {
    return this.#bulkheads[compensation.step].queue.attemptNow(compensation);
  }

  /** An operator has settled the compensation: no further try begins. */
  forget({ step, id }: Pick<Compensation, "id" | "step">): void {
    this.#bulkheads[step].queue.forget(id);
  }

  /** Starts no more tries. What is not done stays in the journal. Resolves when no call is under way. */
  async stop(): Promise<void> {
    this.#stop.cancel("shutdown");
    this.#pace.close();
    for (const step of STEPS) this.#bulkheads[step].health.close();
    await Promise.all(STEPS.map((step) => this.#bulkheads[step].queue.stop()));
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  #bulkhead(step: StepName): Bulkhead {
    const { journal, providers, onDown, onFault, random } = this.#options;
    const common = { clock: this.#clock, ...(random !== undefined && { random }) };
    const health = compensationHealth(step, {
      ...common,
      ...(providers !== undefined && { providers }),
      ...(onDown !== undefined && { onDown }),
    });
    const queue = new RetryQueue<Compensation>({
      ...common,
      idOf: ({ id }) => id,
      due: (nowMs, limit) => journal.dueCompensations(step, nowMs, limit),
      attempt: (compensation) => this.#retry(compensation),
      health,
      maxInFlight: RETRIES,
      pace: this.#pace,
      ...(onFault !== undefined && { onFault }),
    });
    return { firstTries: new Capacity(FIRST_TRIES), health, queue };
  }

  /** Undefined when no call was made: the provider is down, its bulkhead was full for too long, or the process stops. */
  async #firstTry(step: StepName, input: AttemptInput, begins: () => boolean): Promise<Tried | undefined> {
    const { firstTries, health } = this.#bulkheads[step];
    if (health.down || health.paused) return undefined;
    const line = new CancelScope<CancelCause>();
    const leaveLine = line.cancelAfter(LINE_MS);
    try {
      using _permit = await firstTries.acquire(line);
      if (this.#stop.cause !== undefined || !begins()) return undefined;
      return await this.#call(step, input, 0);
    } catch (error) {
      if (!(error instanceof Canceled)) this.#options.onFault?.("a compensation could not be tried", error, { order_id: input.orderId });
      return undefined;
    } finally {
      leaveLine();
    }
  }

  /** The queue must be notified, because it did not make this try itself. */
  async #recordFirst(step: StepName, { orderId, attempt }: AttemptInput, tried: Tried): Promise<void> {
    await this.#record({ orderId, attempt, step, tries: 0 }, tried);
    if (!tried.done) this.#bulkheads[step].queue.notify();
  }

  async #retry(compensation: Compensation): Promise<void> {
    const { orderId, amount, attempt, step, tries } = compensation;
    const input = { orderId, amount, attempt, traceparent: newTraceparent() };
    const startedAtMs = monotonicMs();
    const tried = await this.#call(step, input, tries);
    this.#options.onRetried?.({ input, step, tries, done: tried?.done === true, startedAtMs, endedAtMs: monotonicMs() });
    if (tried !== undefined) await this.#record(compensation, tried);
  }

  #call(step: StepName, input: AttemptInput, triesBefore: number): Promise<Tried | undefined> {
    return compensateOnce(this.#options, this.#bulkheads[step].health, this.#stop, step, input, triesBefore);
  }

  /** Repeats until it is stored or the process stops. After a stop the next start repeats the compensation, which is harmless. */
  async #record({ orderId, attempt, step, tries }: Omit<Compensation, "id" | "amount">, { done, lastAnswer }: Tried): Promise<void> {
    const { journal, onStored, onFault, random = Math.random } = this.#options;
    for (let failures = 0; ; failures++) {
      const nowMs = this.#clock.nowMs();
      const nextTry = done ? {} : { nextTryMs: nowMs + backoffMs(tries + 1, COMPENSATION_BACKOFF, random) };
      try {
        await journal.compensationTried({ orderId, attempt, step, ...nextTry, ...(lastAnswer !== undefined && { lastAnswer }), nowMs });
        if (done) onStored?.();
        return;
      } catch (error) {
        if (!(error instanceof JournalUnavailable)) throw error;
        if (failures === 0) onFault?.("a compensation is not written down yet", error, { order_id: orderId, step });
      }
      if (!(await pause(backoffMs(failures + 1, PROBE_BACKOFF, random), this.#stop, this.#clock))) return;
    }
  }

  #keep(work: Promise<void>): Promise<void> {
    const kept = work
      .catch((error: unknown) => this.#options.onFault?.("compensating failed unexpectedly", error))
      .finally(() => this.#active.delete(kept));
    this.#active.add(kept);
    return kept;
  }
}
