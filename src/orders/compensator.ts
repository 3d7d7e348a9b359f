import { EndpointHealth, type Lane } from "../resilience/endpoint-health.ts";
import { JournalRetry } from "../resilience/journal-retry.ts";
import { Pace } from "../resilience/pace.ts";
import { RetryQueue } from "../resilience/retry-queue.ts";
import { Canceled, CancelScope, type Clock, monotonicMs, SYSTEM_CLOCK } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import { type CompensationCallParts, compensateOnce, FIRST_TRIES, RETRIES } from "./compensation-call.ts";
import type { OnFault } from "./faults.ts";
import { FirstTries } from "./first-tries.ts";
import { type Compensation, type CompensationTried, JournalUnavailable, type NewCompensation, type OrderJournal } from "./order-journal.ts";
import type { ProviderHealths } from "./provider-health.ts";
import type { AttemptInput } from "./step.ts";
import { perStep, STEPS, type StepName } from "./steps.ts";
import { newTraceparent } from "./traceparent.ts";

// For all providers together, so that a backlog leaves orders their share of the machine. A million takes some six minutes.
const RETRIES_A_SECOND = 2_500;

/** A try that no order waits for. Times are on the clock of `monotonicMs`. */
export interface RetriedCompensation {
  /** Has a trace of its own: the order's trace ended long ago. */
  readonly input: AttemptInput;
  readonly step: StepName;
  readonly tries: number;
  readonly done: boolean;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

export interface CompensatorOptions extends Pick<CompensationCallParts, "runner" | "timeoutMs"> {
  readonly journal: Pick<OrderJournal, "compensationTried" | "takeCompensations">;
  /** What is known of the addresses of the orders' own calls. */
  readonly providers?: ProviderHealths;
  readonly onTried?: (step: StepName, done: boolean) => void;
  /** A try that no order waits for has ended, done or not. */
  readonly onRetried?: (retry: RetriedCompensation) => void;
  /** Progress has been stored, perhaps with an event. */
  readonly onStored?: () => void;
  /** A provider has stopped taking compensations (true), or takes them again (false). */
  readonly onDown?: (step: StepName, down: boolean) => void;
  readonly onFault?: OnFault;
  readonly random?: () => number;
  readonly clock?: Clock;
}

/** What the compensations of one step share: the address that takes them, and two queues, so that backlog and new orders do not wait for each other. */
interface Bulkhead {
  readonly health: EndpointHealth;
  readonly first: Lane;
  readonly again: Lane;
  readonly queues: { readonly first: RetryQueue<Compensation>; readonly again: RetryQueue<Compensation> };
}

/** A place for the first try of each step that has one now. */
export interface FirstTryPlan {
  readonly rows: readonly NewCompensation[];
  /** What `begin` of the lane gave, by row; undefined where there is no room now. */
  readonly calls: readonly (number | undefined)[];
}

/**
 * Compensates what failed orders did (a saga), outside their cancel scopes: a cancel that stopped the order must not stop its refund. Each
 * is a row of the journal before its first try. A provider that hangs delays no other provider's compensations.
 */
export class Compensator {
  readonly #options: CompensatorOptions;
  readonly #call: CompensationCallParts;
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #bulkheads: Readonly<Record<StepName, Bulkhead>>;
  readonly #stop = new CancelScope<CancelCause>();
  readonly #journal: JournalRetry;
  readonly #active = new Set<Promise<void>>();

  constructor(options: CompensatorOptions) {
    const { runner, timeoutMs, clock = SYSTEM_CLOCK, random = Math.random, onFault } = options;
    this.#options = options;
    this.#clock = clock;
    this.#call = { runner, timeoutMs, nowMs: () => clock.nowMs(), random };
    this.#pace = new Pace(RETRIES_A_SECOND, clock);
    this.#journal = new JournalRetry({
      scope: this.#stop,
      clock,
      random,
      passes: (error) => error instanceof JournalUnavailable,
      onStalled: (error) => onFault?.("compensations are not written down yet", error),
    });
    this.#bulkheads = perStep((step) => this.#bulkhead(step));
  }

  /** Begins to try the compensations that are due in the journal. To be called once. */
  start(): void {
    this.#eachQueue((queue) => queue.start());
  }

  get inFlight(): number {
    return STEPS.reduce((sum, step) => sum + this.#bulkheads[step].health.inFlight, 0);
  }

  /** Why one that is due and was tried so often is not being tried: its provider is probed with another, or all places are taken. */
  waitsFor(step: StepName, tries: number): "probing" | "bulkhead" {
    const { first, again } = this.#bulkheads[step];
    return (tries === 0 ? first : again).probing ? "probing" : "bulkhead";
  }

  /** Compensations may have become due. */
  notify(): void {
    this.#eachQueue((queue) => queue.notify());
  }

  /** Rows for steps that have to be compensated, and a call for each that may be made now. `begin` or `release` must follow. */
  plan(steps: readonly StepName[]): FirstTryPlan {
    const calls = steps.map((step) => {
      const { first } = this.#bulkheads[step];
      return this.#stop.cause === undefined && first.room > 0 ? first.begin() : undefined;
    });
    return { rows: steps.map((step, index) => ({ step, trying: calls[index] !== undefined })), calls };
  }

  /** The rows of a plan are not stored. */
  release({ rows, calls }: FirstTryPlan): void {
    for (const [index, { step }] of rows.entries()) {
      const call = calls[index];
      if (call !== undefined) this.#bulkheads[step].first.end(call, undefined);
    }
  }

  /** The rows of a plan are stored under these ids: makes the calls. The other rows are left to their queue. */
  begin(input: AttemptInput, { rows, calls }: FirstTryPlan, ids: readonly number[]): FirstTries {
    const tries = rows.flatMap(({ step }, index) => {
      const call = calls[index];
      const { first, queues } = this.#bulkheads[step];
      if (call === undefined) queues.first.notify();
      return call === undefined ? [] : [this.#try({ ...input, id: ids[index] as number, step, tries: 0 }, input.traceparent, first, call)];
    });
    const first = new FirstTries(tries, (tried) => this.#store(tried));
    this.#keep(first.ended);
    return first;
  }

  /** What came of first tries has been stored: those that failed are due again some time. */
  stored(tried: readonly CompensationTried[]): void {
    for (const { step, nextTryMs } of tried) if (nextTryMs !== undefined) this.#bulkheads[step].queues.again.postponed();
  }

  /** Tries one that was taken, for an operator, whatever is known of the provider. Resolves when the result is stored. Rejects after `stop`. */
  tryNow(compensation: Compensation): Promise<void> {
    return this.#bulkheads[compensation.step].queues.again.attemptNow(compensation);
  }

  /** Starts no more tries. What is not done stays in the journal. Resolves when no call is under way. */
  async stop(): Promise<void> {
    this.#stop.cancel("shutdown");
    this.#pace.close();
    for (const step of STEPS) this.#bulkheads[step].health.close();
    const stopping: Promise<void>[] = [];
    this.#eachQueue((queue) => stopping.push(queue.stop()));
    await Promise.all(stopping);
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  #bulkhead(step: StepName): Bulkhead {
    const { journal, providers, onDown, onFault, random } = this.#options;
    const common = { clock: this.#clock, ...(random !== undefined && { random }) };
    const health = new EndpointHealth({ ...common, maxInFlight: FIRST_TRIES + RETRIES, onDown: (down) => onDown?.(step, down) });
    // What is known of the address for orders slows this one and never stops it: perhaps only that one fails.
    providers?.[step]?.circuit.onChange((state) => state === "open" && health.slow());
    const lanes = { first: health.lane(FIRST_TRIES, "first"), again: health.lane(RETRIES, "again") };
    const queue = (kind: "first" | "again") =>
      new RetryQueue<Compensation>({
        ...common,
        idOf: ({ id }) => id,
        take: (request) => journal.takeCompensations(step, kind, request),
        attempt: (compensation) => this.#retry(compensation, lanes[kind]),
        lane: lanes[kind],
        pace: this.#pace,
        ...(onFault !== undefined && { onFault }),
      });
    return { health, ...lanes, queues: { first: queue("first"), again: queue("again") } };
  }

  #eachQueue(work: (queue: RetryQueue<Compensation>) => void): void {
    for (const step of STEPS) {
      const { first, again } = this.#bulkheads[step].queues;
      work(first);
      work(again);
    }
  }

  async #try(
    compensation: Compensation,
    traceparent: string | undefined,
    lane: Lane,
    call: number,
  ): Promise<CompensationTried | undefined> {
    const tried = await compensateOnce(this.#call, compensation, traceparent, lane, call, this.#stop);
    if (tried !== undefined) this.#options.onTried?.(tried.step, tried.nextTryMs === undefined);
    return tried;
  }

  async #retry(compensation: Compensation, lane: Lane): Promise<void> {
    const { orderId, amount, attempt, step, tries } = compensation;
    const input = { orderId, amount, attempt, traceparent: newTraceparent() };
    const startedAtMs = monotonicMs();
    const tried = await this.#try(compensation, input.traceparent, lane, lane.begin());
    const done = tried !== undefined && tried.nextTryMs === undefined;
    this.#options.onRetried?.({ input, step, tries, done, startedAtMs, endedAtMs: monotonicMs() });
    if (tried !== undefined) await this.#store(tried);
  }

  /** Repeats until it is stored or the process stops. After a stop the next start tries the compensation again, which is harmless. */
  async #store(tried: CompensationTried): Promise<void> {
    const { journal, onStored, onFault } = this.#options;
    try {
      const state = await this.#journal.run(() => journal.compensationTried(tried, this.#clock.nowMs()));
      if (state === "done") onStored?.();
      else if (state === "pending") this.#bulkheads[tried.step].queues.again.postponed();
      else
        onFault?.(`a provider answered for a compensation that is ${state}`, new Error(tried.lastAnswer ?? "done"), {
          compensation: tried.id,
        });
    } catch (error) {
      if (!(error instanceof Canceled)) throw error;
    }
  }

  #keep(work: Promise<void>): void {
    const kept = work
      .catch((error: unknown) => this.#options.onFault?.("compensating failed unexpectedly", error))
      .finally(() => this.#active.delete(kept));
    this.#active.add(kept);
  }
}
