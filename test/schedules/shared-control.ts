import { choicesOf, lowest } from "./choices.ts";
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
  DEAD,
  DIES,
  EVENT,
  EXIT,
  EXITS,
  EXPLORED,
  FAIR,
  FINISHED,
  giveTurn,
  HISTORY,
  IDLE,
  JUDGED,
  KILLED,
  kindOf,
  MAIN,
  MAX_STEPS,
  NEXT_TIMER,
  NOBODY,
  OVER,
  PARKED,
  PHASE,
  PLAN,
  PLAN_AT,
  PLAN_LENGTH,
  POSTED,
  READ_FIRST,
  READY,
  SCENARIO,
  SET_UP,
  STALLED,
  STALLED_AT,
  STALLS,
  STATUS,
  STEPS,
  TIMER,
  TRACE,
  TRACE_WORDS,
  threadOf,
  VERSION,
} from "./control-words.ts";
import { Ledger } from "./ledger.ts";
import { Mailboxes } from "./mailboxes.ts";
import { mix, SeenStates } from "./seen-states.ts";
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
  readonly #words: Int32Array;
  readonly #seen: SeenStates;
  readonly #threads: number;

  /** `threads`: all there are; a scenario may need fewer. */
  constructor(buffer: SharedArrayBuffer, threads: number) {
    const memory = controlMemory(buffer);
    this.#words = memory.words;
    this.#seen = new SeenStates(memory);
    this.mail = new Mailboxes(memory);
    this.waiters = new Waiters(memory.words);
    this.ledger = new Ledger(memory);
    this.#threads = threads;
  }

  get phase(): number {
    return real.load(this.#words, PHASE);
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
    if (this.phase === JUDGED) return;
    this.#unwindIfOver(thread);
    const choice = this.#decide(thread, true, kind, address);
    if (choice === thread) return;
    if (kindOf(choice) === DIES || kindOf(choice) === STALLS) {
      this.#die(thread, kindOf(choice));
      this.#standBack(thread);
      throw UNWOUND;
    }
    this.#handOver(choice);
    awaitTurn(this.#words, thread);
    this.#unwindIfOver(thread);
  }

  /** The running thread has nothing to do. Returns what happens to it next. */
  nextEvent(thread: number): Event {
    const words = this.#words;
    if (this.phase === OVER) return "over";
    if (!this.isGone(thread)) words[STATUS + thread] = IDLE;
    this.#standBack(thread);
    if (this.phase === OVER) return "over";
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
    this.#standBack(thread);
    this.#unwindIfOver(thread);
  }

  /** As `Atomics.notify`. */
  notify(address: number, count: number): number {
    const words = this.#words;
    let woken = 0;
    for (let thread = 0; thread < this.#active; thread++) {
      if (this.isGone(thread)) continue;
      if (woken < count && words[STATUS + thread] === BLOCKED && words[BLOCKED_AT + thread] === address) {
        words[STATUS + thread] = READY;
        woken++;
      }
      woken += this.waiters.notify(thread, address, count - woken);
    }
    return woken;
  }

  /** The main thread orders this thread to end. `native`: one that stands still does so in a native call, which nothing terminates. */
  kill(thread: number, native: boolean): void {
    const words = this.#words;
    words[KILLED] = (words[KILLED] as number) | (1 << thread);
    if (words[STATUS + thread] === STALLED && !native) this.#die(thread, DIES);
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

  /** Dead or stalled. */
  isGone(thread: number): boolean {
    return this.#words[STATUS + thread] === DEAD || this.#words[STATUS + thread] === STALLED;
  }

  isStalled(thread: number): boolean {
    return this.#words[STATUS + thread] === STALLED;
  }

  /** For how long a thread has stood still; 0 for one that does not. */
  stalledForMs(thread: number): number {
    if (!this.isStalled(thread)) return 0;
    return (this.#words[CLOCK] as number) - (this.#words[STALLED_AT + thread] as number);
  }

  /** The running thread ends the schedule: the controller goes on. */
  finish(thread: number): void {
    real.store(this.#words, PHASE, OVER);
    real.store(this.#words, PARKED, this.#threads - this.#active);
    real.store(this.#words, FINISHED, 1);
    real.notify(this.#words, FINISHED);
    awaitTurn(this.#words, thread);
  }

  #decide(thread: number, goesOn: boolean, kind: number, address: number): number {
    const words = this.#words;
    const choices = choicesOf(this.#words, this.mail, this.waiters, goesOn ? thread : undefined);
    const fallback = goesOn ? thread : choices === 0 ? NOBODY : lowest(choices);
    if (this.phase !== EXPLORED || choices === 0) return fallback;
    const step = words[STEPS] as number;
    if (step >= MAX_STEPS) this.ledger.accuse(`more than ${MAX_STEPS} steps: somebody runs in circles`);
    if (step >= MAX_STEPS || (words[PLAN_AT] === words[PLAN_LENGTH] && this.#seen.wasSeen(thread, goesOn))) {
      this.finish(thread);
      throw UNWOUND;
    }
    if (this.#seen.isFull) this.ledger.accuse(`more than ${this.#seen.limit} states: the scenario is too large`);
    words[STEPS] = step + 1;
    let chosen = fallback;
    const planned = words[PLAN_AT] as number;
    if (planned < (words[PLAN_LENGTH] as number) && words[PLAN + planned * 2] === step) {
      words[PLAN_AT] = planned + 1;
      chosen = words[PLAN + planned * 2 + 1] as number;
      const isOwnEnd = goesOn && (chosen === (DIES | thread) || chosen === (STALLS | thread));
      if (!isOwnEnd && (choices & (1 << chosen)) === 0) {
        this.ledger.accuse(`step ${step} cannot choose ${chosen}: a scenario must depend on nothing but its schedule`);
        chosen = fallback;
      }
    }
    words.set([thread, goesOn ? 1 : 0, address, kind, choices, chosen], TRACE + step * TRACE_WORDS);
    return chosen;
  }

  #endOfPhase(): void {
    const words = this.#words;
    if (this.phase === SET_UP) {
      real.store(words, PHASE, EXPLORED);
      for (let thread = 0; thread < this.#active; thread++) this.mail.deliverHeld(thread);
      const choice = this.#decide(MAIN, false, 0, -1);
      if (choice === NOBODY) throw new Error("the scenario has nothing to do after its set-up");
      this.#handOver(choice);
    } else {
      real.store(words, PHASE, JUDGED);
      this.mail.post(MAIN, "judge");
      words[EVENT + MAIN] = BY_MESSAGE;
      giveTurn(this.#words, MAIN);
    }
  }

  #die(thread: number, kind: number): void {
    const words = this.#words;
    words[STATUS + thread] = kind === DIES ? DEAD : STALLED;
    words[STALLED_AT + thread] = words[CLOCK] as number;
    if (kind === DIES) words[EXITS] = (words[EXITS] as number) | (1 << thread);
  }

  /** The running thread cannot go on: others do, until it is its turn again. */
  #standBack(thread: number): void {
    let choice = this.#decide(thread, false, 0, -1);
    // Whoever dies where it stands needs no turn for that.
    for (; kindOf(choice) === DIES && choice !== NOBODY; choice = this.#decide(thread, false, 0, -1)) this.#die(choice - DIES, DIES);
    if (choice === NOBODY) this.#endOfPhase();
    else this.#handOver(choice);
    awaitTurn(this.#words, thread);
  }

  #handOver(choice: number): void {
    const thread = threadOf(choice);
    this.#words[EVENT + thread] = choice;
    giveTurn(this.#words, thread);
  }

  #unwindIfOver(thread: number): void {
    if (this.phase === OVER || this.isGone(thread)) throw UNWOUND;
  }
}
