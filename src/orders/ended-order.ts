import type { OrderOutcome } from "./outcome.ts";
import type { StepInput } from "./step.ts";

/** An attempt at an order that has ended, for whoever counts, logs or traces: what was stored and is told. */
export interface EndedOrder {
  readonly input: StepInput;
  /** Of the HTTP request that began it. */
  readonly requestId: string | undefined;
  readonly outcome: OrderOutcome;
  /** When its answer was stored, on the clock of `monotonicMs`. */
  readonly storedAtMs: number;
}

/** Called once for each attempt, before its answer goes out. Must not throw and not take long: the answer waits for it. */
export type OnOrderEnded = (order: EndedOrder) => void;
