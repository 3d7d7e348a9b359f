import {
  ACTIVE,
  awaitTurn,
  BEAT_AT,
  BEATS,
  BLOCKED,
  BLOCKED_AT,
  BY_MESSAGE,
  CLOCK,
  controlMemory,
  DIES,
  EVENT,
  EXIT,
  EXITS,
  FAIR,
  HISTORY,
  IDLE,
  JUDGED,
  kindOf,
  MAIN,
  NEXT_TIMER,
  OVER,
  PARKED,
  POSTED,
  READ_FIRST,
  READY,
  SCENARIO,
  STALLS,
  STATUS,
  TIMER,
  VERSION,
} from "./control-words.ts";
import { Ledger } from "./ledger.ts";
import { Mailboxes } from "./mailboxes.ts";
import { mix, SeenStates } from "./seen-states.ts";
import { Turns } from "./turns.ts";
import { UNWOUND } from "./unwound.ts";
import { Waiters } from "./waiters.ts";

const real = globalThis.Atomics;

// When a schedule begins, on its clock.
const BEGINS_MS = 1_000;

/** What happens to a thread that has nothing to do. */
export type Event = "wake" | "message" | "beat" | "timer" | "over" | { readonly exit: number };

/**
 * What the controller and the threads of a scenario share beside the memory under test: whose turn it is, the plan of this
 * schedule, the trace of what was done, and the modelled wake-ups and messages.
 *
 * Exactly one thread of a scenario runs at a time. Before each Atomics operation on the memory under test it decides, by the plan,
 * who goes on, and hands over without a detour through the controller: a schedule costs as many switches as it has.
 */
export class SharedControl {
  readonly mail: Mailboxes;
  readonly waiters: Waiters;
  readonly ledger: Ledger;
  readonly turns: Turns;
  readonly #words: Int32Array;
  readonly #seen: SeenStates;

  /** `threads`: all there are; a scenario may need fewer. */
  constructor(buffer: SharedArrayBuffer, threads: number) {
    const memory = controlMemory(buffer);
    this.#words = memory.words;
    this.#seen = new SeenStates(memory);
    this.mail = new Mailboxes(memory);
    this.waiters = new Waiters(memory.words);
    this.ledger = new Ledger(memory);
    const { mail, waiters, ledger } = this;
    this.turns = new Turns({ words: memory.words, mail, waiters, ledger, seen: this.#seen, threads });
  }

  /** The memory under test. */
  watch(memory: SharedArrayBuffer): void {
    this.#seen.watch(memory);
  }

  /** A thread has learned something: a result, a message. */
  note(thread: number, value: number): void {
    mix(this.#words, HISTORY + thread * 2, value);
  }

  /** Which one this schedule is of. */
  get scenario(): number {
    return this.#words[SCENARIO] as number;
  }

  /** Which version of the sources the threads are to run. */
  get version(): number {
    return this.#words[VERSION] as number;
  }

  get #active(): number {
    return this.#words[ACTIVE] as number;
  }

  /** Stands at the start of the next schedule until its turn comes. */
  park(thread: number): void {
    real.add(this.#words, PARKED, 1);
    real.notify(this.#words, PARKED);
    awaitTurn(this.#words, thread);
  }

  /** The running thread is about to do something that others can see. Returns when it may. */
  beforeOperation(thread: number, kind: number, address: number): void {
    if (this.turns.phase === JUDGED) return;
    this.turns.unwindIfOver(thread);
    const choice = this.turns.decide(thread, true, kind, address);
    if (choice === thread) return;
    if (kindOf(choice) === DIES || kindOf(choice) === STALLS) {
      this.turns.die(thread, kindOf(choice));
      this.turns.standBack(thread);
      throw UNWOUND;
    }
    this.turns.handOver(choice);
    awaitTurn(this.#words, thread);
    this.turns.unwindIfOver(thread);
  }

  /** The running thread has nothing to do. Returns what happens to it next. */
  nextEvent(thread: number): Event {
    const words = this.#words;
    if (this.turns.phase === OVER) return "over";
    if (!this.turns.isGone(thread)) words[STATUS + thread] = IDLE;
    this.turns.standBack(thread);
    if (this.turns.phase === OVER) return "over";
    words[STATUS + thread] = READY;
    const choice = words[EVENT + thread] as number;
    if (kindOf(choice) === EXIT) {
      words[EXITS] = (words[EXITS] as number) & ~(1 << (choice - EXIT));
      this.note(thread, choice);
      return { exit: choice - EXIT };
    }
    if (kindOf(choice) === TIMER || kindOf(choice) === BEATS) {
      this.note(thread, choice);
      if (kindOf(choice) === BEATS) return "beat";
      words[READ_FIRST] = words[POSTED + MAIN] as number;
      return "timer";
    }
    return kindOf(choice) === BY_MESSAGE || !this.waiters.hasDue(thread) ? "message" : "wake";
  }

  /** As `Atomics.wait`, after its comparison. */
  block(thread: number, address: number): void {
    const words = this.#words;
    words[STATUS + thread] = BLOCKED;
    words[BLOCKED_AT + thread] = address;
    this.turns.standBack(thread);
    this.turns.unwindIfOver(thread);
  }

  /** As `Atomics.notify`. */
  notify(address: number, count: number): number {
    const words = this.#words;
    let woken = 0;
    for (let thread = 0; thread < this.#active; thread++) {
      if (this.turns.isGone(thread)) continue;
      if (woken < count && words[STATUS + thread] === BLOCKED && words[BLOCKED_AT + thread] === address) {
        words[STATUS + thread] = READY;
        woken++;
      }
      woken += this.waiters.notify(thread, address, count - woken);
    }
    return woken;
  }

  /** On the clock of the schedule. */
  get clockMs(): number {
    return BEGINS_MS + (this.#words[CLOCK] as number);
  }

  set clockMs(ms: number) {
    this.#words[CLOCK] = ms - BEGINS_MS;
  }

  /** Of the main thread: `NO_TIMER`, `MAY_FIRE` or `FIRES_SLOWLY`. */
  set nextTimer(state: number) {
    this.#words[NEXT_TIMER] = state;
  }

  /** Timers of the main thread wait until nobody has anything else to do. */
  slowTimers(): void {
    this.#words[FAIR] = 1;
  }

  /** The event loop of this thread is to come to its heartbeat `ms` from now. */
  beatIn(thread: number, ms: number): void {
    this.#words[BEAT_AT + thread] = (this.#words[CLOCK] as number) + ms;
  }
}
