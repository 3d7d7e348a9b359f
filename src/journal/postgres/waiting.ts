import type { OtherNodes } from "../../orders/elsewhere.ts";
import type { ErrorKind } from "../../orders/error-kind.ts";
import type { OnFault } from "../../orders/faults.ts";
import { JournalUnavailable, type StoredAnswer } from "../../orders/order-journal.ts";
import type { Cancelable } from "../../threads/index.ts";
import { Poll } from "./poll.ts";
import { type Sql, statement } from "./sql.ts";

const REGISTER = statement("waiters_register")`
    INSERT INTO waiters (order_id, attempt, life)
    SELECT order_id, attempt, $3 FROM unnest($1::text[], $2::bigint[]) AS one (order_id, attempt)
    ON CONFLICT DO NOTHING`;

const UNREGISTER = statement("waiters_unregister")`
    DELETE FROM waiters USING unnest($1::text[], $2::bigint[]) AS one (order_id, attempt)
    WHERE waiters.order_id = ANY (ARRAY[one.order_id]) AND waiters.attempt = one.attempt AND waiters.life = $3`;

// Asked for one by one: a join that was planned while the table was empty walks all of it, until the server plans again.
const ATTEMPT = `
  SELECT answered, error, answer, open_by FROM attempts
  WHERE attempts.order_id = one.order_id AND attempts.attempt = one.attempt LIMIT 1`;
// A node that was frozen may add a row after its life was ended.
const WAITER = `
  SELECT FROM waiters JOIN nodes ON nodes.life = waiters.life
  WHERE waiters.order_id = one.order_id AND waiters.attempt = one.attempt AND nodes.ended_ms IS NULL LIMIT 1`;

// An attempt whose row is gone is closed too.
const CLOSED = statement("waiters_closed")`
    SELECT place, answered, error, answer
    FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS one (order_id, attempt, place)
    LEFT JOIN LATERAL (${ATTEMPT}) AS found ON true WHERE open_by IS NULL`;

const AWAITED = statement("waiters_awaited")`
    SELECT place FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS one (order_id, attempt, place)
    CROSS JOIN LATERAL (${WAITER}) AS found`;

type Closed = [place: number, answered: number | null, error: ErrorKind | null, answer: string | null];

interface Attempt {
  readonly orderId: string;
  readonly attempt: number;
}

/** Another node's attempt, and the requests here that wait for it. */
interface Wait extends Attempt {
  readonly requests: Set<(answer: StoredAnswer | undefined) => void>;
  /** The life under which its row is surely there. */
  registeredBy: number | undefined;
  /** Whether its row may be there, perhaps because a reply was lost. */
  mayHaveRow: boolean;
}

/** An attempt of this node that nobody here waits for. */
interface Watch extends Attempt {
  readonly onKnown: (isAwaited: boolean) => void;
}

export interface WaitingOptions {
  readonly sql: Sql;
  /** That of this node, now. */
  readonly life: () => number;
  readonly onFault?: OnFault;
}

/**
 * Lets requests wait for attempts of other nodes. A row of `waiters` says for which, so that the node that runs one goes on when its own
 * clients hang up. Both sides poll. Rejected: `NOTIFY`, which takes a lock of the whole database at each commit and left a third of the
 * commits.
 */
export class PostgresWaiting implements OtherNodes {
  readonly #options: WaitingOptions;
  readonly #waits = new Map<string, Wait>();
  readonly #ends = new Poll<Wait>((waits) => this.#orLater(this.#pollEnds(waits)));
  readonly #watches = new Poll<Watch>((watches) => this.#pollWaiters(watches));

  constructor(options: WaitingOptions) {
    this.#options = options;
  }

  endOf(orderId: string, attempt: number, scope: Cancelable): Promise<StoredAnswer | undefined> {
    const wait = this.#waitFor(orderId, attempt);
    const { promise, resolve } = Promise.withResolvers<StoredAnswer | undefined>();
    wait.requests.add(resolve);
    if (wait.requests.size === 1) this.#ends.poll(wait);
    const subscription = scope.onCancel(() => {
      resolve(undefined);
      if (wait.requests.delete(resolve) && wait.requests.size === 0) this.#ends.poll(wait);
    });
    return promise.finally(() => subscription.unsubscribe());
  }

  watchWaiters(orderId: string, attempt: number, onKnown: (isAwaited: boolean) => void): () => void {
    const watch: Watch = { orderId, attempt, onKnown };
    this.#watches.poll(watch);
    return () => this.#watches.delete(watch);
  }

  #waitFor(orderId: string, attempt: number): Wait {
    const key = keyOf({ orderId, attempt });
    const known = this.#waits.get(key);
    if (known !== undefined) return known;
    const wait: Wait = { orderId, attempt, requests: new Set(), registeredBy: undefined, mayHaveRow: false };
    this.#waits.set(key, wait);
    return wait;
  }

  async #pollEnds(waits: readonly Wait[]): Promise<void> {
    await this.#unregister(waits.filter(({ requests }) => requests.size === 0));
    const awaited = waits.filter(({ requests }) => requests.size > 0);
    if (awaited.length === 0) return;
    // First, and by a statement of its own: a node whose clients have hung up sees either the row or, later, that its attempt was canceled.
    await this.#register(awaited);
    const closed = await this.#options.sql.rows<Closed>(CLOSED, columnsOf(awaited));
    for (const [place, answered, error, json] of closed) {
      const { requests } = awaited[place - 1] as Wait;
      const answer = answered === 1 ? answerOf(error, json as string) : undefined;
      for (const resolve of requests) resolve(answer);
      // The next look takes its row away.
      requests.clear();
    }
  }

  async #register(waits: readonly Wait[]): Promise<void> {
    const life = this.#options.life();
    const unknown = waits.filter(({ registeredBy }) => registeredBy !== life);
    if (unknown.length === 0) return;
    for (const wait of unknown) wait.mayHaveRow = true;
    await this.#options.sql.rows(REGISTER, [...columnsOf(unknown), life]);
    for (const wait of unknown) wait.registeredBy = life;
  }

  /** Those that a request has begun to wait for meanwhile stay. */
  async #unregister(waits: readonly Wait[]): Promise<void> {
    const registered = waits.filter(({ mayHaveRow }) => mayHaveRow);
    for (const wait of registered) wait.registeredBy = undefined;
    if (registered.length > 0) await this.#options.sql.rows(UNREGISTER, [...columnsOf(registered), this.#options.life()]);
    for (const wait of waits) {
      if (wait.requests.size > 0) continue;
      this.#ends.delete(wait);
      this.#waits.delete(keyOf(wait));
    }
  }

  async #pollWaiters(watches: readonly Watch[]): Promise<void> {
    const places = new Set<number>();
    const looked = this.#options.sql.rows<[place: number]>(AWAITED, columnsOf(watches));
    await this.#orLater(looked.then((rows) => rows.forEach(([place]) => void places.add(place))));
    for (const [index, watch] of watches.entries()) {
      // The watch was stopped meanwhile.
      if (!this.#watches.has(watch)) continue;
      const isAwaited = places.has(index + 1);
      if (!isAwaited) this.#watches.delete(watch);
      watch.onKnown(isAwaited);
    }
  }

  /** Never rejects. Waits stay for the next look; watches are told that nobody waits, as `OtherNodes.watchWaiters` in `src/orders/elsewhere.ts` says. */
  async #orLater(look: Promise<void>): Promise<void> {
    try {
      await look;
    } catch (error) {
      if (!(error instanceof JournalUnavailable))
        this.#options.onFault?.("requests that wait for other nodes could not be looked up", error);
    }
  }
}

function keyOf({ orderId, attempt }: Attempt): string {
  return `${attempt} ${orderId}`;
}

function columnsOf(attempts: readonly Attempt[]): [orderIds: string[], attempts: number[]] {
  return [attempts.map(({ orderId }) => orderId), attempts.map(({ attempt }) => attempt)];
}

function answerOf(error: ErrorKind | null, json: string): StoredAnswer {
  return error === null ? { json } : { error, json };
}
