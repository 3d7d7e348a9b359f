import { OPEN_STATES } from "../../../orders/compensation-state.ts";
import type { Backlog, WaitingCount } from "../../../orders/operator-journal.ts";
import { perStep, STEPS, type StepName } from "../../../orders/steps.ts";
import { EVENT_KEPT_MS } from "../../rules/event-payload.ts";
import { SCHEMA } from "../schema.ts";
import { type Sql, statement } from "../sql.ts";
import { openById } from "./compensation-list.ts";
import { Lagging } from "./lagging.ts";

// Counted every second, which takes some milliseconds for each kind.
const FEW = 10_000;
// What a statement can count in some seconds.
const MOST = 5_000_000;
// A count of a million takes a fifth of a second, and sizes are read from files.
const MAX_AGE_MS = 30_000;

const COUNTS = statement("backlog-counts")`SELECT ${[
  count("outbox"),
  count("dead_letters"),
  ...STEPS.map((step) => openOf(step, OPEN_STATES)),
  ...STEPS.map((step) => openOf(step, ["held"])),
].join(",\n")}`;

// One event that was put back after it had been given up waits since then.
const OLDEST = statement("backlog-oldest")`
    SELECT (SELECT expires_ms - ${EVENT_KEPT_MS} FROM outbox ORDER BY seq LIMIT 1),
    ${STEPS.map(
      (step) => `(
        SELECT ended_ms FROM attempts
        WHERE id = (SELECT attempt_id FROM (${openById("id, attempt_id", "rising", OPEN_STATES, 1, [step])}) oldest))`,
    ).join(",\n")}`;

const BYTES = statement("backlog-bytes")`
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = '${SCHEMA}')`;

function count(table: string): string {
  return `(SELECT count(*) FROM (SELECT 1 FROM ${table} LIMIT $1::bigint) few)`;
}

function openOf(step: StepName, states: readonly string[]): string {
  const isIn = states.map((state) => `'${state}'`).join(", ");
  return count(`compensations WHERE state IN (${isIn}) AND step = '${step}' AND ended_ms IS NULL`);
}

/** Counts and ages of what waits. Each count is exact up to 10 000; above, it may be half a minute old, and it ends at five million. */
export class PostgresBacklog {
  readonly #sql: Sql;
  readonly #many: Lagging<readonly number[]>;
  readonly #bytes: Lagging<number>;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#many = new Lagging(() => this.#counts(MOST), MAX_AGE_MS);
    this.#bytes = new Lagging(() => this.#size(), MAX_AGE_MS);
  }

  async read(): Promise<Backlog> {
    const few = await this.#counts(FEW);
    const many = few.includes(FEW) ? await this.#many.value() : [];
    // A count of long ago may be below what there is now.
    const counts = few.map((counted, index) => (counted < FEW ? counted : Math.max(counted, many[index] ?? 0)));
    const [events = 0, deadLetters = 0, ...ofSteps] = counts;
    const open = ofSteps.slice(0, STEPS.length);
    const held = ofSteps.slice(STEPS.length).reduce((sum, count) => sum + count, 0);
    const [[oldestEvent = null, ...oldest] = []] = await this.#sql.rows<(number | null)[]>(OLDEST, [0]);
    return {
      compensations: perStep((step) => waiting(open[STEPS.indexOf(step)], oldest[STEPS.indexOf(step)])),
      ...(held > 0 && { held }),
      events: waiting(events, oldestEvent),
      deadLetters,
      bytes: await this.#bytes.value(),
    };
  }

  async #counts(upTo: number): Promise<readonly number[]> {
    const [row = []] = await this.#sql.rows<number[]>(COUNTS, [upTo]);
    return row;
  }

  async #size(): Promise<number> {
    const [[bytes] = [0]] = await this.#sql.rows<[number]>(BYTES);
    return bytes;
  }
}

/** The last one may have gone since it was counted. */
function waiting(count = 0, sinceMs: number | null = null): WaitingCount {
  return count === 0 || sinceMs === null ? { count: 0 } : { count, sinceMs };
}
