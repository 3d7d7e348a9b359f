import type { SpanData } from "../orders/span-data.ts";
import type { StepInput, StepOutcome } from "../orders/step.ts";
import type { LayoutHandle } from "./layout.ts";

/** Given to every thread at its start, as `workerData`. */
export interface ThreadSetup {
  readonly layout: LayoutHandle;
  /** Whatever the worker file's steps need to know, e.g. where the providers are. Plain data. */
  readonly settings: unknown;
  /** Whether steps have spans where their order is sampled. */
  readonly tracing: boolean;
}

/**
 * One step on its way to a thread. `id` is unique in its pool while the process lives. `deadlineMs`, on the clock of
 * `monotonicMs`, is for the step to know (null: none): it is the main thread that cancels.
 */
export type StepMessage = readonly [
  id: number,
  slot: number,
  name: string,
  action: "do" | "undo",
  deadlineMs: number | null,
  input: StepInput,
];

/**
 * The payload of one Piscina task: all steps of one event-loop turn for one thread. As JSON text, because V8 writes and parses
 * a text in two thirds of the time it takes to clone the same arrays. Each side empties its own copy once it is through, for
 * Piscina holds on to both until the last step has ended, which may take minutes.
 */
export interface Batch {
  /** Of `StepMessage[]`. */
  json: string;
}

/** Step id, when it began and ended (`monotonicMs`), and how; null stands for ok, the outcome of almost all. */
export type OutcomeEntry = readonly [
  id: number,
  startedAtMs: number,
  endedAtMs: number,
  outcome: Exclude<StepOutcome, { status: "ok" }> | null,
];

/** What a thread posts beside the results of its tasks; comes out of the pool as its `message` event. */
export type ThreadMessage = OutcomesMessage | ReadyMessage | LogMessage | SpansMessage;

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

export interface SpansMessage {
  readonly type: "spans";
  readonly spans: readonly SpanData[];
}

export interface LogMessage {
  readonly type: "log";
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
