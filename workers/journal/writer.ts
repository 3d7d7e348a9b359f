import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Committed, JournalSettings, Operation, Reply, Result } from "../../src/journal/protocol.ts";
import { execute } from "../../src/journal/rules/execute.ts";
import { Checkpoints } from "./checkpoints.ts";
import { openForWriting, waitForOthers } from "./open-database.ts";
import { OpenFiles } from "./open-files.ts";
import { isBusy, leavesDiskInDoubt, troubleOf } from "./sqlite-trouble.ts";
import { changeOf, fieldOf } from "./tables/rows.ts";
import { type SqliteTables, tablesOf } from "./tables/tables.ts";

/** The connection that writes, the only one. A batch of operations is one transaction. */
export class Writer {
  readonly db: DatabaseSync;
  readonly #lock: DatabaseSync;
  readonly #files: OpenFiles;
  readonly #tables: SqliteTables;
  readonly #probes: ReturnType<typeof probes>;
  readonly #checkpoints: Checkpoints;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #changes: () => number | undefined;
  #committing = false;
  /** Another process had the database locked for longer than a write waits, and no write has got through since. */
  #isHeld = false;

  /** Throws `OpenFailed` where the operator can mend the reason. */
  constructor(settings: JournalSettings) {
    const { db, lock } = openForWriting(settings);
    this.db = db;
    this.#lock = lock;
    this.#files = new OpenFiles(db.location() as string, lock.location() as string);
    this.#tables = tablesOf(db, settings.events);
    this.#probes = probes(db);
    this.#checkpoints = new Checkpoints(db);
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#changes = fieldOf<number>(db, "SELECT total_changes()");
  }

  /** Executes all operations, in order, and returns when they are durable. Does not throw for anything the database says. */
  run(operations: readonly Operation[]): Reply {
    const reply = this.#run(operations);
    // After the commit: every answer that follows is in a file that the next start finds.
    const lost = this.#files.lost();
    return lost === undefined ? reply : this.#giveUp(lost);
  }

  #run(operations: readonly Operation[]): Reply {
    try {
      return this.#transaction(() => operations.map((operation) => execute(this.#tables, operation)));
    } catch (error) {
      // One faulty operation must not fail the others: the batch runs once more, each operation in a savepoint.
      return this.#failed(error) ?? this.#withSavepoints(operations);
    }
  }

  /** Writes a row without meaning and deletes it, to see whether the disk takes a write. */
  probe(): Reply {
    const filled = this.#replyTo(() => [this.#probes.fill()]);
    if (filled.type === "fatal") return filled;
    // Also where there was no room: the row that a crash left of an earlier probe takes some.
    const cleared = this.#replyTo(() => [this.#probes.clear()]);
    return filled.type === "committed" ? cleared : filled;
  }

  /** The log is emptied into the database and removed. */
  close(): void {
    this.db.close();
    this.#lock.close();
  }

  /** `work` returns the results of its operations. Throws what `work` and the database throw. */
  #transaction(work: () => Committed["results"]): Committed {
    this.#committing = false;
    const startMs = performance.now();
    const changesBefore = this.#changes() as number;
    this.#begin.run();
    const results = work();
    this.#committing = true;
    this.#commit.run();
    this.#setHeld(false);
    const changes = (this.#changes() as number) - changesBefore;
    if (changes === 0) return { type: "committed", results };
    const commitMs = performance.now() - startMs;
    this.#checkpoints.afterCommit(changes);
    return { type: "committed", results, commitMs };
  }

  #replyTo(work: () => Committed["results"]): Reply {
    try {
      return this.#transaction(work);
    } catch (error) {
      return this.#failed(error) ?? { type: "refused", reason: (error as Error).message };
    }
  }

  #withSavepoints(operations: readonly Operation[]): Reply {
    const faults: [number, string][] = [];
    const inSavepoint = (operation: Operation, index: number): Result | undefined => {
      this.db.exec("SAVEPOINT operation");
      try {
        return execute(this.#tables, operation);
      } catch (error) {
        if (troubleOf(error) !== undefined) throw error;
        faults.push([index, (error as Error).message]);
        this.db.exec("ROLLBACK TO operation");
        return undefined;
      } finally {
        if (this.db.isTransaction) this.db.exec("RELEASE operation");
      }
    };
    const reply = this.#replyTo(() => operations.map(inSavepoint));
    return reply.type === "committed" ? { ...reply, faults } : reply;
  }

  /** Ends the transaction. Returns what its error means for the batch, undefined where the error is about one operation. */
  #failed(error: unknown): Reply | undefined {
    const reason = troubleOf(error);
    if (this.#committing && leavesDiskInDoubt(error)) return { type: "fatal", reason: reason ?? (error as Error).message };
    // A full disk has ended the transaction already.
    if (this.db.isTransaction) this.db.exec("ROLLBACK");
    if (isBusy(error)) this.#setHeld(true);
    return reason === undefined ? undefined : { type: "refused", reason };
  }

  #setHeld(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    waitForOthers(this.db, isHeld);
  }

  /** Where only the log was removed, this connection alone still has its content. */
  #giveUp(lost: string): Reply {
    try {
      this.db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // Nothing more can be saved.
    }
    return { type: "fatal", reason: `${lost} was removed or replaced` };
  }
}

// Larger than what a nearly full disk still has room for in pages that are free within the file.
const PROBE_BYTES = 65_536;

/** Writes that mean nothing, to see whether the disk takes any. */
export function probes(db: DatabaseSync): { readonly fill: () => number; readonly clear: () => number } {
  return {
    // What a crash between the two has left must not make the next one a write of nothing.
    fill: changeOf(db, `INSERT OR REPLACE INTO probes (id, filler) VALUES (1, zeroblob(${PROBE_BYTES}))`),
    clear: changeOf(db, "DELETE FROM probes"),
  };
}
