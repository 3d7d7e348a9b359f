import { choicesOf, lowest } from "./choices.ts";
import {
  ACTIVE,
  ANSWERED,
  awaitTurn,
  BLOCKED,
  BLOCKED_AT,
  BODIES,
  BY_MESSAGE,
  controlMemory,
  DEAD,
  DIES,
  EVENT,
  EXIT,
  EXITS,
  EXPLORED,
  FINISHED,
  giveTurn,
  HISTORY,
  IDLE,
  JUDGED,
  KILLED,
  kindOf,
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
  SLOW_TIMERS,
  STALLED,
  STALLS,
  STATUS,
  STEPS,
  TIMER,
  TIMERS,
  TOOK,
  TRACE,
  TRACE_WORDS,
  threadOf,
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

export type Event = "wake" | "message" | "over" | { readonly exit: number } | { readonly timer: number };

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
    if (kindOf(choice) === TIMER) {
      this.note(thread, choice);
      return { timer: choice - TIMER };
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

  /** A timer of the main thread may fire from now on, or not any more. `slow`: not before whoever was killed has had the time to die. */
  setTimer(n: number, isArmed: boolean, slow = false): void {
    const words = this.#words;
    for (const set of [TIMERS, SLOW_TIMERS]) words[set] = (words[set] as number) & ~(1 << n);
    const set = slow ? SLOW_TIMERS : TIMERS;
    if (isArmed) words[set] = (words[set] as number) | (1 << n);
  }

  /** Dead or stalled. */
  isGone(thread: number): boolean {
    return this.#words[STATUS + thread] === DEAD || this.#words[STATUS + thread] === STALLED;
  }

  isStalled(thread: number): boolean {
    return this.#words[STATUS + thread] === STALLED;
  }

  /** The body of a task runs. */
  countBody(task: number): void {
    this.#words[BODIES + task] = this.bodies(task) + 1;
  }

  bodies(task: number): number {
    return this.#words[BODIES + task] as number;
  }

  /** A thread takes the message that this task is in. */
  noteTook(task: number): void {
    this.#words[TOOK] = (this.#words[TOOK] as number) | (1 << task);
  }

  took(task: number): boolean {
    return ((this.#words[TOOK] as number) & (1 << task)) !== 0;
  }

  /** A thread has posted the outcome of this task. */
  noteAnswered(task: number): void {
    this.#words[ANSWERED] = (this.#words[ANSWERED] as number) | (1 << task);
  }

  answered(task: number): boolean {
    return ((this.#words[ANSWERED] as number) & (1 << task)) !== 0;
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
    const choices = choicesOf(this.#words, this.mail, this.waiters, goesOn ? thread : undefined);
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
      const isOwnEnd = goesOn && (chosen === (DIES | thread) || chosen === (STALLS | thread));
      if (!isOwnEnd && (choices & (1 << chosen)) === 0) {
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

  #die(thread: number, kind: number): void {
    const words = this.#words;
    words[STATUS + thread] = kind === DIES ? DEAD : STALLED;
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
