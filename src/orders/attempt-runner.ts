import { backoffMs, PROBE_BACKOFF } from "../retries/backoff.ts";
import { atMost, CancelScope, monotonicMs, pause } from "../threads/index.ts";
import { answerTo } from "./answer.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { Compensating } from "./compensating.ts";
import type { Compensator } from "./compensator.ts";
import type { OnOrderEnded } from "./ended-order.ts";
import type { OnFault } from "./faults.ts";
import { type FinishRequest, JournalUnavailable, type OrderJournal, type StoredAnswer } from "./order-journal.ts";
import type { OrderRun } from "./order-run.ts";
import { failedByFault, type OrderOutcome, stepsToCompensate } from "./outcome.ts";
import type { Pipeline } from "./pipeline.ts";
import type { AttemptInput, Effect } from "./step.ts";

export interface AttemptRunnerOptions {
  readonly pipeline: Pipeline;
  readonly journal: Pick<OrderJournal, "finish">;
  readonly compensator: Compensator;
  readonly orderTimeoutMs: number;
  /** Called once for each attempt: when it is closed in the journal, or when this process gives up on closing it. */
  readonly onClosed: (run: OrderRun) => void;
  readonly onEnded?: OnOrderEnded;
  readonly onFault?: OnFault;
}

// How long an answer waits for compensations, most of which take one call. No answer waits for a provider that is down.
const WAIT_FOR_COMPENSATION_MS = 500;

/** Runs an accepted attempt: its steps, then the compensations, then the outcome to the journal, then the answer. Main thread only. */
export class AttemptRunner {
  readonly #options: AttemptRunnerOptions;
  readonly #stop = new CancelScope<CancelCause>();

  constructor(options: AttemptRunnerOptions) {
    this.#options = options;
  }

  /** Resolves with the answer for the client. Never rejects. */
  run(run: OrderRun): Promise<StoredAnswer> {
    const { input, scope } = run;
    // `cancelAll` did not reach an order that was being stored.
    if (this.#stop.cause !== undefined) scope.cancel(this.#stop.cause);
    const stopTimer = scope.cancelAfter(this.#options.orderTimeoutMs);
    // An order may wait for minutes, so it keeps two closures and no more.
    const end = (outcome: OrderOutcome) => {
      stopTimer();
      return this.#finish(run, outcome);
    };
    try {
      return this.#options.pipeline.run(input, scope, run.urgency).then(end, (error: unknown) => end(this.#broken(run, error, "unknown")));
    } catch (error) {
      return end(this.#broken(run, error, "none"));
    }
  }

  #broken(run: OrderRun, error: unknown, effect: Effect): OrderOutcome {
    this.#options.onFault?.("an order could not be run to its end", error, run.fields);
    return failedByFault(effect, monotonicMs());
  }

  /** From now on no attempt waits for a journal that cannot be written. The next start closes what is not stored. */
  stop(): void {
    this.#stop.cancel("shutdown");
  }

  async #finish(run: OrderRun, outcome: OrderOutcome): Promise<StoredAnswer> {
    const compensating = outcome.error === undefined ? undefined : await this.#compensate(run.input, outcome);
    const finish = finishOf(run.input, outcome, compensating);
    try {
      await this.#options.journal.finish(finish);
    } catch (error) {
      this.#options.onFault?.("an outcome could not be stored; its order fails and is compensated", error, run.fields);
      return this.#failUnstored(run, outcome, compensating);
    }
    compensating?.stored();
    this.#options.onClosed(run);
    this.#report(run, outcome, finish);
    return finish.answer;
  }

  /** Compensates what a failed order did. Waits for the first tries, but not for long. */
  async #compensate(input: AttemptInput, { steps }: OrderOutcome): Promise<Compensating | undefined> {
    const toCompensate = stepsToCompensate(steps);
    if (toCompensate.length === 0) return undefined;
    const compensating = this.#options.compensator.begin(input, toCompensate);
    await atMost(compensating.firstTries, WAIT_FOR_COMPENSATION_MS);
    return compensating;
  }

  /**
   * An outcome that is not stored must not be sent: after a restart the order would have another one. So the order fails as `internal` and
   * is compensated, and that is stored as soon as the journal can be written. If the process ends earlier, the next start does the same and
   * stores the same answer, in which every step has failed.
   */
  async #failUnstored(run: OrderRun, outcome: OrderOutcome, begun: Compensating | undefined): Promise<StoredAnswer> {
    const compensating = begun ?? (await this.#compensate(run.input, outcome));
    void this.#storeLater(run, compensating);
    const reported = failedByFault("unknown", monotonicMs());
    const finish = finishOf(run.input, reported, compensating);
    this.#report(run, reported, finish);
    return finish.answer;
  }

  #report(run: OrderRun, outcome: OrderOutcome, { compensations }: FinishRequest): void {
    const { input, requestId, parentSpanId, receivedAtMs } = run;
    this.#options.onEnded?.({ input, requestId, parentSpanId, receivedAtMs, outcome, compensations, storedAtMs: monotonicMs() });
  }

  async #storeLater(run: OrderRun, compensating: Compensating | undefined): Promise<void> {
    for (let failures = 1; await pause(backoffMs(failures, PROBE_BACKOFF, Math.random), this.#stop); failures++) {
      try {
        await this.#options.journal.finish(finishOf(run.input, failedByFault("unknown", monotonicMs()), compensating));
        compensating?.stored();
        break;
      } catch (error) {
        if (error instanceof JournalUnavailable) continue;
        this.#options.onFault?.("an outcome can never be stored; the next start closes its order", error, run.fields);
        break;
      }
    }
    this.#options.onClosed(run);
  }
}

function finishOf({ orderId, attempt }: AttemptInput, outcome: OrderOutcome, compensating: Compensating | undefined): FinishRequest {
  const nowMs = Date.now();
  const compensations = compensating?.describe(nowMs) ?? [];
  const json = JSON.stringify(answerTo(orderId, outcome, compensations));
  const answer = outcome.error === undefined ? { json } : { error: outcome.error, json };
  return { orderId, attempt, answer, compensations, nowMs };
}
