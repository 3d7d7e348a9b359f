import type { Config } from "../config.ts";
import { perStep, type StepName, stepSetting } from "../orders/steps.ts";
import { Capacity, type CapacityOptions } from "../threads/index.ts";

// Of the deadline. About what the simulated providers take of the default one.
const ASSUMED_HOLD_SHARE = 1 / 20;

/** The options of every wait for a capacity or for a thread of the exclusive pool. */
export function waitingOf({ ORDER_TIMEOUT_MS }: Config): CapacityOptions {
  return { endsHopelessWaits: true, assumedMs: ORDER_TIMEOUT_MS * ASSUMED_HOLD_SHARE, halfLifeMs: ORDER_TIMEOUT_MS };
}

/** How many steps of each kind this process runs at one time. `courier`: where the nodes of a cluster share the couriers. */
export function capacitiesOf(config: Config, courier?: Capacity): Readonly<Record<StepName, Capacity>> {
  const waiting = waitingOf(config);
  const own = (step: StepName) => new Capacity(config[stepSetting(step, "CAPACITY")], waiting);
  return perStep((step) => (step === "courier" ? (courier ?? own(step)) : own(step)));
}
