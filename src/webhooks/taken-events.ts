import type { OrderEvent } from "../orders/order-event.ts";
import { type CancelScope, type Clock, monotonicMs, pause } from "../threads/index.ts";

/** A node that shares the outbox with others. */
export interface OutboxSharer {
  /** Changes when others have taken this node for dead: what it had taken is theirs. */
  readonly life: number;
  /** On the monotonic clock: until then nobody can have taken this node for dead. */
  sureUntilMs(): number;
}

// A session that broke is back or ended within a second.
const LOOK_EVERY_MS = 50;

/** Whether events that this node has taken are still its own to send: while the process was frozen others may have sent them. */
export class TakenEvents {
  readonly #sharer: OutboxSharer | undefined;
  readonly #scope: CancelScope;
  readonly #clock: Clock;
  readonly #lives = new WeakMap<OrderEvent, number>();

  /** `scope`: ends every wait. */
  constructor(sharer: OutboxSharer | undefined, scope: CancelScope, clock: Clock) {
    this.#sharer = sharer;
    this.#scope = scope;
    this.#clock = clock;
  }

  /** To be called in the turn in which the journal has said that they are taken. */
  note(events: readonly OrderEvent[]): void {
    if (this.#sharer !== undefined) for (const event of events) this.#lives.set(event, this.#sharer.life);
  }

  /** At once where that is sure, otherwise resolves once it is; with false too where the scope is canceled before. */
  isOwn(event: OrderEvent): boolean | Promise<boolean> {
    const sharer = this.#sharer;
    if (sharer === undefined || this.isSurelyOwn(event)) return true;
    const life = this.#lives.get(event);
    return life !== undefined && sharer.life === life && this.#untilSure(sharer, life);
  }

  /** Whether it is sure now. */
  isSurelyOwn(event: OrderEvent): boolean {
    const sharer = this.#sharer;
    return sharer === undefined || (sharer.life === this.#lives.get(event) && monotonicMs() < sharer.sureUntilMs());
  }

  async #untilSure(sharer: OutboxSharer, life: number): Promise<boolean> {
    while (sharer.life === life && monotonicMs() >= sharer.sureUntilMs()) {
      await pause(LOOK_EVERY_MS, this.#scope, this.#clock);
      if (this.#scope.cause !== undefined) return false;
    }
    return sharer.life === life;
  }
}
