import type { Cause } from "../causes.ts";

/** Granted: the permit is the waiter's, which has not run yet. Accepted: it has run, its caller has not. */
export type AskState = "queued" | "granted" | "accepted" | "held" | "released" | "failed";

export interface Ask {
  state: AskState;
  readonly scope: ModelScope | undefined;
  /** As a holder it releases from inside its cancel listener, the earliest moment there is. */
  readonly eager: boolean;
  readonly priority: number;
  /** When it came, in units of time. */
  readonly cameAt: number;
  /** When its permit was granted. */
  since: number;
  isMeasured: boolean;
  failure: Cause | undefined;
}

export interface ModelScope {
  /** In units of time; undefined without one. */
  readonly deadline: number | undefined;
  cause: Cause | undefined;
  /** In the order of subscribing, with the state in which the entry counts. */
  readonly listeners: { readonly ask: Ask; readonly as: "queued" | "held" }[];
}

// As in the service: of the grants that nobody waited for only some are measured, unless somebody waits when they end, or somebody was turned
// away and no hold has been measured since.
const MEASURED_GRANTS = 4;
const RECENT_HOLDS = 32;
export const WEIGHTS = [4, 2, 1] as const;

/**
 * What a `Capacity` should do, written the obvious way: one array for the queue and one for the
 * microtasks that are due, so that a test can say how far the event loop has come. Time passes when the test says so.
 */
export class CapacityModel {
  readonly limit: number;
  readonly asks: Ask[] = [];
  readonly queue: Ask[] = [];
  readonly #due: Ask[] = [];
  readonly #holds: number[] = [];
  #isDoubted = false;
  /** By priority: when its next waiter starts, in virtual time. */
  readonly #starts = [0, 0, 0];
  #virtual = 0;
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

  acquire(scope: ModelScope | undefined, eager: boolean, priority: number): void {
    const canceled = scope?.cause;
    const free = this.#free();
    const state = canceled !== undefined ? "failed" : free ? "accepted" : "queued";
    const ask: Ask = {
      state,
      scope,
      eager,
      priority,
      cameAt: this.now,
      since: this.now,
      isMeasured: state === "accepted" && this.#isMeasured(),
      failure: canceled,
    };
    this.asks.push(ask);
    if (canceled !== undefined) this.#met.add(free ? "canceled before, permit free" : "canceled before");
    else if (free) this.#due.push(ask);
    else {
      this.#starts[priority] = this.#startOf(priority);
      this.queue.push(ask);
      scope?.listeners.push({ ask, as: "queued" });
    }
  }

  tryAcquire(): boolean {
    const free = this.#free();
    const rest = { scope: undefined, eager: false, priority: 1, cameAt: this.now, failure: undefined };
    if (free) this.asks.push({ state: "held", since: this.now, isMeasured: this.#isMeasured(), ...rest });
    else this.#met.add("tryAcquire refused");
    return free;
  }

  release(ask: Ask): void {
    ask.state = "released";
    if (this.queue.length > 0 || ask.isMeasured || this.#isDoubted) {
      this.#holds.push(this.now - ask.since);
      this.#isDoubted = false;
    }
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

  #handOn(): void {
    while (this.inUse < this.limit) {
      const next = this.#first();
      if (next === undefined) return;
      const shortest = Math.min(...this.#holds.slice(-RECENT_HOLDS));
      const isHopeless = next.scope?.deadline !== undefined && this.#holds.length > 0 && this.now + shortest > next.scope.deadline;
      this.queue.splice(this.queue.indexOf(next), 1);
      if (isHopeless && next.scope !== undefined && this.queue.length > 0) {
        this.#met.add("hopeless");
        this.#isDoubted = true;
        this.#fail(next, next.scope.cause ?? "deadline");
        this.cancel(next.scope, "deadline");
        continue;
      }
      this.#met.add(isHopeless ? "hopeless, but alone" : "granted after a wait");
      this.#virtual = this.#starts[next.priority] as number;
      this.#starts[next.priority] = this.#virtual + 1 / (WEIGHTS[next.priority] as number);
      next.state = "granted";
      next.since = this.now;
      next.isMeasured = true;
      this.#grants++;
      this.#due.push(next);
    }
  }

  #isMeasured(): boolean {
    return this.#grants++ % MEASURED_GRANTS === 0;
  }

  #startOf(priority: number): number {
    const start = this.#starts[priority] as number;
    return this.queue.some((ask) => ask.priority === priority) ? start : Math.max(start, this.#virtual);
  }

  #first(): Ask | undefined {
    const inOrder = this.queue.toSorted((a, b) => this.#startOf(a.priority) - this.#startOf(b.priority) || a.priority - b.priority);
    const first = inOrder[0];
    if (first !== undefined && first !== this.queue[0]) this.#met.add("overtaken");
    if (inOrder.some((ask) => first !== undefined && ask.priority < first.priority)) this.#met.add("a lower priority first");
    return first;
  }

  #fail(ask: Ask, cause: Cause): void {
    ask.state = "failed";
    ask.failure = cause;
  }
}
