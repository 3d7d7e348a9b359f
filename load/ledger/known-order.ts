import type { StepName } from "../../src/orders/steps.ts";

/** An answer that binds: who asks for the same again gets these bytes. Times are on the campaign's own monotonic clock. */
export interface KeptAnswer {
  readonly status: number;
  readonly text: string;
  readonly amount: number;
  readonly atMs: number;
}

/** What was sent under an `Idempotency-Key`, and the answer that it holds. */
export interface KnownKey {
  readonly key: string;
  readonly amounts: Set<number>;
  kept: KeptAnswer | undefined;
}

/** An event that the receiver got. */
export interface ReceivedEvent {
  readonly id: string;
  readonly type: string;
  readonly attempt: number;
  readonly amount: number;
  /** The kind of the failure; absent of a placed order. */
  readonly error?: string;
  /** It was answered with 2xx, or the connection was cut after it had been taken. */
  taken: boolean;
}

/** What an operator has done by hand: undone a step, or decided that it stands. */
export type ByHand = "undone" | "stands";

/** What the world outside the service knows of an order. */
export class KnownOrder {
  readonly id: string;
  readonly amount: number;
  readonly amounts = new Set<number>();
  readonly keys: KnownKey[] = [];
  /** How attempts ended, as clients were told. */
  readonly told = new Set<string>();
  requests = 0;
  /** Requests of which clients were told that no step ran. */
  refused = 0;
  placed: KeptAnswer | undefined;
  /** When something last happened to it that a journal may know. */
  lastMs = 0;
  /** A restore may have taken back something of it. */
  rewound = false;
  /** Attempts that providers have seen, with how many restores there had been when each was seen first. */
  readonly attempts = new Map<number, number>();
  /** How many restores there had been at the latest for which nobody has said the word yet: what began before it must not be undone. */
  heldSince = 0;
  /** Who asked before that may be refused, because something of the order waits for the word. */
  heldUntilMs = Number.NEGATIVE_INFINITY;
  /** Attempts that ran when a backup was made which the journal came from: until the word nobody is told of them. */
  readonly closedByRestore = new Set<number>();
  /** Attempts from before a restore that were undone after the word. */
  readonly undoneByWord = new Set<number>();
  /** By attempt and step. */
  readonly byHand = new Map<string, ByHand>();
  /** In the order in which they came first. */
  readonly events: ReceivedEvent[] = [];

  constructor(id: string, amount: number) {
    this.id = id;
    this.amount = amount;
  }

  key(name: string): KnownKey {
    const found = this.keys.find(({ key }) => key === name);
    if (found !== undefined) return found;
    const known = { key: name, amounts: new Set<number>(), kept: undefined };
    this.keys.push(known);
    return known;
  }

  hand(attempt: number, step: StepName): ByHand | undefined {
    return this.byHand.get(`${attempt}:${step}`);
  }

  /** The journal is again as it was at some moment after `sinceMs`, by the n-th restore. */
  rewind(sinceMs: number, restores: number): void {
    if (this.lastMs >= sinceMs) this.rewound = true;
    if (this.placed !== undefined && this.placed.atMs >= sinceMs) this.placed = undefined;
    for (const known of this.keys) if (known.kept !== undefined && known.kept.atMs >= sinceMs) known.kept = undefined;
    this.heldSince = restores;
    this.heldUntilMs = Number.POSITIVE_INFINITY;
  }
}

/** All orders of a campaign. */
export class KnownOrders {
  readonly #orders = new Map<string, KnownOrder>();

  get size(): number {
    return this.#orders.size;
  }

  get(id: string): KnownOrder | undefined {
    return this.#orders.get(id);
  }

  /** `amount`: where it is new. */
  known(id: string, amount: number): KnownOrder {
    const found = this.#orders.get(id);
    if (found !== undefined) return found;
    const order = new KnownOrder(id, amount);
    this.#orders.set(id, order);
    return order;
  }

  [Symbol.iterator](): IterableIterator<KnownOrder> {
    return this.#orders.values();
  }
}
