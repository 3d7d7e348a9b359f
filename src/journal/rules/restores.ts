import { closeOpen } from "./close-interrupted.ts";
import { CLOSED_BY_RESTORE, type Tables } from "./tables.ts";

// What the replaced journal has given since the backup is not known. It was not so many: at ten thousand orders per second that takes three
// years. Five thousand restores fit into the exact integers of JavaScript.
const IDS_AHEAD = 2 ** 40;
// One backup may be restored twice, and knows nothing of what was given after the first time. So ids follow the clock too, faster than any
// journal gives them: a million a second. They stay exact integers for 280 years.
const IDS_A_MS = 1_000;
const EPOCH_MS = Date.UTC(2026, 0, 1);
// A clock that is beyond this is wrong.
const MOST_BY_CLOCK = 2 ** 52;
// A block of `attempt_blocks` begins with the first id.
const ALIGNED_TO = 1_024;
// A journal that was restored is up to two weeks ahead of the clock. A backup of it that is restored twice starts from the same ids each time, so
// only chance tells the two apart: one in a billion that they start alike.
const STARTS = IDS_AHEAD / ALIGNED_TO;

/**
 * The first id of a row, and number of an attempt but one, after a restore: above all that this journal (`highest`) or the replaced one
 * gave.
 */
export function firstIdAfterRestore(highest: number, nowMs: number): number {
  const byClock = (nowMs - EPOCH_MS) * IDS_A_MS;
  const least = Math.ceil(Math.max(highest + IDS_AHEAD, byClock <= MOST_BY_CLOCK ? byClock : 0) / ALIGNED_TO) * ALIGNED_TO;
  // Not by `node:crypto`: its module takes 4 MB on every thread of the journal, and nobody guesses at this number.
  return least + Math.floor(Math.random() * STARTS) * ALIGNED_TO;
}

/** The number of an order's next attempt; `last` 0 where there was none. `firstIds`: of each restore, newest first. */
export function attemptAfter(firstIds: readonly number[], last: number): number {
  const [firstId = 0] = firstIds;
  return 1 + (last > firstId ? last : firstId + attemptsUpTo(firstIds, last));
}

/** How many attempts at an order there were up to its attempt of that number, lost ones not counted. */
export function attemptsUpTo(firstIds: readonly number[], attempt: number): number {
  return attempt - (firstIds.find((firstId) => firstId < attempt) ?? 0);
}

/**
 * Closes up to `limit` attempts that ran when the backup was made which this journal came from: failed, with every step held, for they may have
 * ended in any way since. Without an event: nobody is told that an order failed which perhaps has not. Returns how many.
 */
export function closeByRestore(tables: Tables, limit: number, nowMs: number): number {
  return closeOpen(tables, limit, nowMs, CLOSED_BY_RESTORE, "held", nowMs);
}
