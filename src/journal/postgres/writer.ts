import { JournalUnreachable } from "../../orders/order-journal.ts";
import type { Operation, OperationOf, Reply, Result, Results } from "../protocol.ts";
import { execute } from "../rules/execute.ts";
import type { RestoresTable } from "../rules/tables.ts";
import { BatchTables } from "./batch/batch-tables.ts";
import { flush } from "./batch/flush.ts";
import { load } from "./batch/load.ts";
import { OwnAttempts } from "./batch/own-attempts.ts";
import { type Flushed, readFlushed } from "./batch/write-batch.ts";
import { type Connection, ConnectionLost, SqlError } from "./connection.ts";
import type { Session } from "./session.ts";
import { BEGIN, COMMIT, ROLLBACK, statement } from "./sql.ts";

const BEGIN_BATCH = statement("begin_batch")`SELECT begin_batch($1, $2)`;

// What another node did between the look and the write: unique_violation, deadlock_detected, serialization_failure, and `write_batch`.
const DECIDE_AGAIN = ["23505", "40P01", "40001", "OP002"];
// lock_not_available: it was frozen or cut off inside its transaction, which the server ends within the lease. What is locked for longer is
// so by somebody else, for as long as he likes, and all orders of this node would wait for him.
const LOCKED = "55P03";
// Each time some other node has written one of the same orders or keys.
const MAX_DECISIONS = 20;
// Of a life that was ended, and of a server that takes no writes any more: a new connection finds out what to do.
const CONNECT_AGAIN = ["OP001", "25006"];

export interface PostgresWriterOptions {
  readonly session: Session;
  readonly leaseMs: number;
  readonly events: boolean;
  readonly restores: RestoresTable;
}

/** What was decided of a batch. */
interface Decision {
  readonly tables: BatchTables;
  readonly results: (Result | undefined)[];
  readonly faults: Map<number, string>;
}

/**
 * Executes batches on the session that writes. The rules run here, on what was loaded, and what they changed goes out with the commit: two
 * round trips; one where nothing has to be looked up, as for new orders and the ends of own ones. A row that another node has written
 * meanwhile fails the batch, which is decided again. Each batch notes its number: after a connection broke in the commit the next one reads
 * whether it is there. Main thread, unlike `workers/journal/writer.ts`.
 */
export class PostgresWriter {
  readonly #options: PostgresWriterOptions;
  readonly #own = new OwnAttempts();
  /** Orders of requests that were taken for new ones and may not be. They are looked up. */
  readonly #known = new Set<string>();
  #batch = 0;

  constructor(options: PostgresWriterOptions) {
    this.#options = options;
  }

  /** Others have ended the life: what it had open is closed. */
  forget(): void {
    this.#own.clear();
    this.#batch = 0;
  }

  /** Rejects with `JournalUnavailable` where the batch surely had no effect. */
  async run(operations: readonly Operation[]): Promise<Reply> {
    const startMs = performance.now();
    for (let decisions = 0; decisions < MAX_DECISIONS; decisions++) {
      const isBlind =
        decisions === 0 && this.#options.restores.firstIds.length === 0 && operations.every((operation) => this.#isBlind(operation));
      const done = await this.#try(operations, isBlind, startMs);
      if (done === undefined) continue;
      if (typeof done === "string") return { type: "refused", reason: done };
      const { results, faults, again } = done;
      return { type: "committed", results, faults: [...faults], again, commitMs: performance.now() - startMs };
    }
    return { type: "refused", reason: `other nodes wrote the same orders or keys ${MAX_DECISIONS} times in a row` };
  }

  /** Nothing has to be read before it is written. */
  #isBlind(operation: Operation): boolean {
    switch (operation[0]) {
      case "accept":
        // A key of an order that runs may be stored, and this would store it again.
        return !this.#known.has(operation[1]) && (operation.length === 4 || !this.#own.has(operation[1]));
      case "finish":
      case "eventDelivered":
      case "eventFailed":
      case "giveUpEvent":
      case "noteAction":
        return true;
      case "answer":
        return this.#own.knowsTried(operation[1], operation[6]);
      default:
        return false;
    }
  }

  /** Undefined: it has to be decided again. A string: why the server refused it. */
  async #try(
    operations: readonly Operation[],
    isBlind: boolean,
    startMs: number,
  ): Promise<(Omit<Decision, "tables"> & { readonly again: readonly number[] }) | string | undefined> {
    const { session } = this.#options;
    const { connection, life } = session;
    if (connection === undefined) throw new JournalUnreachable("the database cannot be reached");
    const batch = ++this.#batch;
    let decision: Decision | undefined;
    let flushed: Flushed;
    try {
      const begun = isBlind ? [] : [connection.rows(BEGIN), connection.rows(BEGIN_BATCH, [life, batch])];
      decision = await this.#decide(connection, operations, isBlind, life, batch, Promise.all(begun));
      if (isBlind) flushed = await flush(connection, decision.tables, life, batch);
      else [flushed] = await Promise.all([flush(connection, decision.tables, life), connection.rows(COMMIT)]);
    } catch (error) {
      if (error instanceof SqlError) {
        if (!CONNECT_AGAIN.includes(error.code)) {
          if (!connection.isLost && decision === undefined) await connection.rows(ROLLBACK).catch(() => {});
          return this.#refusal(error, startMs);
        }
        connection.close();
      } else if (!(error instanceof ConnectionLost)) {
        // A bug must not leave the transaction open.
        connection.close();
        throw error;
      }
      const last = await session.recovered(life);
      if (last === undefined) throw new JournalUnreachable("this node's session was ended");
      if (decision === undefined || last < batch) return undefined;
      flushed = await this.#reread(decision.tables, life);
    }
    session.acknowledge(batch);
    await this.#makeSure(life);
    return this.#committed(operations, isBlind, decision, flushed, life);
  }

  #refusal({ code, message }: SqlError, startMs: number): string | undefined {
    if (code !== LOCKED) return DECIDE_AGAIN.includes(code) ? undefined : message;
    if (performance.now() - startMs < this.#options.leaseMs) return undefined;
    return `another session of the database keeps rows locked for longer than NODE_LEASE_MS: ${message}`;
  }

  /** Lets the rules decide, without those operations whose own fault shows. */
  async #decide(
    connection: Connection,
    operations: readonly Operation[],
    isBlind: boolean,
    life: number,
    batch: number,
    begun: Promise<unknown>,
  ): Promise<Decision> {
    // A throw before the wait below would leave its rejection to nobody, which ends the process.
    begun.catch(() => {});
    const { events, restores } = this.#options;
    const faults = new Map<number, string>();
    for (;;) {
      const tables = new BatchTables(life, events, restores);
      for (const [name, orderId] of operations)
        if (name === "accept" || name === "finish" || name === "answer") this.#own.load(tables, orderId as string, isBlind);
      if (!isBlind) await Promise.all([begun, load(connection, tables, operations, life)]);
      const results: (Result | undefined)[] = [];
      const before = faults.size;
      for (const [index, operation] of operations.entries()) {
        if (faults.has(index)) results.push(undefined);
        else
          try {
            results.push(execute(tables, operation));
          } catch (error) {
            faults.set(index, (error as Error).message);
            break;
          }
      }
      if (faults.size === before) return { tables, results, faults };
      // What is only to be deleted was deleted with the look. That must not be done twice.
      if (!isBlind) await Promise.all([connection.rows(ROLLBACK), connection.rows(BEGIN), connection.rows(BEGIN_BATCH, [life, batch])]);
    }
  }

  /** What the server gave for rows of a batch whose commit was not answered. */
  async #reread(tables: BatchTables, life: number): Promise<Flushed> {
    const { session } = this.#options;
    for (;;) {
      const { connection } = session;
      try {
        if (connection !== undefined) return await readFlushed(connection, tables, life);
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
      }
      if ((await session.recovered(life)) === undefined) throw new JournalUnreachable("this node's session was ended");
    }
  }

  /** A process that was frozen reads old replies when it wakes. What they say may have been undone by others. */
  async #makeSure(life: number): Promise<void> {
    const { session } = this.#options;
    while (!session.isSure || session.life !== life) {
      await session.beat();
      if ((await session.recovered(life)) === undefined) throw new JournalUnreachable("this node's session was ended");
    }
  }

  #committed(operations: readonly Operation[], isBlind: boolean, { tables, results, faults }: Decision, flushed: Flushed, life: number) {
    const given = new Map(flushed.ids.map(([orderId, attempt, id]) => [`${attempt} ${orderId}`, id]));
    const left = new Set<string>();
    for (const row of tables.attempts.added) {
      row.id = given.get(`${row.attempt} ${row.orderId}`);
      if (row.id === undefined) left.add(row.orderId);
    }
    this.#own.keep(tables, flushed, life);
    const again: number[] = [];
    for (const [index, operation] of operations.entries()) {
      if (operation[0] === "accept") {
        const [, orderId, , , ...key] = operation;
        // That a key is new shows only where it went in with a new attempt.
        const isGuess = isBlind && key.length > 0 && typeof results[index] !== "number";
        if (left.has(orderId) || isGuess) again.push(index);
        else this.#known.delete(orderId);
      }
      results[index] = withGivenIds(operation, results[index], flushed.compensationIds);
    }
    for (const index of again) this.#known.add((operations[index] as OperationOf<"accept">)[1]);
    for (const index of again) results[index] = undefined;
    return { results, faults, again };
  }
}

/** A result as the caller gets it: an attempt that ended in a batch has compensations that the batch numbered itself. */
function withGivenIds([name]: Operation, result: Result | undefined, given: ReadonlyMap<number, number>): Result | undefined {
  const idOf = (id: number) => given.get(id) ?? id;
  if (name === "finish") return (result as Results["finish"] | undefined)?.map(idOf) ?? result;
  if (name !== "takeCompensations" || result === undefined) return result;
  const page = result as Results["takeCompensations"];
  return { ...page, items: page.items.map((item) => ({ ...item, id: idOf(item.id) })) };
}
