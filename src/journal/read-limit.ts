import { JournalBusy } from "../orders/order-journal.ts";
import type { QueryName } from "./protocol.ts";

/** How many reads may wait at one time. */
export const MAX_READS = 256;

// Clients and operators can fill the queue with the other reads. Alarms must go on meanwhile.
const NEVER_REFUSED: readonly QueryName[] = ["backlog"];

/** Refuses reads where too many wait already. Main thread only. */
export class ReadLimit {
  #reads = 0;

  /** Resolves and rejects as `read` does; rejects with `JournalBusy` where it is not called. */
  async run<T>(name: QueryName, read: () => Promise<T>): Promise<T> {
    if (this.#reads >= MAX_READS && !NEVER_REFUSED.includes(name)) throw new JournalBusy(`${MAX_READS} reads wait already`);
    this.#reads++;
    try {
      return await read();
    } finally {
      this.#reads--;
    }
  }
}
