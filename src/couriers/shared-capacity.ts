import { type CancelScope, Capacity, type CapacityOptions, type Permit } from "../threads/index.ts";

/** Couriers of a cluster, as one node has them: none at first, then as many as `share` says. Main thread only. */
export class SharedCapacity extends Capacity {
  /** Called when somebody has to wait for a courier and nobody waited before. Must not throw. */
  onWait: (() => void) | undefined;
  #expected: number;
  #mostInUse = 0;

  constructor(total: number, options: CapacityOptions = {}) {
    super(total, options);
    this.#expected = total;
    this.resize(0);
  }

  /** How many to expect, 1 or more. A node that uses no courier holds none, and gets some when it asks: admission must not refuse for that. */
  override get limit(): number {
    return this.#expected;
  }

  /** `usable`: how many may be in use from now on. `expected`: its share; 0 says nothing new. */
  share(usable: number, expected: number): void {
    if (expected > 0) this.#expected = expected;
    this.resize(usable);
    this.#noteInUse();
  }

  /** The most that were in use at one time since it was asked last. */
  takeMostInUse(): number {
    const most = Math.max(this.#mostInUse, this.inUse);
    this.#mostInUse = 0;
    return most;
  }

  override tryAcquire(kind?: string, nowMs?: number): Permit | undefined {
    const permit = super.tryAcquire(kind, nowMs);
    this.#noteInUse();
    return permit;
  }

  override acquire(scope?: CancelScope, priority?: number, kind?: string): Promise<Permit> {
    const permit = super.acquire(scope, priority, kind);
    if (this.waiting === 1) this.onWait?.();
    return permit;
  }

  /** To be called wherever there may be more in use than before: a permit that comes back and is granted again changes nothing. */
  #noteInUse(): void {
    this.#mostInUse = Math.max(this.#mostInUse, this.inUse);
  }
}
