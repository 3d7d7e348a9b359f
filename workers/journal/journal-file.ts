import type { DatabaseSync, StatementSync } from "node:sqlite";
import { openDatabase } from "./open-database.ts";
import { carryOut, isRead } from "./operations/carry-out.ts";
import type { JournalSettings, Operation, Reply, Result } from "./protocol.ts";
import { mayBeCommitted, troubleOf } from "./sqlite-trouble.ts";
import { rows } from "./tables/rows.ts";
import { type Tables, tablesOf } from "./tables/tables.ts";

/** The open database. A batch of operations is one transaction. */
export class JournalFile {
  readonly #db: DatabaseSync;
  readonly #tables: Tables;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #changes: StatementSync;
  #committing = false;

  /** Throws `OpenFailed` where the operator can mend the reason. */
  constructor(settings: JournalSettings) {
    this.#db = openDatabase(settings);
    this.#tables = tablesOf(this.#db, settings.events);
    this.#begin = this.#db.prepare("BEGIN IMMEDIATE");
    this.#commit = this.#db.prepare("COMMIT");
    this.#changes = rows(this.#db, "SELECT total_changes()");
  }

  /** Carries out all operations, in order, and returns when they are durable. Does not throw for anything the database says. */
  run(operations: readonly Operation[]): Reply {
    if (operations.every(isRead)) return this.#read(operations);
    try {
      return this.#transaction(operations, carryOut);
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      if (troubleOf(error) !== undefined) {
        // A probe that finds no room says nothing about smaller writes, and must not take them along.
        const others = withoutProbe(operations);
        if (others !== undefined && !this.#committing) return this.run(others);
        return this.#unavailable(operations, error);
      }
    }
    // One operation is at fault, through no fault of its neighbours: once more, each fenced off from the others.
    return this.#fenced(operations);
  }

  close(): void {
    this.#db.close();
  }

  #transaction(
    operations: readonly Operation[],
    perform: (tables: Tables, operation: Operation, index: number) => Result | undefined,
  ): Reply {
    this.#committing = false;
    const startMs = performance.now();
    const changesBefore = this.#totalChanges();
    this.#begin.run();
    // What a probe has filled, or one before a crash, is in the way of whatever comes before it is cleared.
    this.#tables.probes.clear();
    const results: (Result | undefined)[] = [];
    for (const [index, operation] of operations.entries()) results.push(perform(this.#tables, operation, index));
    this.#committing = true;
    this.#commit.run();
    if (this.#totalChanges() === changesBefore) return { results };
    return { results, commitMs: performance.now() - startMs };
  }

  #fenced(operations: readonly Operation[]): Reply {
    const faults: [number, string][] = [];
    try {
      const reply = this.#transaction(operations, (tables, operation, index) => {
        this.#db.exec("SAVEPOINT operation");
        try {
          return carryOut(tables, operation);
        } catch (error) {
          if (troubleOf(error) !== undefined) throw error;
          faults.push([index, (error as Error).message]);
          this.#db.exec("ROLLBACK TO operation");
          return undefined;
        } finally {
          if (this.#db.isTransaction) this.#db.exec("RELEASE operation");
        }
      });
      return { ...reply, faults };
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      return this.#unavailable(operations, error);
    }
  }

  #read(operations: readonly Operation[]): Reply {
    try {
      return { results: operations.map((operation) => carryOut(this.#tables, operation)) };
    } catch (error) {
      return { results: [], unavailable: troubleOf(error) ?? (error as Error).message };
    }
  }

  /** What cannot be written can still be read. */
  #unavailable(operations: readonly Operation[], error: unknown): Reply {
    const { results } = this.#read(operations.filter(isRead));
    let next = 0;
    return {
      results: operations.map((operation) => (isRead(operation) ? results[next++] : undefined)),
      unavailable: troubleOf(error) ?? (error as Error).message,
      ...(this.#committing && mayBeCommitted(error) && { unsure: true }),
    };
  }

  #totalChanges(): number {
    return (this.#changes.get() as unknown as [number])[0];
  }
}

/** The same batch with a probe that fills nothing; undefined where that changes nothing, or leaves nothing to write. */
function withoutProbe(operations: readonly Operation[]): readonly Operation[] | undefined {
  const fills = ([name, fill]: Operation): boolean => name === "probe" && fill === true;
  if (!operations.some(fills) || operations.every((operation) => isRead(operation) || operation[0] === "probe")) return undefined;
  return operations.map((operation) => (fills(operation) ? (["probe", false] as const) : operation));
}
