import { BOARD_SCENARIOS } from "./board-scenarios.ts";
import { LOG_SCENARIOS } from "./log-scenarios.ts";
import type { Scenario } from "./scenario.ts";

export const SCENARIOS: readonly Scenario[] = [...BOARD_SCENARIOS, ...LOG_SCENARIOS];
