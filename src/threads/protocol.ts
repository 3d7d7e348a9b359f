import type { StepInput, StepOutcome } from "../orders/step.ts";
import type { LayoutHandle } from "./layout.ts";

/** Given to every thread at its start, as `workerData`. */
export interface ThreadSetup {
  readonly layout: LayoutHandle;
  /** Whatever the worker file's steps need to know, e.g. where the providers are. Plain data. */
  readonly settings: unknown;
}

/**
 * One step on its way to a thread. `input` is the same object for all steps of an order: structured clone
 * writes it once a batch and a back reference for the others.
 */
export interface StepMessage {
  /** Unique in its pool while the process lives. */
  readonly id: number;
  readonly slot: number;
  readonly name: string;
  readonly action: "do" | "undo";
  /** On the clock of `monotonicMs`. For the step to know: it is the main thread that cancels. */
  readonly deadlineMs: number | undefined;
  readonly input: StepInput;
}

/** The payload of one Piscina task: all steps of one event-loop turn for one thread. Each side empties its own array once it is through. */
export type Batch = StepMessage[];

/** Step id, when it ended (`monotonicMs`), and how; null stands for ok, the outcome of almost all. */
export type OutcomeEntry = readonly [id: number, endedAtMs: number, outcome: Exclude<StepOutcome, { status: "ok" }> | null];

/** What a thread posts beside the results of its tasks; comes out of the pool as its `message` event. */
export type ThreadMessage = OutcomesMessage | ReadyMessage | LogMessage;

export interface OutcomesMessage {
  readonly type: "outcomes";
  readonly entries: readonly OutcomeEntry[];
}

/** The thread's first message: it has claimed this tracker row. */
export interface ReadyMessage {
  readonly type: "ready";
  readonly threadId: number;
  readonly row: number;
}

export interface LogMessage {
  readonly type: "log";
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
