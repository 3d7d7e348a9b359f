import { Capacity } from "../concurrency/capacity.ts";
import type { Config } from "../config.ts";
import type { OpenEngine } from "../engines/engine.ts";
import type { StepName } from "../orders/step.ts";

// Seven levels of urgency then come to less than a fifth of the deadline, which is what admission leaves for being overtaken.
const AGING_SHARE = 1 / 40;

/** How waits for capacity and for threads go. */
export function waitingOf(config: Config) {
  return { agingMs: config.ORDER_TIMEOUT_MS * AGING_SHARE, endsHopelessWaits: true };
}

/** How many steps of each kind this process runs at one time. Where nodes share the couriers, the engine is told who waits for one. */
export function capacitiesOf(config: Config, { couriers }: OpenEngine): Readonly<Record<StepName, Capacity>> {
  const waiting = waitingOf(config);
  return {
    payment: new Capacity(config.PAYMENT_CAPACITY, waiting),
    vendor: new Capacity(config.VENDOR_CAPACITY, waiting),
    courier: new Capacity(config.COURIER_CAPACITY, { ...waiting, ...(couriers && { onWait: couriers.onWait }) }),
  };
}
