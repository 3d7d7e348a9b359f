import type { BackoffPolicy } from "../resilience/backoff.ts";
import { JournalRetry } from "../resilience/journal-retry.ts";
import { atMost, Canceled, CancelScope, monotonicMs, SYSTEM_CLOCK } from "../threads/index.ts";
import { answerTo, type CompensationProgress } from "./answer.ts";
import type { Attempt, GivenAnswer } from "./attempt.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { Compensator, FailedOrder } from "./compensator.ts";
import type { OnOrderEnded } from "./ended-order.ts";
import type { OnFault } from "./faults.ts";
import { type CompensationTried, JournalUnavailable, type OrderJournal, type StoredAnswer } from "./order-journal.ts";
import { failedByFault, type OrderOutcome, stepsToCompensate } from "./outcome.ts";
import type { Pipeline } from "./pipeline.ts";
import type { AttemptInput, Effect } from "./step.ts";
import type { StepName } from "./steps.ts";

// Who asks again for an order whose end is not stored waits for that. A journal that is away refuses without work, so a try a second is no load.
const STORE_BACKOFF: BackoffPolicy = { baseMs: 500, capMs: 1_000 };
// How long an answer waits for compensations, most of which take one call. No answer waits for a provider that is down.
const WAIT_FOR_COMPENSATION_MS = 500;

export interface AttemptRunnerOptions {
  readonly pipeline: Pipeline;
  readonly journal: Pick<OrderJournal, "finish" | "answer">;
  readonly compensator: Compensator;
  readonly orderTimeoutMs: number;
  /** Called once for each attempt: when it is closed in the journal, or when this process gives up on closing it. */
  readonly onClosed: (attempt: Attempt) => void;
  readonly onEnded?: OnOrderEnded;
  readonly onFault?: OnFault;
}

/** The answer of an order cannot be stored, so nobody gets it. Who asks again gets what has become of the order. */
export class AnswerLost extends Error {}

/** Runs an accepted attempt: its steps, then its outcome to the journal, then the answer. Main thread only. */
export class AttemptRunner {
  readonly #options: AttemptRunnerOptions;
  readonly #stop = new CancelScope<CancelCause>();
  readonly #journal: JournalRetry;

  constructor(options: AttemptRunnerOptions) {
    this.#options = options;
    const isTemporary = (error: unknown) => error instanceof JournalUnavailable;
    this.#journal = new JournalRetry({ scope: this.#stop, clock: SYSTEM_CLOCK, isTemporary, backoff: STORE_BACKOFF });
  }

  /** Resolves with the answer for the client once it is stored. Rejects with `AnswerLost` where it cannot be stored. */
  run(attempt: Attempt): Promise<GivenAnswer> {
    const { input, scope } = attempt;
    // `cancelAll` did not reach an order that was being stored.
    if (this.#stop.cause !== undefined) scope.cancel(this.#stop.cause);
    const leftMs = this.#options.orderTimeoutMs - (monotonicMs() - attempt.askedAtMs);
    // Its acceptance took all of its time, as where the process was frozen meanwhile: no step must begin.
    if (leftMs <= 0) scope.cancel("deadline");
    const stopTimer = scope.cancelAfter(Math.max(0, leftMs));
    // An order may wait for minutes, so it keeps two closures and no more.
    const end = (outcome: OrderOutcome) => {
      stopTimer();
      return this.#finish(attempt, outcome);
    };
    try {
      return this.#options.pipeline
        .run(input, scope, attempt.priority)
        .then(end, (error: unknown) => end(this.#broken(attempt, error, "unknown")));
    } catch (error) {
      return end(this.#broken(attempt, error, "none"));
    }
  }

  #broken(attempt: Attempt, error: unknown, effect: Effect): OrderOutcome {
    this.#options.onFault?.("an order could not be run to its end", error, attempt.fields);
    return failedByFault(effect, monotonicMs());
  }

  /** From now on no attempt waits for a journal that cannot be written. The next start closes what is not stored. */
  stop(): void {
    this.#stop.cancel("shutdown");
  }

  async #finish(attempt: Attempt, outcome: OrderOutcome): Promise<GivenAnswer> {
    const { onFault } = this.#options;
    const ending = new AttemptEnding(attempt, outcome, this.#options);
    let stored: StoredEnding;
    try {
      stored = await ending.store();
    } catch (error) {
      attempt.isLost = true;
      if (!attempt.isClosedElsewhere) onFault?.("an outcome could not be stored: its client gets no answer", error, attempt.fields);
      this.#storeLater(attempt, outcome, ending, error).catch((bug: unknown) =>
        onFault?.("an order's end was not reported", bug, attempt.fields),
      );
      throw new AnswerLost("the answer could not be stored", { cause: error });
    }
    return this.#close(attempt, outcome, stored);
  }

  /** If the process ends before that, the next start closes the attempt as interrupted. */
  async #storeLater(attempt: Attempt, outcome: OrderOutcome, ending: AttemptEnding, first: unknown): Promise<void> {
    let stored: StoredEnding;
    try {
      if (!(first instanceof JournalUnavailable)) throw first;
      stored = await this.#journal.run(() => ending.store());
    } catch (error) {
      if (!(error instanceof Canceled) && !attempt.isClosedElsewhere)
        this.#options.onFault?.("an outcome can never be stored; the next start closes its order", error, attempt.fields);
      this.#options.onClosed(attempt);
      return;
    }
    this.#close(attempt, outcome, stored);
  }

  #close(attempt: Attempt, outcome: OrderOutcome, { answer, compensations }: StoredEnding): GivenAnswer {
    const { input, requestId, parentSpanId, receivedAtMs } = attempt;
    this.#options.onClosed(attempt);
    this.#options.onEnded?.({ input, requestId, parentSpanId, receivedAtMs, outcome, compensations, storedAtMs: monotonicMs() });
    return outcome.retryAfterMs === undefined ? answer : { ...answer, retryAfterMs: outcome.retryAfterMs };
  }
}

interface StoredEnding {
  readonly answer: StoredAnswer;
  readonly compensations: readonly CompensationProgress[];
}

/** Stores how an attempt ended: one commit without compensations; with some one before their first try, and one with the answer. */
class AttemptEnding implements FailedOrder {
  readonly input: AttemptInput;
  readonly #attempt: Attempt;
  readonly #outcome: OrderOutcome;
  readonly #options: AttemptRunnerOptions;
  readonly #steps: readonly StepName[];
  /** Once the failed attempt is stored: when each has ended. */
  #firstTries: { readonly ended: Promise<unknown> } | undefined;
  /** What has come of them until the answer is made. */
  readonly #tried: CompensationTried[] = [];
  #isAnswerMade = false;

  constructor(attempt: Attempt, outcome: OrderOutcome, options: AttemptRunnerOptions) {
    this.#attempt = attempt;
    this.input = attempt.input;
    this.#outcome = outcome;
    this.#options = options;
    this.#steps = outcome.error === undefined ? [] : stepsToCompensate(outcome.steps);
  }

  /** Goes on where an earlier call failed. Rejects as the journal does. */
  async store(): Promise<StoredEnding> {
    if (this.#steps.length === 0) return this.#finish();
    this.#firstTries ??= await this.#fail();
    // Nobody waits where the client has gone.
    if (!this.#isAnswerMade && this.#attempt.isAwaited) await atMost(this.#firstTries.ended, WAIT_FOR_COMPENSATION_MS);
    this.#isAnswerMade = true;
    return this.#answer();
  }

  collect(tried: CompensationTried): boolean {
    if (!this.#isAnswerMade) this.#tried.push(tried);
    return !this.#isAnswerMade;
  }

  async #finish(): Promise<StoredEnding> {
    const { orderId, attempt } = this.input;
    const ending = this.#ending();
    const { answer } = ending;
    const answered = this.#decideAnswered();
    await this.#options.journal.finish({ orderId, attempt, answer, answered, compensations: [], nowMs: Date.now() });
    return ending;
  }

  async #fail(): Promise<{ readonly ended: Promise<unknown> }> {
    const { orderId, attempt } = this.input;
    const { answer } = this.#ending();
    const { journal, compensator } = this.#options;
    const rows = compensator.plan(this.#steps);
    try {
      const ids = await journal.finish({ orderId, attempt, answer, answered: false, compensations: rows, nowMs: Date.now() });
      return { ended: compensator.begin(this, rows, ids) };
    } catch (error) {
      compensator.release(rows);
      throw error;
    }
  }

  async #answer(): Promise<StoredEnding> {
    const { orderId, attempt } = this.input;
    const tried = this.#tried;
    const ending = this.#ending();
    const { json } = ending.answer;
    await this.#options.journal.answer({ orderId, attempt, json, answered: this.#decideAnswered(), tried, nowMs: Date.now() });
    this.#options.compensator.stored(tried);
    return ending;
  }

  /** Whether somebody receives the answer. The outcome says whether it was canceled from outside: a shutdown after it changes nothing. */
  #decideAnswered(): boolean {
    const isAnswered = this.#attempt.isAwaited && this.#outcome.error !== "canceled";
    // Who came now would receive an answer that is stored as one which nobody had.
    if (!isAnswered) this.#attempt.isLost = true;
    return isAnswered;
  }

  /** As it is to be stored now. */
  #ending(): StoredEnding {
    const { error } = this.#outcome;
    const isDone = (step: StepName) => this.#tried.some((one) => one.step === step && one.nextTryMs === undefined);
    const compensations = this.#steps.map((step) => ({ step, done: isDone(step) }));
    const json = JSON.stringify(answerTo(this.input.orderId, this.#outcome, compensations));
    return { answer: error === undefined ? { json } : { error, json }, compensations };
  }
}
