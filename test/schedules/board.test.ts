import { test } from "vitest";
import { BOARD_SCENARIOS } from "./board-scenarios.ts";
import { expectAllGood, TIMEOUT_MS } from "./explored.ts";
import { LOG_SCENARIOS } from "./log-scenarios.ts";

test(
  "every schedule of the scenarios keeps what the board, the log and the tracker promise",
  () => expectAllGood([...BOARD_SCENARIOS, ...LOG_SCENARIOS]),
  TIMEOUT_MS,
);
