import type { OnFault } from "../orders/faults.ts";
import type { Cursor } from "../orders/operator-journal.ts";
import { Periodic } from "../periodic.ts";
import { type CancelScope, pause } from "../threads/index.ts";
import type { Journal } from "./journal.ts";

export interface HousekeepingOptions {
  readonly journal: Pick<Journal, "expireKeys" | "retire" | "expireDeadLetters" | "expireActions">;
  /** Absent: everything is kept but expired idempotency keys. */
  readonly retentionDays?: number;
  /** Whether a time that was read from the wall clock just now may say what is old. */
  readonly isClockRight: (nowMs: number) => boolean;
  /** That has changed; at first it is right. */
  readonly onClock?: (isRight: boolean) => void;
  readonly onFault: OnFault;
  readonly everyMs?: number;
  /** Wall clock. */
  readonly nowMs?: () => number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const EVERY_MS = 60_000;
// Small batches with pauses between them: an order waits for one batch at most, some milliseconds.
const ROWS_A_BATCH = 200;
const PAUSE_MS = 40;

/** Deletes old rows from the journal once a minute while the clock is right. Not started yet. */
export function housekeeping(options: HousekeepingOptions): Periodic {
  const { isClockRight, onClock, nowMs = Date.now } = options;
  let wasRight = true;
  return new Periodic(options.everyMs ?? EVERY_MS, async (stop) => {
    try {
      const atMs = nowMs();
      const isRight = isClockRight(atMs);
      if (isRight !== wasRight) onClock?.(isRight);
      wasRight = isRight;
      if (isRight) await cleanUp(options, atMs, stop);
    } catch (error) {
      options.onFault("old rows of the journal could not be deleted", error);
    }
  });
}

async function cleanUp({ journal, retentionDays }: HousekeepingOptions, nowMs: number, stop: CancelScope): Promise<void> {
  const whileMore = async (batch: () => Promise<boolean>) => {
    while (stop.cause === undefined && (await batch())) await pause(PAUSE_MS, stop);
  };
  await whileMore(async () => (await journal.expireKeys(nowMs, ROWS_A_BATCH)) === ROWS_A_BATCH);
  if (retentionDays === undefined) return;
  const oldMs = nowMs - retentionDays * DAY_MS;
  let next: Cursor | undefined = [];
  await whileMore(async () => {
    next = await journal.retire(oldMs, next ?? [], ROWS_A_BATCH);
    return next !== undefined;
  });
  await whileMore(async () => (await journal.expireDeadLetters(oldMs, ROWS_A_BATCH)) === ROWS_A_BATCH);
  await whileMore(async () => (await journal.expireActions(oldMs, ROWS_A_BATCH)) === ROWS_A_BATCH);
}
