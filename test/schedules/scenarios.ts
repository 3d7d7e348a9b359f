import { BOARD_SCENARIOS } from "./board-scenarios.ts";
import { DEATH_SCENARIOS } from "./death-scenarios.ts";
import { LOG_SCENARIOS } from "./log-scenarios.ts";
import type { Scenario } from "./scenario.ts";
import { WATCH_SCENARIOS } from "./watch-scenarios.ts";

export const SCENARIOS: readonly Scenario[] = [...BOARD_SCENARIOS, ...LOG_SCENARIOS, ...DEATH_SCENARIOS, ...WATCH_SCENARIOS];
