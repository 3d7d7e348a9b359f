import { BOARD_SCENARIOS } from "./board-scenarios.ts";
import { DEATH_SCENARIOS } from "./death-scenarios.ts";
import { GRACE_SCENARIOS } from "./grace-scenarios.ts";
import { PROGRESS_SCENARIOS } from "./progress-scenarios.ts";
import type { Scenario } from "./scenario.ts";

export const SCENARIOS: readonly Scenario[] = [...BOARD_SCENARIOS, ...DEATH_SCENARIOS, ...GRACE_SCENARIOS, ...PROGRESS_SCENARIOS];
