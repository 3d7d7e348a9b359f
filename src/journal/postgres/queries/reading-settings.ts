import { PLAN_SETTINGS } from "../plan-settings.ts";

/** Settings of the sessions that read. A read stops at its limit, so nothing is gained by several processes or by compiling it. */
export const READING_SETTINGS = {
  ...PLAN_SETTINGS,
  max_parallel_workers_per_gather: 0,
  jit: "off",
  statement_timeout: 5_000,
} as const;
