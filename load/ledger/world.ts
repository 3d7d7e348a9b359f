import { Diary } from "./diary.ts";
import { type KnownOrder, KnownOrders } from "./known-order.ts";
import { Moments } from "./moments.ts";
import { Sights } from "./sights.ts";

/** Something that must never happen. Without an order it is about the service as a whole. */
export interface Violation {
  readonly order?: string;
  readonly text: string;
}

/** What all parts of a campaign share: what is known, what was seen, and what was wrong. */
export class World {
  readonly seed: number;
  readonly orders = new KnownOrders();
  readonly sights = new Sights();
  readonly moments = new Moments();
  readonly violations: Violation[] = [];
  readonly diary: Diary;
  readonly #startedMs = performance.now();
  /** How often the journal has been replaced by a backup. */
  restores = 0;
  /** All faults are over. */
  calm = false;

  constructor(seed: number, directory: string) {
    this.seed = seed;
    this.diary = new Diary(directory);
  }

  /** The campaign's clock: milliseconds since it began. */
  get nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Something happened to an order that a journal may know. */
  touch(order: KnownOrder, text: string): void {
    order.lastMs = this.nowMs;
    this.diary.note(order.lastMs, order.id, text);
  }

  note(text: string): void {
    this.diary.note(this.nowMs, undefined, text);
  }

  violation(text: string, order?: KnownOrder): void {
    this.diary.note(this.nowMs, order?.id, `VIOLATION ${text}`);
    this.violations.push({ text, ...(order !== undefined && { order: order.id }) });
  }
}
