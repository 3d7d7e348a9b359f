import type { DispatchedStep } from "./dispatched-step.ts";

const FIRST_PLACES = 1_024;

/**
 * The steps of one pool that have not settled, by id. Gives each step an id that is unique in the pool while the process lives,
 * so that a late outcome of one is not taken for another's. Main thread only.
 *
 * Not a `Map`: V8 copies a `Map` whose entries come and go into a new table every few hundred steps, and links the old table
 * to the new one. An old table that has reached the old generation keeps all later tables, and every step in them, alive until the
 * next full collection: that was a quarter of the CPU of a small order.
 */
export class StepTable {
  // The place of an id is its low bits. An id whose place is taken is skipped, so no two steps meet in one.
  #places = places(FIRST_PLACES);
  #lastId: number;
  #size = 0;

  /** `lastId` is for tests of large ids. */
  constructor(lastId = 0) {
    this.#lastId = lastId;
  }

  get size(): number {
    return this.#size;
  }

  /** The highest id that was given so far; 0 before the first. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Takes the step in and gives it its id. */
  add(step: DispatchedStep): void {
    // At most half full, so that the ids that are skipped are fewer than those that are given.
    if (this.#size * 2 >= this.#places.length) this.#grow();
    let id = this.#lastId + 1;
    while (this.#places[this.#placeOf(id)] !== undefined) id++;
    this.#lastId = id;
    step.id = id;
    this.#places[this.#placeOf(id)] = step;
    this.#size++;
  }

  /** Undefined for a step that is not here any more. */
  get(id: number): DispatchedStep | undefined {
    const step = this.#places[this.#placeOf(id)];
    return step?.id === id ? step : undefined;
  }

  remove(step: DispatchedStep): void {
    if (this.get(step.id) !== step) return;
    this.#places[this.#placeOf(step.id)] = undefined;
    this.#size--;
  }

  /** Those that are here now, in no particular order. */
  all(): DispatchedStep[] {
    return this.#places.filter((step) => step !== undefined);
  }

  #placeOf(id: number): number {
    // Right up to 2^53: the length is a power of two, and a bitwise operator keeps the low bits.
    return id & (this.#places.length - 1);
  }

  #grow(): void {
    const steps = this.all();
    // No two of them meet: ids with different low bits still differ when more bits count.
    this.#places = places(this.#places.length * 2);
    for (const step of steps) this.#places[this.#placeOf(step.id)] = step;
  }
}

function places(count: number): (DispatchedStep | undefined)[] {
  return new Array<DispatchedStep | undefined>(count).fill(undefined);
}
