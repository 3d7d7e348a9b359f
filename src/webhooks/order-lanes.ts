import type { OrderEvent } from "../orders/order-event.ts";

/** An undelivered event. Its payload is dropped while it has to wait long, and read again when its turn comes. */
export interface Entry {
  readonly seq: number;
  readonly createdMs: number;
  event: OrderEvent | undefined;
}

/** The undelivered events of one order, oldest first; never empty. */
export interface Lane {
  readonly orderId: string;
  readonly entries: [Entry, ...Entry[]];
  /** Failed tries of the first event. */
  failures: number;
  /**
   * `ready`: the first event may go. `busy`: it was taken and is being delivered or given up; nobody else touches the lane.
   * `resting`: it waits for a time of its own.
   */
  state: "ready" | "busy" | "resting";
}

// One order with thousands of events must not fill the room for payloads: its events go one by one anyway.
const PAYLOADS_A_LANE = 4;

/**
 * The events that were read from the outbox, by order. Only the first event of a lane can be taken, which is what keeps
 * the events of an order in order. Counts what it holds, so that the reader knows when to stop.
 */
export class OrderLanes {
  readonly #lanes = new Map<string, Lane>();
  // In the order of becoming ready; sets because a lane is also taken out of the middle.
  readonly #fresh = new Set<Lane>();
  readonly #failed = new Set<Lane>();
  #tracked = 0;
  #held = 0;

  /** Events known, with or without their payload. */
  get tracked(): number {
    return this.#tracked;
  }

  /** Events whose payload is in memory. */
  get held(): number {
    return this.#held;
  }

  /** Takes in an event that is newer than all others of its order. */
  add(event: OrderEvent): void {
    this.#tracked++;
    const entry: Entry = { seq: event.seq, createdMs: event.createdMs, event: undefined };
    const lane = this.#lanes.get(event.orderId);
    if (lane === undefined) {
      const added: Lane = { orderId: event.orderId, entries: [entry], failures: 0, state: "ready" };
      this.#lanes.set(event.orderId, added);
      this.#fresh.add(added);
      this.hold(entry, event);
      return;
    }
    if (lane.state !== "resting" && lane.entries.length < PAYLOADS_A_LANE) this.hold(entry, event);
    lane.entries.push(entry);
  }

  /** Keeps the payload of an entry until it is done or its lane rests. */
  hold(entry: Entry, event: OrderEvent): void {
    if (entry.event === undefined) this.#held++;
    entry.event = event;
  }

  /**
   * A ready lane, now busy. Lanes that failed go first: their own pauses keep them few. A probe prefers one that has not
   * failed, or an event that its receiver will never take could keep a healthy receiver looking down.
   */
  take(probe: boolean): Lane | undefined {
    const lane = probe ? (first(this.#fresh) ?? first(this.#failed)) : (first(this.#failed) ?? first(this.#fresh));
    if (lane !== undefined) this.#occupy(lane);
    return lane;
  }

  /** Every ready lane of which that is true, now busy. */
  takeWhere(test: (lane: Lane) => boolean): Lane[] {
    const lanes = [...this.#failed, ...this.#fresh].filter(test);
    for (const lane of lanes) this.#occupy(lane);
    return lanes;
  }

  /** A busy or resting lane may go again. */
  ready(lane: Lane): void {
    lane.state = "ready";
    (lane.failures === 0 ? this.#fresh : this.#failed).add(lane);
  }

  /** A busy lane waits for a time of its own; its payloads make room for other orders. */
  rest(lane: Lane): void {
    lane.state = "resting";
    for (const entry of lane.entries) this.#drop(entry);
  }

  /** The payload of a busy lane's first event is not needed any more. */
  drop(lane: Lane): void {
    this.#drop(lane.entries[0]);
  }

  /** Takes the first event, delivered or given up, out of a busy lane. Returns whether the lane, still busy, has a next one. */
  finish(lane: Lane): boolean {
    this.drop(lane);
    this.#tracked--;
    lane.failures = 0;
    if (lane.entries.length === 1) {
      this.#lanes.delete(lane.orderId);
      return false;
    }
    lane.entries.shift();
    return true;
  }

  #occupy(lane: Lane): void {
    this.#fresh.delete(lane);
    this.#failed.delete(lane);
    lane.state = "busy";
  }

  #drop(entry: Entry): void {
    if (entry.event !== undefined) this.#held--;
    entry.event = undefined;
  }
}

function first<T>(set: ReadonlySet<T>): T | undefined {
  return set.values().next().value;
}
