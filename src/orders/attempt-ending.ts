import { atMost } from "../threads/index.ts";
import { answerTo, type CompensationProgress } from "./answer.ts";
import type { Attempt } from "./attempt.ts";
import type { Compensator } from "./compensator.ts";
import type { FirstTries } from "./first-tries.ts";
import type { CompensationTried, OrderJournal, StoredAnswer } from "./order-journal.ts";
import { type OrderOutcome, stepsToCompensate } from "./outcome.ts";
import type { StepName } from "./steps.ts";

// How long an answer waits for compensations, most of which take one call. No answer waits for a provider that is down.
const WAIT_FOR_COMPENSATION_MS = 500;

/** An attempt as it was stored. */
export interface StoredEnding {
  readonly answer: StoredAnswer;
  readonly compensations: readonly CompensationProgress[];
}

/**
 * Brings the outcome of an attempt into the journal. One commit for an order that has nothing to compensate. Otherwise two: the failed
 * attempt with its compensations before their first try, and the answer with what has come of them. Main thread only.
 */
export class AttemptEnding {
  readonly #attempt: Attempt;
  readonly #outcome: OrderOutcome;
  readonly #journal: Pick<OrderJournal, "finish" | "answer">;
  readonly #compensator: Compensator;
  readonly #steps: readonly StepName[];
  /** Once the failed attempt is stored. */
  #tries: FirstTries | undefined;
  /** What has come of them, from the moment on at which the answer is made. */
  #tried: readonly CompensationTried[] | undefined;

  constructor(attempt: Attempt, outcome: OrderOutcome, journal: Pick<OrderJournal, "finish" | "answer">, compensator: Compensator) {
    this.#attempt = attempt;
    this.#outcome = outcome;
    this.#journal = journal;
    this.#compensator = compensator;
    this.#steps = outcome.error === undefined ? [] : stepsToCompensate(outcome.steps);
  }

  /** Goes on where an earlier call failed. Rejects as the journal does. */
  async store(): Promise<StoredEnding> {
    if (this.#steps.length === 0) return this.#finish();
    this.#tries ??= await this.#fail();
    if (this.#tried === undefined) {
      // Nobody waits where the client has gone.
      if (this.#attempt.isAwaited) await atMost(this.#tries.ended, WAIT_FOR_COMPENSATION_MS);
      this.#tried = this.#tries.collect();
    }
    return this.#answer(this.#tried);
  }

  async #finish(): Promise<StoredEnding> {
    const { orderId, attempt } = this.#attempt.input;
    const answer = this.#answerWith([]);
    await this.#journal.finish({ orderId, attempt, answer, answered: this.#decideAnswered(), compensations: [], nowMs: Date.now() });
    return { answer, compensations: [] };
  }

  async #fail(): Promise<FirstTries> {
    const { input } = this.#attempt;
    const { orderId, attempt } = input;
    const answer = this.#answerWith(this.#progress(() => false));
    const plan = this.#compensator.plan(this.#steps);
    try {
      const ids = await this.#journal.finish({ orderId, attempt, answer, answered: false, compensations: plan.rows, nowMs: Date.now() });
      return this.#compensator.begin(input, plan, ids);
    } catch (error) {
      this.#compensator.release(plan);
      throw error;
    }
  }

  async #answer(tried: readonly CompensationTried[]): Promise<StoredEnding> {
    const { orderId, attempt } = this.#attempt.input;
    const compensations = this.#progress((step) => tried.some((one) => one.step === step && one.nextTryMs === undefined));
    const answer = this.#answerWith(compensations);
    await this.#journal.answer({ orderId, attempt, json: answer.json, answered: this.#decideAnswered(), tried, nowMs: Date.now() });
    this.#compensator.stored(tried);
    return { answer, compensations };
  }

  /**
   * Whether the answer is that of its key from now on: somebody receives it, and the attempt was not canceled from outside. The outcome says
   * that: a cancel that came after it changes nothing, as one of a shutdown while compensations are waited for.
   */
  #decideAnswered(): boolean {
    const isAnswered = this.#attempt.isAwaited && this.#outcome.error !== "canceled";
    // Who came now would receive an answer that is stored as one which nobody had.
    if (!isAnswered) this.#attempt.lose();
    return isAnswered;
  }

  #progress(isDone: (step: StepName) => boolean): CompensationProgress[] {
    return this.#steps.map((step) => ({ step, done: isDone(step) }));
  }

  #answerWith(compensations: readonly CompensationProgress[]): StoredAnswer {
    const { error } = this.#outcome;
    const json = JSON.stringify(answerTo(this.#attempt.input.orderId, this.#outcome, compensations));
    return error === undefined ? { json } : { error, json };
  }
}
