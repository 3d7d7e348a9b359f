import { randomUUID } from "node:crypto";
import type { OnFault } from "../../../orders/faults.ts";
import type { StepRunner } from "../../../orders/step-runner.ts";
import type { Capacity } from "../../../threads/index.ts";
import type { Couriers } from "../../engine.ts";
import type { Ingress } from "../client/ingress.ts";
import type { LeaseAnswer } from "./allocation.ts";
import { CourierCalls } from "./courier-calls.ts";
import { COURIER_LEASE, COURIER_LEASE_KEY } from "./courier-lease.ts";
import { LeaseHolder } from "./lease-holder.ts";

export interface CourierLeasesOptions {
  readonly ingress: Ingress;
  /** Couriers of the whole cluster. */
  readonly total: number;
  readonly cancelGraceMs: number;
  /** How long they may be used after the last renewal was sent. */
  readonly useMs: number;
}

/** This node's part of the couriers that all nodes share. Main thread only. */
export class CourierLeases implements Couriers {
  readonly #options: CourierLeasesOptions;
  #calls: CourierCalls | undefined;
  #holder: LeaseHolder | undefined;

  constructor(options: CourierLeasesOptions) {
    this.#options = options;
  }

  readonly onWait = (): void => this.#holder?.onWait();

  watch(runner: StepRunner): StepRunner {
    this.#calls = new CourierCalls(runner, () => this.#holder?.held ?? 0);
    return this.#calls;
  }

  /** From now on `capacity` has the limit that the cluster grants. */
  hold(capacity: Capacity, onFault: OnFault): void {
    const { ingress, total, cancelGraceMs, useMs } = this.#options;
    this.#holder = new LeaseHolder({
      capacity,
      total,
      // A node that starts again is another one: it must not keep what it held before.
      node: randomUUID(),
      cancelGraceMs,
      useMs,
      sync: (body, timeoutMs) =>
        ingress.call<LeaseAnswer>({ object: COURIER_LEASE, key: COURIER_LEASE_KEY, handler: "sync", body, timeoutMs }),
      cutOff: () => this.#calls?.cutOff(),
      onHeld: () => this.#calls?.resume(),
      onFault: (error) => onFault("couriers cannot be shared with the other nodes", error),
    });
  }

  async stop(): Promise<void> {
    await this.#holder?.stop();
  }
}
