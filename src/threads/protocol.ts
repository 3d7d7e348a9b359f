import type { MessagePort } from "node:worker_threads";
import type { SpanData } from "../orders/span-data.ts";
import type { StepOutcome } from "../orders/step.ts";
import type { StepSpec } from "../orders/step-runner.ts";
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
 * One step on its way to a thread. Slot and generation name its group; `id` is unique while the process lives. What follows the action is
 * the step's input: flat, because the clone of an object has its field names in it.
 */
export type StepMessage = readonly [
  id: number,
  slot: number,
  generation: number,
  name: string,
  action: StepSpec["action"],
  orderId: string,
  amount: number,
  attempt: number,
  traceparent: string | undefined,
  fails: boolean,
  delayMs: number | undefined,
  cpuMs: number | undefined,
];

/**
 * The one Piscina task of a thread lasts as long as the thread: a Piscina task for each step would cost the main thread several times as
 * much. The main thread posts `StepMessage[]` through its port, and the thread posts `OutcomeEntry[]` back.
 */
export type StandingTask = MessagePort;

export type NotOk = Exclude<StepOutcome, { status: "ok" }>;

/** Which step, when the step began and ended (`monotonicMs`), and how; null stands for ok, the outcome of almost all. */
export type OutcomeEntry = readonly [id: number, slot: number, startedAtMs: number, endedAtMs: number, outcome: NotOk | null];

/** What a thread posts beside its outcomes; comes out of the pool as its `message` event. */
export type ThreadMessage = ReadyMessage | LogMessage | SpansMessage;

/** The thread has loaded its worker file and claimed this tracker row. */
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
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}
