/**
 * Settings of the sessions that read. Plans are made once, maybe while the tables are empty and every plan looks cheap: what would walk or sort a
 * large table is out of the question. A read stops at its limit, so nothing is gained by several processes or by compiling it.
 */
export const READING_SETTINGS = {
  enable_seqscan: "off",
  enable_bitmapscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  max_parallel_workers_per_gather: 0,
  jit: "off",
  plan_cache_mode: "force_generic_plan",
  statement_timeout: 5_000,
} as const;
