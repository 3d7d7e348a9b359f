/**
 * Settings of every session. Plans are made once, maybe while the tables are empty and every plan looks cheap: what would walk or sort a large
 * table is out of the question.
 */
export const PLAN_SETTINGS = {
  enable_seqscan: "off",
  enable_bitmapscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  plan_cache_mode: "force_generic_plan",
} as const;
