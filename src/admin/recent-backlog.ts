import type { Backlog, OperatorJournal } from "../orders/operator-journal.ts";

const KEPT_MS = 1_000;

/** What waits, as it was at most a second ago: to count a large backlog is work, and who scrapes often must not cause more of it. */
export class RecentBacklog {
  readonly #journal: Pick<OperatorJournal, "backlog">;
  readonly #nowMs: () => number;
  #read: { readonly atMs: number; readonly backlog: Promise<Backlog> } | undefined;

  /** `nowMs`: any clock that only goes forward. */
  constructor(journal: Pick<OperatorJournal, "backlog">, nowMs: () => number = () => performance.now()) {
    this.#journal = journal;
    this.#nowMs = nowMs;
  }

  /** Rejects as `backlog` of the journal does. */
  get(): Promise<Backlog> {
    const nowMs = this.#nowMs();
    if (this.#read === undefined || nowMs - this.#read.atMs >= KEPT_MS) this.#read = { atMs: nowMs, backlog: this.#journal.backlog() };
    return this.#read.backlog;
  }
}
