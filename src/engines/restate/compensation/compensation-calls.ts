import type { CancelCause } from "../../../orders/cancel-cause.ts";
import type { Tried } from "../../../orders/compensating.ts";
import {
  type CompensationCallParts,
  type CompensationHealthParts,
  compensateOnce,
  compensationHealth,
  FIRST_TRIES,
  LINE_MS,
  RETRIES,
  type RetriedCompensation,
} from "../../../orders/compensation-call.ts";
import type { AttemptInput } from "../../../orders/step.ts";
import { perStep, STEPS, type StepName } from "../../../orders/steps.ts";
import type { EndpointHealth } from "../../../retries/endpoint-health.ts";
import { CancelScope, Capacity, monotonicMs, SYSTEM_CLOCK } from "../../../threads/index.ts";
import { acquireWithin } from "../bulkhead.ts";
import { NodeStops } from "../durable-options.ts";

export interface CompensationCallsOptions extends CompensationCallParts, Omit<CompensationHealthParts, "clock"> {
  /** A try that no order waits for has ended, done or not. */
  readonly onRetried?: (retry: RetriedCompensation) => void;
}

/** Who makes a try: `first`, an order that waits for it; `retry`, its delayed call; `now`, an operator, whatever the provider's health. */
export type CompensationTurn = "first" | "retry" | "now";

interface Bulkhead {
  readonly health: EndpointHealth;
  readonly first: Capacity;
  readonly retry: Capacity;
}

/**
 * The calls of this node that compensate. Each provider has a bulkhead and a health, as with the embedded engine. There is no queue, because
 * the engine keeps what waits. Main thread only.
 */
export class CompensationCalls {
  readonly #options: CompensationCallsOptions;
  readonly #bulkheads: Readonly<Record<StepName, Bulkhead>>;
  readonly #stop = new CancelScope<CancelCause>();

  constructor(options: CompensationCallsOptions) {
    this.#options = options;
    this.#bulkheads = perStep((step) => ({
      health: compensationHealth(step, { ...options, clock: SYSTEM_CLOCK }),
      first: new Capacity(FIRST_TRIES),
      retry: new Capacity(RETRIES),
    }));
  }

  /**
   * Tries once. Undefined without a call: the provider is down, or its bulkhead has been full for too long. Throws `NodeStops` after `stop`,
   * which also cuts the call off, and throws when the step runner has no room.
   */
  async attempt(turn: CompensationTurn, step: StepName, input: AttemptInput, triesBefore: number): Promise<Tried | undefined> {
    const { health, first, retry } = this.#bulkheads[step];
    this.#throwIfStopped();
    if (turn === "now") return this.#retry(health, step, input, triesBefore);
    // While the provider is down a retry is its probe; an order has no time to be one.
    if (turn === "first" ? health.down || health.paused : !health.mayStart) return undefined;
    using permit = await acquireWithin(turn === "first" ? first : retry, LINE_MS);
    this.#throwIfStopped();
    if (permit === undefined) return undefined;
    if (turn === "first") return await this.#call(health, step, input, triesBefore);
    return health.mayStart ? await this.#retry(health, step, input, triesBefore) : undefined;
  }

  /** Cuts off the calls under way. */
  stop(): void {
    this.#stop.cancel("shutdown");
    for (const step of STEPS) this.#bulkheads[step].health.close();
  }

  async #retry(health: EndpointHealth, step: StepName, input: AttemptInput, tries: number): Promise<Tried> {
    const startedAtMs = monotonicMs();
    const tried = await this.#call(health, step, input, tries);
    this.#options.onRetried?.({ input, step, tries, done: tried.done, startedAtMs, endedAtMs: monotonicMs() });
    return tried;
  }

  async #call(health: EndpointHealth, step: StepName, input: AttemptInput, tries: number): Promise<Tried> {
    const tried = await compensateOnce(this.#options, health, this.#stop, step, input, tries);
    if (tried === undefined) throw new NodeStops();
    return tried;
  }

  #throwIfStopped(): void {
    if (this.#stop.cause !== undefined) throw new NodeStops();
  }
}
