import type { CompensationProgress } from "./answer.ts";
import type { Attempt } from "./attempt.ts";
import type { OrderOutcome } from "./outcome.ts";

/** An attempt at an order that has ended, as it was stored, for metrics, logs and traces. */
export interface EndedOrder extends Pick<Attempt, "input" | "requestId" | "parentSpanId" | "receivedAtMs"> {
  readonly outcome: OrderOutcome;
  /** What had to be compensated, and how far it was when the answer was stored. */
  readonly compensations: readonly CompensationProgress[];
  /** When its answer was stored, on the clock of `monotonicMs`. */
  readonly storedAtMs: number;
}

/** Called once for each attempt, before its answer is sent. Must not throw, and must be quick because the answer waits for it. */
export type OnOrderEnded = (order: EndedOrder) => void;
