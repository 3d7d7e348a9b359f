import type { DatabaseSync, StatementSync } from "node:sqlite";
import { EVENT_KEPT_MS } from "../../../src/orders/event-payload.ts";
import type { Backlog, Waiting } from "../../../src/orders/operator-journal.ts";
import { STEPS, type StepName } from "../../../src/orders/steps.ts";
import { rows } from "../tables/rows.ts";
import { OPEN_STATES } from "./open-compensations.ts";
import { RowCount } from "./row-count.ts";

/** Counts and ages of what waits. */
export class Backlogs {
  readonly #sizeOf: () => number;
  readonly #compensations: RowCount;
  readonly #oldestCompensation: StatementSync;
  readonly #events: RowCount;
  readonly #oldestEvent: StatementSync;
  readonly #deadLetters: RowCount;

  constructor(db: DatabaseSync, sizeOf: () => number) {
    this.#sizeOf = sizeOf;
    const open = "ended_ms IS NULL AND state = ? AND step = ?";
    this.#compensations = new RowCount(db, "compensations INDEXED BY compensations_open", open, ["id"]);
    this.#oldestCompensation = rows(
      db,
      `SELECT ended_ms FROM attempts WHERE id = (
         SELECT attempt_id FROM compensations INDEXED BY compensations_open WHERE ${open} ORDER BY id LIMIT 1)`,
    );
    this.#events = new RowCount(db, "outbox INDEXED BY outbox_by_order", "true", ["order_id", "seq"]);
    // One that was put back after it had been given up waits since then.
    this.#oldestEvent = rows(db, `SELECT expires_ms - ${EVENT_KEPT_MS} FROM outbox ORDER BY seq LIMIT 1`);
    this.#deadLetters = new RowCount(db, "dead_letters INDEXED BY dead_letters_by_end", "true", ["given_up_ms", "seq"]);
  }

  /** Other queries may run meanwhile. Rejects with what the database throws. */
  async read(): Promise<Backlog> {
    const counted: Array<[StepName, Waiting]> = [];
    let held = 0;
    for (const step of STEPS) {
      const { heldOfStep, ...waiting } = await this.#ofStep(step);
      counted.push([step, waiting]);
      held += heldOfStep;
    }
    return {
      compensations: Object.fromEntries(counted) as Backlog["compensations"],
      ...(held > 0 && { held }),
      events: waiting(await this.#events.read([], ["", 0]), () => first(this.#oldestEvent)),
      deadLetters: await this.#deadLetters.read([], [0, 0]),
      bytes: this.#sizeOf(),
    };
  }

  async #ofStep(step: StepName): Promise<Waiting & { heldOfStep: number }> {
    let count = 0;
    let heldOfStep = 0;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const state of OPEN_STATES) {
      const inState = waiting(await this.#compensations.read([state, step], [0]), () => first(this.#oldestCompensation, state, step));
      count += inState.count;
      if (state === "held") heldOfStep = inState.count;
      sinceMs = Math.min(sinceMs, inState.sinceMs ?? sinceMs);
    }
    return count === 0 ? { count, heldOfStep } : { count, sinceMs, heldOfStep };
  }
}

function waiting(count: number, oldest: () => number | undefined): Waiting {
  const sinceMs = count === 0 ? undefined : oldest();
  // The last one may have gone since it was counted.
  return sinceMs === undefined ? { count: 0 } : { count, sinceMs };
}

function first(statement: StatementSync, ...parameters: string[]): number | undefined {
  return (statement.get(...parameters) as unknown as [number] | undefined)?.[0];
}
