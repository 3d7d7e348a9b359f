import { EndpointHealth, type Lane } from "../resilience/endpoint-health.ts";
import { JournalRetry } from "../resilience/journal-retry.ts";
import { Pace } from "../resilience/pace.ts";
import { RetryQueue } from "../resilience/retry-queue.ts";
import { Canceled, CancelScope, type Clock, monotonicMs, SYSTEM_CLOCK } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import { type CompensationCallParts, compensateOnce, FIRST_TRIES, RETRIES } from "./compensation-call.ts";
import type { OnFault } from "./faults.ts";
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

/** An order that has failed and is not answered yet. */
export interface FailedOrder {
  readonly input: AttemptInput;
  /** Stores what a first try came to with the answer. False when that has been made, so that the result must be stored by itself. */
  collect(tried: CompensationTried): boolean;
}

/** A row that is tried; `order` has it where its order may be waiting for that. */
interface Row extends Compensation {
  readonly order?: FailedOrder;
}

/** What the compensations of one step share: the address that takes them, and two queues, so that backlog and new orders do not wait for each other. */
interface Bulkhead {
  readonly health: EndpointHealth;
  readonly first: RetryQueue<Row>;
  readonly again: RetryQueue<Row>;
}

/**
 * Compensates what failed orders did (a saga), outside their cancel scopes: a cancel that stopped the order must not stop its refund. Each
 * is a row of the journal before its first try. A provider that hangs delays no other provider's compensations.
 */
export class Compensator {
  readonly #options: CompensatorOptions & { readonly random: () => number; readonly clock: Clock };
  readonly #call: CompensationCallParts;
  readonly #pace: Pace;
  readonly #bulkheads: Readonly<Record<StepName, Bulkhead>>;
  readonly #stop = new CancelScope<CancelCause>();
  readonly #journal: JournalRetry;

  constructor(options: CompensatorOptions) {
    const { runner, timeoutMs, clock = SYSTEM_CLOCK, random = Math.random, onFault } = options;
    this.#options = { ...options, clock, random };
    this.#call = { runner, timeoutMs, nowMs: () => clock.nowMs(), stop: this.#stop };
    this.#pace = new Pace(RETRIES_A_SECOND, clock);
    this.#journal = new JournalRetry({
      scope: this.#stop,
      clock,
      random,
      isTemporary: (error) => error instanceof JournalUnavailable,
      onStalled: (error) => onFault?.("compensations are not written down yet", error),
    });
    this.#bulkheads = perStep((step) => this.#bulkhead(step));
  }

  /** Begins to try the compensations that are due in the journal. To be called once. */
  start(): void {
    for (const queue of this.#queues()) queue.start();
  }

  get inFlight(): number {
    return STEPS.reduce((sum, step) => sum + this.#bulkheads[step].health.inFlight, 0);
  }

  /** Why one that is due and was tried so often is not being tried: its provider is probed with another, or all places are taken. */
  waitsFor(step: StepName, tries: number): "probing" | "bulkhead" {
    const { first, again } = this.#bulkheads[step];
    return (tries === 0 ? first : again).lane.probing ? "probing" : "bulkhead";
  }

  /** Compensations may have become due. */
  notify(): void {
    for (const queue of this.#queues()) queue.notify();
  }

  /** Rows for steps that have to be compensated, with a place for each that can be tried now. `begin` or `release` must follow. */
  plan(steps: readonly StepName[]): readonly NewCompensation[] {
    return steps.map((step) => {
      const { lane } = this.#bulkheads[step].first;
      const trying = this.#stop.cause === undefined && lane.room > 0;
      if (trying) lane.reserve(1);
      return { step, trying };
    });
  }

  /** The rows of a plan are not stored. */
  release(rows: readonly NewCompensation[]): void {
    for (const { step, trying } of rows) {
      if (!trying) continue;
      this.#bulkheads[step].first.lane.reserve(-1);
      this.#bulkheads[step].first.notify();
    }
  }

  /** The rows of a plan are stored under these ids: hands those that have a place to their queue. Resolves when they have been tried. */
  begin(order: FailedOrder, rows: readonly NewCompensation[], ids: readonly number[]): Promise<unknown> {
    const { orderId, amount, attempt } = order.input;
    const tries = rows.map(({ step, trying }, index) => {
      const { first } = this.#bulkheads[step];
      if (!trying) return first.notify();
      first.lane.reserve(-1);
      // The next start tries it.
      if (this.#stop.cause !== undefined) return undefined;
      return first.tryNow({ id: ids[index] as number, orderId, amount, attempt, step, tries: 0, order });
    });
    return Promise.all(tries);
  }

  /** What came of first tries has been stored: those that failed are due again some time. */
  stored(tried: readonly CompensationTried[]): void {
    for (const { step, nextTryMs } of tried) if (nextTryMs !== undefined) this.#bulkheads[step].again.postponed();
  }

  /** Tries one that was taken, for an operator, whatever is known of the provider. Resolves when the result is stored. Rejects after `stop`. */
  async tryNow(compensation: Compensation): Promise<void> {
    const { again } = this.#bulkheads[compensation.step];
    await again.tryNow(compensation);
    // Whoever had it tried may have added others.
    again.postponed();
  }

  /** Starts no more tries. What is not done stays in the journal. Resolves when no call is under way. */
  async stop(): Promise<void> {
    this.#stop.cancel("shutdown");
    this.#pace.close();
    for (const step of STEPS) this.#bulkheads[step].health.close();
    await Promise.all(this.#queues().map((queue) => queue.stop()));
  }

  #bulkhead(step: StepName): Bulkhead {
    const { journal, providers, onDown, onFault, random, clock } = this.#options;
    const common = { clock, random };
    const health = new EndpointHealth({ ...common, maxInFlight: FIRST_TRIES + RETRIES, onDown: (down) => onDown?.(step, down) });
    // What is known of the address for orders slows this one and never stops it: perhaps only that one fails.
    providers?.[step]?.circuit.onChange((state) => state === "open" && health.slow());
    const queue = (kind: "first" | "again", max: number) => {
      const lane = health.lane(max, kind);
      return new RetryQueue<Row>({
        ...common,
        idOf: ({ id }) => id,
        take: (request) => journal.takeCompensations(step, kind, request),
        tryOnce: (row) => this.#try(row, lane),
        lane,
        pace: this.#pace,
        ...(onFault !== undefined && { onFault }),
      });
    };
    return { health, first: queue("first", FIRST_TRIES), again: queue("again", RETRIES) };
  }

  #queues(): RetryQueue<Row>[] {
    return STEPS.flatMap((step) => [this.#bulkheads[step].first, this.#bulkheads[step].again]);
  }

  async #try(row: Row, lane: Lane): Promise<void> {
    const { orderId, amount, attempt, step, tries, order } = row;
    const traceparent = order === undefined ? newTraceparent() : order.input.traceparent;
    const startedAtMs = monotonicMs();
    const tried = await compensateOnce(this.#call, row, traceparent, lane);
    const done = tried !== undefined && tried.nextTryMs === undefined;
    if (tried !== undefined) this.#options.onTried?.(step, done);
    if (order === undefined) {
      const input = { orderId, amount, attempt, ...(traceparent !== undefined && { traceparent }) };
      this.#options.onRetried?.({ input, step, tries, done, startedAtMs, endedAtMs: monotonicMs() });
    }
    if (tried !== undefined && order?.collect(tried) !== true) await this.#store(tried);
  }

  /** Repeats until it is stored or the process stops. After a stop the next start tries the compensation again, which is harmless. */
  async #store(tried: CompensationTried): Promise<void> {
    const { journal, onStored, onFault, clock } = this.#options;
    try {
      const state = await this.#journal.run(() => journal.compensationTried(tried, clock.nowMs()));
      if (state === "done") onStored?.();
      else if (state === "pending" || state === "trying") this.#bulkheads[tried.step].again.postponed();
      else
        onFault?.(`a provider answered for a compensation that is ${state}`, new Error(tried.lastAnswer ?? "done"), {
          compensation: tried.id,
        });
    } catch (error) {
      if (!(error instanceof Canceled)) throw error;
    }
  }
}
