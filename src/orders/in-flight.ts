import { Refused } from "./refused.ts";

/** The requests that an order service has admitted and not answered yet, and whether it admits more. Main thread only. */
export class InFlight {
  readonly #limit: number;
  #state: "starting" | "open" | "draining" = "starting";
  #count = 0;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count >= this.#limit;
  }

  /** From now on requests are admitted: recovery is over. Does nothing after `drain`. */
  open(): void {
    if (this.#state === "starting") this.#state = "open";
  }

  /** Throws `Refused` before `open` and after `drain`. */
  refuseUnlessOpen(): void {
    // Before recovery has closed what a crash left open, the journal would take a dead attempt for a running one.
    if (this.#state === "starting") throw new Refused("overloaded", "the server is starting");
    if (this.#state === "draining") throw new Refused("shutting_down", "the server is shutting down");
  }

  /** A request is admitted. One `leave` must follow. */
  enter(): void {
    this.#count++;
  }

  leave(): void {
    this.#count--;
    if (this.#count === 0) this.#drained?.resolve();
  }

  /** Admits no more. Resolves when every request has left. */
  drain(): Promise<void> {
    this.#state = "draining";
    this.#drained ??= Promise.withResolvers();
    if (this.#count === 0) this.#drained.resolve();
    return this.#drained.promise;
  }
}
