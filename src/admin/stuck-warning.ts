import type { Backlog, OperatorJournal, WaitingCount } from "../orders/operator-journal.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { STEPS } from "../orders/steps.ts";
import { Periodic } from "../periodic.ts";
import { ageSeconds } from "./times.ts";

export interface StuckWarningOptions {
  readonly journal: Pick<OperatorJournal, "backlog">;
  readonly warn: (fields: Readonly<Record<string, unknown>>, message: string) => void;
  readonly onFault: (message: string, error: unknown) => void;
  readonly everyMs?: number;
  /** Wall clock. */
  readonly nowMs?: () => number;
}

// Longer than a deployment of a provider or a receiver.
const STUCK_AFTER_MS = 5 * 60_000;
const EVERY_MS = 60_000;

/** Makes a timer that logs a warning once a minute while a compensation or an event is stuck. `src/composition/orders.ts` starts it. */
export function stuckWarning({ journal, warn, onFault, everyMs = EVERY_MS, nowMs = Date.now }: StuckWarningOptions): Periodic {
  return new Periodic(everyMs, async () => {
    try {
      const fields = stuck(await journal.backlog(), nowMs());
      if (fields !== undefined) warn(fields, "compensations or events have waited for more than 5 minutes");
    } catch (error) {
      // The health of the journal has a log line of its own.
      if (!(error instanceof JournalUnavailable)) onFault("what is stuck could not be counted", error);
    }
  });
}

/** The fields of the warning; undefined where nothing is stuck. */
function stuck({ compensations, held, events, deadLetters }: Backlog, nowMs: number): Record<string, unknown> | undefined {
  const isStuck = ({ sinceMs }: WaitingCount) => sinceMs !== undefined && nowMs - sinceMs > STUCK_AFTER_MS;
  if (![...Object.values(compensations), events].some(isStuck)) return undefined;
  const show = ({ count, sinceMs }: WaitingCount) => ({
    pending: count,
    ...(sinceMs !== undefined && { oldest_seconds: ageSeconds(sinceMs, nowMs) }),
  });
  const waiting = STEPS.filter((step) => compensations[step].count > 0).map((step) => [step, show(compensations[step])]);
  const heldFields = held === undefined ? {} : { held, held_until: "POST /restore/confirm" };
  return { compensations: Object.fromEntries(waiting), ...heldFields, events: show(events), dead_letters: deadLetters };
}
