import type { OrderJournal } from "./order-journal.ts";
import type { Undoing } from "./undoing.ts";

// One transaction each: large enough to be quick, small enough to keep memory flat.
const PAGE = 500;

/**
 * After a crash: closes the attempts that were left open, each as failed with its steps to be undone, then goes on with
 * every undo that is not done. Resolves when orders may be taken in again, with the number of attempts it closed.
 * Throws `JournalUnavailable`.
 */
export async function recover(journal: OrderJournal, undoing: Undoing): Promise<number> {
  let closed = 0;
  for (;;) {
    const count = await journal.closeInterrupted(PAGE, Date.now());
    if (count === 0) break;
    closed += count;
  }
  await undoing.resume();
  return closed;
}
