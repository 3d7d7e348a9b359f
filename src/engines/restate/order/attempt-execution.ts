import { type CancelCause, orderCause } from "../../../orders/cancel-cause.ts";
import type { ByOrderId } from "../../../orders/order-runs.ts";
import type { Pipeline } from "../../../orders/pipeline.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "../../../orders/step.ts";
import { perStep, STEPS, type StepName } from "../../../orders/steps.ts";
import { Canceled, CancelScope, monotonicMs } from "../../../threads/index.ts";
import type { StepRecord } from "./step-record.ts";

export interface ExecutionOptions {
  readonly input: AttemptInput;
  readonly requestId?: string | undefined;
  readonly urgency: number;
  /** Of the request that began the attempt. */
  readonly token: string;
  /** How long it may take from now, milliseconds. */
  readonly timeLeftMs: number;
  /** A node that died has executed it before: a step without a record may have made its call all the same. */
  readonly again: boolean;
}

interface Pending {
  /** The engine has begun it on this node. */
  performed: boolean;
  readonly ended: PromiseWithResolvers<EndedStep>;
  begin: (() => Promise<EndedStep>) | undefined;
  group: Pick<CancelScope<CancelCause>, "cause"> | undefined;
}

/**
 * An attempt on the node that executes it now. The engine begins its steps one by one, and they are canceled together. Steps that ended on
 * another node are only recorded. Main thread only.
 */
export class AttemptExecution implements ByOrderId {
  readonly scope = new CancelScope<CancelCause>();
  readonly token: string;
  readonly input: AttemptInput;
  readonly requestId: string | undefined;
  nextInBucket: ByOrderId | undefined;
  readonly startedAtMs = monotonicMs();
  // Wall clock less monotonic clock, the same for all steps: of two failures the earlier one counts.
  readonly #sinceMs = Date.now() - this.startedAtMs;
  readonly #again: boolean;
  readonly #steps: Readonly<Record<StepName, Pending>> = perStep(pending);
  readonly #stopTimer: () => void;

  /** Throws when the step runner has no room. */
  constructor(pipeline: Pipeline, { input, requestId, urgency, token, timeLeftMs, again }: ExecutionOptions) {
    this.input = input;
    this.token = token;
    this.requestId = requestId;
    this.#again = again;
    this.#stopTimer = this.scope.cancelAfter(timeLeftMs);
    const intercept = (name: StepName, group: CancelScope<CancelCause>, begin: () => Promise<EndedStep>) => {
      this.#steps[name].begin = begin;
      this.#steps[name].group = group;
      return this.#steps[name].ended.promise;
    };
    // The pipeline's own outcome is not used: the answer is made from the records.
    pipeline.runIntercepted(input, this.scope, urgency, intercept).then(this.#stopTimer, this.#stopTimer);
  }

  get orderId(): string {
    return this.input.orderId;
  }

  /** Runs a step to its end on this node's threads. Once for each step. Never rejects. */
  async perform(name: StepName): Promise<StepRecord> {
    const { begin, group, ended } = this.#steps[name];
    this.#steps[name].performed = true;
    let end: EndedStep;
    try {
      if (begin === undefined) throw new Error(`the step ${name} was never asked for`);
      end = await begin();
    } catch (error) {
      end = { outcome: failureOf(error), endedAtMs: monotonicMs() };
    }
    if (this.#again) end = { ...end, outcome: inDoubt(end.outcome) };
    const cause = group?.cause;
    ended.resolve(end);
    return {
      outcome: end.outcome,
      durationMs: Math.max(0, Math.round(end.endedAtMs - this.startedAtMs)),
      endedMs: end.endedAtMs + this.#sinceMs,
      ...(end.startedAtMs !== undefined && { startedMs: end.startedAtMs + this.#sinceMs }),
      ...(end.threadId !== undefined && { threadId: end.threadId }),
      ...(cause !== undefined && { cause }),
    };
  }

  /** The engine has the record of a step. Does nothing for a step that ended here. */
  recorded(name: StepName, { outcome, endedMs }: StepRecord): void {
    this.#steps[name].ended.resolve({ outcome, endedAtMs: this.localMs(endedMs) });
  }

  /** A record's time on this process's clock. */
  localMs(epochMs: number): number {
    return epochMs - this.#sinceMs;
  }

  cancel(cause: CancelCause): void {
    this.scope.cancel(cause);
  }

  /** The attempt ends here without its end: another node goes on with it. Cancels its steps. */
  abandon(): void {
    this.#stopTimer();
    this.scope.cancel("shutdown");
    // A step that never began here does not end by itself, and the group waits for it.
    for (const name of STEPS) {
      const { performed, ended } = this.#steps[name];
      if (!performed) ended.resolve({ outcome: { status: "canceled", cause: "shutdown", effect: "unknown" }, endedAtMs: monotonicMs() });
    }
  }
}

function pending(): Pending {
  return { performed: false, ended: Promise.withResolvers(), begin: undefined, group: undefined };
}

function failureOf(error: unknown): StepOutcome {
  // Canceled while it waited for capacity: it never reached a thread.
  if (error instanceof Canceled) return { status: "canceled", cause: orderCause(error.causedBy), effect: "none" };
  return { status: "lost", reason: String(error), effect: "unknown" };
}

function inDoubt(outcome: StepOutcome): StepOutcome {
  return outcome.status === "failed" || outcome.status === "canceled" ? { ...outcome, effect: "unknown" } : outcome;
}
