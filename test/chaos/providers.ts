import type { RateSettings } from "../../load/stand-in/rates.ts";

/** A bad day: failing, slow, hanging-up and late-answering providers, down now and then. */
export const BAD_DAY: RateSettings = {
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
  slowMs: [1, 60],
  lateMs: [20, 400],
  downMs: [20, 150],
};
