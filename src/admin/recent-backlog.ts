import type { Backlog, OperatorJournal } from "../orders/operator-journal.ts";

const KEPT_MS = 1_000;

/** The backlog, at most a second old: counting a large one is work, and frequent scrapes must not multiply it. Main thread only. */
export class RecentBacklog {
  readonly #journal: Pick<OperatorJournal, "backlog">;
  readonly #nowMs: () => number;
  #read: { readonly atMs: number; readonly backlog: Promise<Backlog> } | undefined;

  /** `nowMs`: a clock that never goes back. */
  constructor(journal: Pick<OperatorJournal, "backlog">, nowMs: () => number = () => performance.now()) {
    this.#journal = journal;
    this.#nowMs = nowMs;
  }

  /** Rejects as the journal's `backlog` does. */
  get(): Promise<Backlog> {
    const nowMs = this.#nowMs();
    if (this.#read === undefined || nowMs - this.#read.atMs >= KEPT_MS) this.#read = { atMs: nowMs, backlog: this.#journal.backlog() };
    return this.#read.backlog;
  }
}
