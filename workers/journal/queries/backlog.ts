import type { DatabaseSync } from "node:sqlite";
import { EVENT_KEPT_MS } from "../../../src/journal/rules/event-payload.ts";
import type { Readers } from "../../../src/journal/rules/reads.ts";
import { OPEN_STATES } from "../../../src/orders/compensation-state.ts";
import type { Backlog, WaitingCount } from "../../../src/orders/operator-journal.ts";
import { perStep, STEPS, type StepName } from "../../../src/orders/steps.ts";
import { fieldOf } from "../tables/rows.ts";
import { openById } from "./compensation-list.ts";
import { RowCount } from "./row-count.ts";

// Counted in one statement: some milliseconds.
const FEW = 10_000;

/** Counts and ages of what waits. Other queries may run meanwhile. Rejects with what the database throws. */
export function backlog(db: DatabaseSync, sizes: () => Pick<Backlog, "bytes" | "freeBytes">): Readers["backlog"] {
  const open = "compensations INDEXED BY compensations_open";
  const states = `'${OPEN_STATES.join("', '")}'`;
  const fewCompensations = fieldOf<number>(
    db,
    `SELECT count(*) FROM (SELECT 1 FROM ${open} WHERE ended_ms IS NULL AND state IN (${states}) AND step = ? LIMIT ${FEW})`,
  );
  const compensations = new RowCount(db, open, "ended_ms IS NULL AND state = ? AND step = ?", ["id"]);
  const oldestCompensation = perStep((step) =>
    fieldOf<number>(
      db,
      `SELECT ended_ms FROM attempts WHERE id = (SELECT attempt_id FROM (${openById("id, attempt_id", "rising", OPEN_STATES, [step])}))`,
    ),
  );
  const events = new RowCount(db, "outbox INDEXED BY outbox_by_order", "true", ["order_id", "seq"]);
  // One that was put back after it had been given up waits since then.
  const oldestEvent = fieldOf<number>(db, `SELECT expires_ms - ${EVENT_KEPT_MS} FROM outbox ORDER BY seq LIMIT 1`);
  const deadLetters = new RowCount(db, "dead_letters INDEXED BY dead_letters_by_end", "true", ["given_up_ms", "seq"]);
  const ofStep = async (step: StepName): Promise<WaitingCount & { heldOfStep: number }> => {
    const heldOfStep = await compensations.read(["held", step], [0]);
    let count = fewCompensations(step) as number;
    if (count === FEW) {
      // A row that is taken meanwhile, or given back, counts twice or not at all. Few rows are counted in one statement.
      const pending = await compensations.read(["pending", step], [0]);
      count = heldOfStep + pending + (await compensations.read(["trying", step], [0]));
    }
    return { ...waiting(count, () => oldestCompensation[step](0, 1)), heldOfStep };
  };
  return async () => {
    const counted: Array<[StepName, WaitingCount]> = [];
    let held = 0;
    for (const step of STEPS) {
      const { heldOfStep, ...waiting } = await ofStep(step);
      counted.push([step, waiting]);
      held += heldOfStep;
    }
    return {
      compensations: Object.fromEntries(counted) as Backlog["compensations"],
      ...(held > 0 && { held }),
      events: waiting(await events.read([], ["", 0]), oldestEvent),
      deadLetters: await deadLetters.read([], [0, 0]),
      ...sizes(),
    };
  };
}

function waiting(count: number, oldest: () => number | undefined): WaitingCount {
  const sinceMs = count === 0 ? undefined : oldest();
  // The last one may have gone since it was counted.
  return sinceMs === undefined ? { count: 0 } : { count, sinceMs };
}
