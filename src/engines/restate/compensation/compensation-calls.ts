import { Canceled } from "../../../concurrency/cancel-cause.ts";
import { CancelScope } from "../../../concurrency/cancel-scope.ts";
import { Capacity } from "../../../concurrency/capacity.ts";
import { type Clock, monotonicMs, SYSTEM_CLOCK } from "../../../concurrency/clock.ts";
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
import type { StepInput } from "../../../orders/step.ts";
import { perStep, STEPS, type StepName } from "../../../orders/steps.ts";
import type { EndpointHealth } from "../../../retries/endpoint-health.ts";

export interface CompensationCallsOptions extends CompensationCallParts, Omit<CompensationHealthParts, "clock"> {
  /** A try that no order waits for has ended, whatever came of it. */
  readonly onRetried?: (retry: RetriedCompensation) => void;
  readonly clock?: Clock;
}

/** `first`: an order waits for it. `now`: an operator wants it, whatever the provider's health. */
export type CompensationTurn = "first" | "retry" | "now";

/** This node stops: its part of the work goes on at another. */
export class NodeStops extends Error {}

interface Bulkhead {
  readonly health: EndpointHealth;
  readonly first: Capacity;
  readonly retry: Capacity;
}

/**
 * The calls that compensate, as far as this node makes them: a bulkhead and a health for each provider, as with the embedded engine, but no
 * queue, for the engine keeps what waits. Main thread only.
 */
export class CompensationCalls {
  readonly #options: CompensationCallsOptions;
  readonly #bulkheads: Readonly<Record<StepName, Bulkhead>>;
  readonly #stop = new CancelScope();

  constructor(options: CompensationCallsOptions) {
    this.#options = options;
    this.#bulkheads = perStep((step) => ({
      health: compensationHealth(step, { clock: SYSTEM_CLOCK, ...options }),
      first: new Capacity(FIRST_TRIES),
      retry: new Capacity(RETRIES),
    }));
  }

  /** Calls under way. */
  get inFlight(): number {
    return STEPS.reduce((sum, step) => sum + this.#bulkheads[step].health.inFlight, 0);
  }

  /**
   * Tries once. Undefined when it came to no call, because the provider is down or its bulkhead has been full for too long. Throws
   * `NodeStops` after `stop`, also when that has cut the call off, and when the step runner has no room.
   */
  async attempt(turn: CompensationTurn, step: StepName, input: StepInput, triesBefore: number): Promise<Tried | undefined> {
    const { health, first, retry } = this.#bulkheads[step];
    this.#throwIfStopped();
    if (turn === "now") return this.#retry(health, step, input, triesBefore);
    // While it is down a retry in good time is the probe; an order has no time for that.
    if (turn === "first" ? health.down || health.paused : !health.mayStart) return undefined;
    const line = new CancelScope();
    const leaveLine = line.cancelAfter(LINE_MS);
    try {
      using _permit = await (turn === "first" ? first : retry).acquire(line);
      this.#throwIfStopped();
      if (turn === "first") return await this.#call(health, step, input, triesBefore);
      return health.mayStart ? await this.#retry(health, step, input, triesBefore) : undefined;
    } catch (error) {
      if (error instanceof Canceled) return undefined;
      throw error;
    } finally {
      leaveLine();
    }
  }

  /** Cuts off what is under way. */
  stop(): void {
    this.#stop.cancel("shutdown");
    for (const step of STEPS) this.#bulkheads[step].health.close();
  }

  async #retry(health: EndpointHealth, step: StepName, input: StepInput, tries: number): Promise<Tried> {
    const startedAtMs = monotonicMs();
    const tried = await this.#call(health, step, input, tries);
    this.#options.onRetried?.({ input, step, tries, done: tried.done, startedAtMs, endedAtMs: monotonicMs() });
    return tried;
  }

  async #call(health: EndpointHealth, step: StepName, input: StepInput, tries: number): Promise<Tried> {
    const tried = await compensateOnce(this.#options, health, this.#stop, step, input, tries);
    if (tried === undefined) throw new NodeStops("this node stops");
    return tried;
  }

  #throwIfStopped(): void {
    if (this.#stop.cause !== undefined) throw new NodeStops("this node stops");
  }
}
