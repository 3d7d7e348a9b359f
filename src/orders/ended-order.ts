import type { CompensationProgress } from "./answer.ts";
import type { OrderOutcome } from "./outcome.ts";
import type { AttemptInput } from "./step.ts";

/** An attempt at an order that has ended, as it was stored, for metrics, logs and traces. */
export interface EndedOrder {
  readonly input: AttemptInput;
  /** Of the HTTP request that began it. */
  readonly requestId: string | undefined;
  readonly outcome: OrderOutcome;
  /** What had to be compensated, and how far it was when the answer was stored. */
  readonly compensations: readonly CompensationProgress[];
  /** When that request asked for it, on the clock of `monotonicMs`. */
  readonly receivedAtMs: number;
  /** The client's span, where `input.traceparent` names the order's own; undefined for the root of a trace. */
  readonly parentSpanId: string | undefined;
  /** When its answer was stored, on the same clock. */
  readonly storedAtMs: number;
}

/** Called once for each attempt, before its answer is sent. Must not throw, and must be quick because the answer waits for it. */
export type OnOrderEnded = (order: EndedOrder) => void;
