import type { OrderJournal } from "./order-journal.ts";

// One transaction each: large enough to be quick, small enough to keep memory flat.
const PAGE = 500;

/** After a crash: closes the attempts that were left open. Resolves with how many when orders may be taken in again. */
export async function recover(journal: Pick<OrderJournal, "closeInterrupted">): Promise<number> {
  for (let closed = 0; ; ) {
    const count = await journal.closeInterrupted(PAGE, Date.now());
    if (count === 0) return closed;
    closed += count;
  }
}
