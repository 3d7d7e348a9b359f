import type { CanceledOutcome, CancelScope, Ended, FailedOutcome, LostOutcome, RunningTask, SlotGroup, Threads } from "../threads/index.ts";
import { orderCause } from "./cancel-cause.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "./step.ts";
import type { StepGroup, StepRunner, StepSpec } from "./step-runner.ts";
import { CALLING, parseStepFailure, stepOf, taskOf } from "./step-task.ts";

/** Called for a step that threw what nobody had classified. */
export type OnBug = (step: string, orderId: string, stack: string) => void;

/** Runs steps on the step threads. What orders need and other users of threads do not is in here. Main thread only. */
export class ThreadStepRunner implements StepRunner {
  readonly #threads: Pick<Threads, "open">;
  readonly #onBug: OnBug;

  constructor(threads: Pick<Threads, "open">, onBug: OnBug) {
    this.#threads = threads;
    this.#onBug = onBug;
  }

  open(scope: CancelScope, priority?: number): StepGroup {
    return new ThreadStepGroup(this.#threads.open(scope, priority, this.#endOf));
  }

  readonly #endOf = (ended: Ended, task: RunningTask): EndedStep => {
    if (ended.outcome.status === "ok") return ended as EndedStep;
    const { outcome, endedAtMs, startedAtMs, threadId, tries } = ended;
    const said = outcome.status === "failed" ? this.#failureOf(outcome, task) : notOk(outcome);
    // An earlier try that was lost with its thread may have had its effect, whatever the last one says of itself.
    return { outcome: tries > 1 ? { ...said, effect: "unknown" } : said, endedAtMs, startedAtMs, threadId };
  };

  #failureOf({ data, error, progress, message }: FailedOutcome, task: RunningTask): NotOk {
    const failure = parseStepFailure(data);
    if (failure !== undefined) {
      const [kind, effect, answer, unavailable] = failure;
      if (answer === undefined && unavailable === undefined) return { status: "failed", kind, effect };
      return { status: "failed", kind, effect, ...(answer !== undefined && { answer }), ...(unavailable !== undefined && { unavailable }) };
    }
    this.#onBug(stepOf(task.name).name, (task.input as AttemptInput).orderId, error?.stack ?? message);
    return { status: "failed", kind: "internal", effect: progress === CALLING ? "unknown" : "none" };
  }
}

type NotOk = Exclude<StepOutcome, { status: "ok" }>;

function notOk(outcome: CanceledOutcome | LostOutcome): NotOk {
  // Where no thread got it, it made no call.
  if (outcome.status === "lost") return { status: "lost", reason: outcome.reason, effect: outcome.started ? "unknown" : "none" };
  const mayHaveActed = outcome.started && (!outcome.stopped || outcome.progress === CALLING);
  return { status: "canceled", cause: orderCause(outcome.cause), effect: mayHaveActed ? "unknown" : "none" };
}

const ON_EXCLUSIVE = { on: "exclusive" } as const;
const IDEMPOTENT = { idempotent: true } as const;
const BOTH = { ...ON_EXCLUSIVE, ...IDEMPOTENT } as const;

class ThreadStepGroup implements StepGroup {
  readonly #group: SlotGroup;

  constructor(group: SlotGroup) {
    this.#group = group;
  }

  run({ name, action, computes, retryable }: StepSpec, input: AttemptInput): Promise<EndedStep> {
    const options = computes ? (retryable ? BOTH : ON_EXCLUSIVE) : retryable ? IDEMPOTENT : undefined;
    return this.#group.run(taskOf(name, action), input, options).ended as Promise<EndedStep>;
  }

  close(): void {
    this.#group.close();
  }
}
