import { test } from "vitest";
import { DEATH_SCENARIOS } from "./death-scenarios.ts";
import { expectAllGood, TIMEOUT_MS } from "./explored.ts";
import { GRACE_SCENARIOS } from "./grace-scenarios.ts";
import { PROGRESS_SCENARIOS } from "./progress-scenarios.ts";

test(
  "every schedule of the scenarios keeps what dispatcher, pools and watches promise, whoever dies or stands still",
  () => expectAllGood([...DEATH_SCENARIOS, ...GRACE_SCENARIOS, ...PROGRESS_SCENARIOS]),
  TIMEOUT_MS,
);
