import { choicesOf, lowest } from "./choices.ts";
import {
  ACTIVE,
  awaitTurn,
  BLOCKED,
  BLOCKED_AT,
  BODIES,
  BY_MESSAGE,
  controlMemory,
  DEAD,
  DIES,
  EVENT,
  EXPLORED,
  FINISHED,
  giveTurn,
  HISTORY,
  IDLE,
  JUDGED,
  MAIN,
  MAX_STEPS,
  NOBODY,
  OVER,
  PARKED,
  PHASE,
  PLAN,
  PLAN_AT,
  PLAN_LENGTH,
  READY,
  SCENARIO,
  SET_UP,
  STATUS,
  STEPS,
  THREAD_BITS,
  TRACE,
  TRACE_WORDS,
  VERDICT,
  VERDICT_CHARS,
} from "./control-words.ts";
import { Mailboxes, writeText } from "./mailboxes.ts";
import { mix, SeenStates } from "./seen-states.ts";
import { UNWOUND } from "./unwound.ts";
import { Waiters } from "./waiters.ts";

const real = globalThis.Atomics;

/**
 * What the controller and the threads of a scenario share beside the memory under test: whose turn it is, the plan of this
 * schedule, the trace of what was done, and the modelled wake-ups and messages.
 *
 * Exactly one thread of a scenario runs at a time. Before each Atomics operation on the memory under test it decides, by the plan,
 * who goes on, and hands over without a detour through the controller: a schedule costs as many switches as it has.
 */

export type Event = "wake" | "message" | "over";

export class SharedControl {
  readonly mail: Mailboxes;
  readonly waiters: Waiters;
  readonly #words: Int32Array;
  readonly #text: Uint16Array;
  readonly #seen: SeenStates;
  readonly #threads: number;

  /** `threads`: all there are; a scenario may need fewer. */
  constructor(buffer: SharedArrayBuffer, threads: number) {
    const memory = controlMemory(buffer);
    this.#words = memory.words;
    this.#text = memory.text;
    this.#seen = new SeenStates(memory);
    this.mail = new Mailboxes(memory);
    this.waiters = new Waiters(memory.words);
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
    if (choice >= DIES) this.#die(thread, (choice & DIES) !== 0);
    this.#handOver(choice);
    awaitTurn(this.#words, thread);
    this.#unwindIfOver(thread);
  }

  /** The running thread has nothing to do. Returns what happens to it next. */
  nextEvent(thread: number): Event {
    const words = this.#words;
    if (this.phase === OVER) return "over";
    words[STATUS + thread] = IDLE;
    this.#standBack(thread);
    if (this.phase === OVER) return "over";
    words[STATUS + thread] = READY;
    return words[EVENT + thread] === BY_MESSAGE || !this.waiters.hasDue(thread) ? "message" : "wake";
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
      if (words[STATUS + thread] === DEAD) continue;
      if (woken < count && words[STATUS + thread] === BLOCKED && words[BLOCKED_AT + thread] === address) {
        words[STATUS + thread] = READY;
        woken++;
      }
      woken += this.waiters.notify(thread, address, count - woken);
    }
    return woken;
  }

  /** Dead or stalled. */
  isGone(thread: number): boolean {
    return this.#words[STATUS + thread] === DEAD;
  }

  /** The body of a step runs. */
  countBody(): void {
    this.#words[BODIES] = this.bodies + 1;
  }

  get bodies(): number {
    return this.#words[BODIES] as number;
  }

  /** Says what was wrong with this schedule, unless something was already. */
  accuse(text: string): void {
    if (this.#text[VERDICT] === 0 && this.phase !== OVER) writeText(this.#text, VERDICT, text.slice(0, VERDICT_CHARS));
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
    const choices = choicesOf(this.#words, this.mail, this.waiters);
    const fallback = goesOn ? thread : choices === 0 ? NOBODY : lowest(choices);
    if (this.phase !== EXPLORED || choices === 0) return fallback;
    const step = words[STEPS] as number;
    if (step >= MAX_STEPS) this.accuse(`more than ${MAX_STEPS} steps: somebody runs in circles`);
    if (step >= MAX_STEPS || (words[PLAN_AT] === words[PLAN_LENGTH] && this.#seen.wasSeen(thread, goesOn))) {
      this.finish(thread);
      throw UNWOUND;
    }
    if (this.#seen.isFull) this.accuse(`more than ${this.#seen.limit} states: the scenario is too large`);
    words[STEPS] = step + 1;
    let chosen = fallback;
    const planned = words[PLAN_AT] as number;
    if (planned < (words[PLAN_LENGTH] as number) && words[PLAN + planned * 2] === step) {
      words[PLAN_AT] = planned + 1;
      chosen = words[PLAN + planned * 2 + 1] as number;
      const isThere = chosen >= DIES ? goesOn && (chosen & THREAD_BITS) === thread : (choices & (1 << chosen)) !== 0;
      if (!isThere) {
        this.accuse(`step ${step} cannot choose ${chosen}: a scenario must depend on nothing but its schedule`);
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

  #die(thread: number, isTold: boolean): never {
    const words = this.#words;
    words[STATUS + thread] = DEAD;
    if (isTold) this.mail.post(MAIN, `exit ${thread}`);
    this.#standBack(thread);
    throw UNWOUND;
  }

  /** The running thread cannot go on: others do, until it is its turn again. */
  #standBack(thread: number): void {
    const choice = this.#decide(thread, false, 0, -1);
    if (choice === NOBODY) this.#endOfPhase();
    else this.#handOver(choice);
    awaitTurn(this.#words, thread);
  }

  #handOver(choice: number): void {
    const thread = choice & THREAD_BITS;
    this.#words[EVENT + thread] = choice & BY_MESSAGE;
    giveTurn(this.#words, thread);
  }

  #unwindIfOver(thread: number): void {
    if (this.phase === OVER || this.isGone(thread)) throw UNWOUND;
  }
}
