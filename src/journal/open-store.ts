import type { JournalStore } from "./journal-store.ts";
import { MemoryStore } from "./memory/memory-store.ts";
import { storeOf } from "./postgres/address.ts";
import type { PostgresOptions, PostgresStore } from "./postgres/postgres-store.ts";
import { type SqliteOptions, SqliteStore } from "./sqlite-store.ts";

export interface JournalOptions extends SqliteOptions {
  /** Needed on PostgreSQL. */
  readonly cluster?: PostgresOptions;
}

/** A store, and what nodes share where it is one for many. */
export interface OpenStore {
  readonly store: JournalStore;
  readonly cluster?: PostgresStore;
}

/** Opens the store that JOURNAL means. Rejects as `Journal.open` does. */
export async function openStore(journal: string, options: JournalOptions): Promise<OpenStore> {
  const { events = false, cluster, onCommit, onHealth } = options;
  switch (storeOf(journal)) {
    case "memory":
      return { store: new MemoryStore(events) };
    case "file":
      return { store: await SqliteStore.open(journal, options) };
    case "postgres": {
      if (cluster === undefined) throw new TypeError("a journal on PostgreSQL needs to know its node");
      // Its client takes some MB, for nothing on a file.
      const { PostgresStore } = await import("./postgres/postgres-store.ts");
      const store = await PostgresStore.open(journal, {
        ...cluster,
        events,
        ...(onCommit !== undefined && { onCommit }),
        ...(onHealth !== undefined && { onHealth }),
      });
      return { store, cluster: store };
    }
  }
}
