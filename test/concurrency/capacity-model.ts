import type { CancelCause } from "../../src/concurrency/cancel-cause.ts";

/** Granted: the permit is the waiter's, which has not run yet. Accepted: it has run, its caller has not. */
export type AskState = "queued" | "granted" | "accepted" | "held" | "released" | "failed";

export interface Ask {
  state: AskState;
  readonly scope: ModelScope | undefined;
  /** As a holder it releases from inside its cancel listener, the earliest moment there is. */
  readonly eager: boolean;
  failure: CancelCause | undefined;
}

export interface ModelScope {
  cause: CancelCause | undefined;
  /** In the order of subscribing, with the state in which the entry counts. */
  readonly listeners: { readonly ask: Ask; readonly as: "queued" | "held" }[];
}

/**
 * What a `Capacity` should do, written the obvious way: one array for the queue and one for the
 * microtasks that are due, so that a test can say how far the event loop has come.
 */
export class CapacityModel {
  readonly limit: number;
  readonly asks: Ask[] = [];
  readonly queue: Ask[] = [];
  readonly #due: Ask[] = [];
  /** Which meetings have happened: a run that never sees one would prove nothing about it. */
  readonly #met: Set<string>;

  constructor(limit: number, met: Set<string>) {
    this.limit = limit;
    this.#met = met;
  }

  get inUse(): number {
    return this.asks.filter(({ state }) => state === "granted" || state === "accepted" || state === "held").length;
  }

  get hasDue(): boolean {
    return this.#due.length > 0;
  }

  inState(state: AskState): Ask[] {
    return this.asks.filter((ask) => ask.state === state);
  }

  /** How many listeners the scope should have now. */
  listenersOn(scope: ModelScope): number {
    return scope.cause === undefined ? scope.listeners.filter(({ ask, as }) => ask.state === as).length : 0;
  }

  acquire(scope: ModelScope | undefined, eager: boolean): void {
    const canceled = scope?.cause;
    const free = this.#free();
    const state = canceled !== undefined ? "failed" : free ? "accepted" : "queued";
    const ask: Ask = { state, scope, eager, failure: canceled };
    this.asks.push(ask);
    if (canceled !== undefined) this.#met.add(free ? "canceled before, permit free" : "canceled before");
    else if (free) this.#due.push(ask);
    else {
      this.queue.push(ask);
      scope?.listeners.push({ ask, as: "queued" });
    }
  }

  tryAcquire(): boolean {
    const free = this.#free();
    if (free) this.asks.push({ state: "held", scope: undefined, eager: false, failure: undefined });
    else this.#met.add("tryAcquire refused");
    return free;
  }

  release(ask: Ask): void {
    ask.state = "released";
    this.#handOn();
  }

  cancel(scope: ModelScope, cause: CancelCause): void {
    if (scope.cause !== undefined) return;
    for (const ask of this.asks) if (ask.scope === scope) this.#met.add(`canceled while ${ask.state}`);
    scope.cause = cause;
    for (const { ask, as } of scope.listeners) {
      if (ask.state !== as) continue;
      if (as === "held") this.release(ask);
      else {
        this.queue.splice(this.queue.indexOf(ask), 1);
        this.#fail(ask, cause);
      }
    }
  }

  /** Runs the microtasks due now; those they make are due at the next turn. */
  turn(): void {
    for (const ask of this.#due.splice(0)) {
      const cause = ask.scope?.cause;
      if (ask.state === "granted" && cause !== undefined) {
        this.#met.add(this.queue.length > 0 ? "handed on" : "handed back");
        this.#fail(ask, cause);
        this.#handOn();
      } else if (ask.state === "granted") {
        ask.state = "accepted";
        this.#due.push(ask);
      } else {
        ask.state = "held";
        if (!ask.eager) continue;
        if (cause !== undefined) this.release(ask);
        else ask.scope?.listeners.push({ ask, as: "held" });
      }
    }
  }

  #free(): boolean {
    return this.queue.length === 0 && this.inUse < this.limit;
  }

  #handOn(): void {
    const next = this.queue.shift();
    if (next === undefined) return;
    this.#met.add("granted after a wait");
    next.state = "granted";
    this.#due.push(next);
  }

  #fail(ask: Ask, cause: CancelCause): void {
    ask.state = "failed";
    ask.failure = cause;
  }
}
