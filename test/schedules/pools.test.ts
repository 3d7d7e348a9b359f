import { test } from "vitest";
import { DEATH_SCENARIOS } from "./death-scenarios.ts";
import { expectAllGood, TIMEOUT_MS } from "./explored.ts";
import { WATCH_SCENARIOS } from "./watch-scenarios.ts";

test(
  "every schedule of the scenarios keeps what dispatcher, pools and watches promise, whoever dies or stands still",
  () => expectAllGood([...DEATH_SCENARIOS, ...WATCH_SCENARIOS]),
  TIMEOUT_MS,
);
