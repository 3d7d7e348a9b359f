import { setTimeout as pause } from "node:timers/promises";
import { randomFrom } from "../stand-in/random.ts";
import type { Admin, ShownRow } from "./admin.ts";
import type { ByHand } from "./known-order.ts";
import type { Providers } from "./providers.ts";
import type { World } from "./world.ts";

const LOOK_EVERY_MS = 150;
const ROWS_A_LOOK = 20;
const READ_WITHIN_MS = 150;
const RETRIED = 0.3;
const SETTLED = 0.1;
const SETTLED_DURING_TRY = 0.4;

/** Operators, who have compensations tried again and settle some by hand: then they see to the money themselves. */
export class Operators {
  readonly #world: World;
  readonly #admin: Admin;
  readonly #providers: Providers;
  readonly #random: () => number;
  /** Rows that they have asked to settle without an answer. Nothing is done by hand before the answer. */
  readonly #asked = new Map<number, { readonly row: ShownRow; readonly as: ByHand }>();

  constructor(world: World, admin: Admin, providers: Providers) {
    this.#world = world;
    this.#admin = admin;
    this.#providers = providers;
    this.#random = randomFrom(`${world.seed} operators`);
  }

  /** Works until `isOver` says so. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await pause(LOOK_EVERY_MS);
      try {
        await this.#askAgain();
        // Those that are tried just now must not be settled.
        const trying = await this.#admin.rows("trying", ROWS_A_LOOK);
        for (const row of [...(await this.#admin.rows("pending", ROWS_A_LOOK)), ...trying]) {
          const draw = this.#random();
          if (draw < (trying.includes(row) ? SETTLED_DURING_TRY : SETTLED)) await this.settle(row, "undone");
          else if (draw < SETTLED + RETRIED) await this.#retry(row);
        }
      } catch {
        // It is down, or its journal cannot be reached: later again.
      }
    }
  }

  /** Settles what was asked for and never answered, as far as that is possible. Rejects while the service is down. */
  async finish(): Promise<void> {
    await this.#askAgain();
  }

  /** Has every pending compensation tried. */
  async retryAll(): Promise<void> {
    for (const row of await this.#admin.rows("pending")) await this.#retry(row);
  }

  /** Settles a row, and does by hand what has to be done, once the service has said that it is settled. Returns whether it has said anything. */
  async settle(row: ShownRow, as: ByHand): Promise<boolean> {
    const world = this.#world;
    const order = world.orders.get(row.order_id);
    if (order === undefined) {
      world.violation(`there is a compensation for ${row.order_id}, which nobody asked for`);
      return true;
    }
    this.#asked.set(row.id, { row, as });
    const { attempt, step } = row;
    const note = `${row.order_id}:${attempt}:${step} ${as}`;
    world.touch(order, `operator settles ${row.id}, ${step} of attempt ${attempt}: ${as}`);
    const settling = this.#admin.post(`/compensations/${row.id}/settle`, { note });
    world.moments.is("settling");
    const { status, text } = await settling;
    world.touch(order, `settle of ${row.id}: ${status} ${text}`);
    // Another one may be tried first, or have been undone; it is not settled then. 500 and 503 say nothing.
    if (status >= 500) return false;
    this.#asked.delete(row.id);
    if (status === 409 && text.includes("tried")) world.sights.saw("settle refused during a try");
    if (status !== 200) return true;
    const settled = JSON.parse(text) as ShownRow;
    if (settled.order_id !== row.order_id || settled.attempt !== attempt || settled.step !== step) {
      world.violation(`settling compensation ${row.id}, which was ${step} of attempt ${attempt}, settled ${text}`, order);
      return true;
    }
    world.sights.saw("settled by an operator");
    if (this.#providers.isBeingUndone(step, order.id, attempt)) {
      // Unless the end of that call has yet to be read.
      await pause(READ_WITHIN_MS);
      if (this.#providers.isBeingUndone(step, order.id, attempt)) world.violation(`${row.id} is settled while it is tried`, order);
    }
    if (order.hand(attempt, step) === undefined && as === "undone") this.#providers.undoByHand(step, order.id, attempt, row.amount);
    order.byHand.set(`${attempt}:${step}`, as);
    return true;
  }

  async #askAgain(): Promise<void> {
    for (const { row, as } of [...this.#asked.values()]) await this.settle(row, as);
  }

  async #retry({ id, order_id, step, attempt }: ShownRow): Promise<void> {
    this.#world.note(`operator retries ${id}, ${step} of attempt ${attempt} at ${order_id}`);
    const { status } = await this.#admin.post(`/compensations/${id}/retry`);
    if (status === 200) this.#world.sights.saw("retried by an operator");
  }
}
