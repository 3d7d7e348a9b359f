import { HoldTime } from "../../../src/threads/permits/hold-time.ts";
import type { Cause } from "../causes.ts";

/** Granted: the permit is the waiter's, which has not run yet. Accepted: it has run, its caller has not. */
export type AskState = "queued" | "granted" | "accepted" | "held" | "released" | "failed";

export interface Ask {
  state: AskState;
  readonly scope: ModelScope | undefined;
  /** As a holder it releases from inside its cancel listener, the earliest moment there is. */
  readonly eager: boolean;
  readonly urgency: number;
  /** When it came, in units of time. */
  readonly cameAt: number;
  /** When its permit was granted, where that is measured. */
  since: number | undefined;
  failure: Cause | undefined;
}

export interface ModelScope {
  /** In units of time; undefined without one. */
  readonly deadline: number | undefined;
  cause: Cause | undefined;
  /** In the order of subscribing, with the state in which the entry counts. */
  readonly listeners: { readonly ask: Ask; readonly as: "queued" | "held" }[];
}

// As in the service: of the grants nobody waited for only some are measured.
const MEASURED_GRANTS = 4;

/**
 * What a `Capacity` should do, written the obvious way: one array for the queue and one for the
 * microtasks that are due, so that a test can say how far the event loop has come. Time passes when the test says so; a level of
 * urgency is worth one unit of it.
 */
export class CapacityModel {
  readonly limit: number;
  readonly asks: Ask[] = [];
  readonly queue: Ask[] = [];
  readonly #due: Ask[] = [];
  readonly #held = new HoldTime();
  now = 0;
  #grants = 0;
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

  acquire(scope: ModelScope | undefined, eager: boolean, urgency: number): void {
    const canceled = scope?.cause;
    const free = this.#free();
    const state = canceled !== undefined ? "failed" : free ? "accepted" : "queued";
    const since = state === "accepted" ? this.#measure() : undefined;
    const ask: Ask = { state, scope, eager, urgency, cameAt: this.now, since, failure: canceled };
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
    const rest = { scope: undefined, eager: false, urgency: 0, cameAt: this.now, failure: undefined };
    if (free) this.asks.push({ state: "held", since: this.#measure(), ...rest });
    else this.#met.add("tryAcquire refused");
    return free;
  }

  release(ask: Ask): void {
    ask.state = "released";
    if (ask.since !== undefined) this.#held.add(this.now - ask.since);
    this.#handOn();
  }

  cancel(scope: ModelScope, cause: Cause): void {
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

  #measure(): number | undefined {
    return this.#grants++ % MEASURED_GRANTS === 0 ? this.now : undefined;
  }

  #handOn(): void {
    for (let next = this.#first(); next !== undefined; next = this.#first()) {
      this.queue.splice(this.queue.indexOf(next), 1);
      if (next.scope?.deadline !== undefined && this.now + this.#held.shortestMs > next.scope.deadline) {
        this.#met.add("hopeless");
        this.#fail(next, next.scope.cause ?? "deadline");
        this.cancel(next.scope, "deadline");
        continue;
      }
      this.#met.add("granted after a wait");
      next.state = "granted";
      next.since = this.now;
      this.#due.push(next);
      return;
    }
  }

  #first(): Ask | undefined {
    const inOrder = this.queue.toSorted((a, b) => a.cameAt + a.urgency - (b.cameAt + b.urgency) || a.urgency - b.urgency);
    const first = inOrder[0];
    if (first !== undefined && first !== this.queue[0]) this.#met.add("overtaken");
    if (inOrder.some((ask) => first !== undefined && ask.urgency < first.urgency)) this.#met.add("aged");
    return first;
  }

  #fail(ask: Ask, cause: Cause): void {
    ask.state = "failed";
    ask.failure = cause;
  }
}
