import type { FaultRateSettings } from "../../load/stand-in/fault-rates.ts";

/**
 * The deadline of an order, in times of a quiet one: on a bad day an order takes more calls, and the machine may become
 * slower than it was when it was measured.
 */
export const DEADLINE_TIMES = 5;

/**
 * A bad day: failing, slow, hanging-up and late-answering providers, down now and then. How late and how slow are shares
 * of the order's deadline, so that at every deadline some calls meet it, some miss it and some come after their compensation.
 */
export function badDay(deadlineMs: number): FaultRateSettings {
  const share = (least: number, most: number) => [Math.ceil(deadlineMs * least), Math.ceil(deadlineMs * most)] as const;
  return {
    refuse: 0.03,
    failBefore: 0.02,
    failAfter: 0.02,
    hangUpBefore: 0.02,
    hangUpAfter: 0.02,
    hangUpHalfway: 0.02,
    late: 0.04,
    endless: 0.005,
    down: 0.0005,
    slow: 0.3,
    slowMs: share(0, 0.24),
    lateMs: share(0.08, 1.6),
    downMs: [20, 150],
  };
}
