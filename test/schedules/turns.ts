import { choicesOf, lowest } from "./choices.ts";
import {
  ACTIVE,
  awaitTurn,
  BY_MESSAGE,
  CLOCK,
  DEAD,
  DIES,
  EVENT,
  EXITS,
  EXPLORED,
  FINISHED,
  giveTurn,
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
  SET_UP,
  STALLED,
  STALLED_AT,
  STALLS,
  STATUS,
  STEPS,
  TRACE,
  TRACE_WORDS,
  threadOf,
} from "./control-words.ts";
import type { Ledger } from "./ledger.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { SeenStates } from "./seen-states.ts";
import { UNWOUND } from "./unwound.ts";
import type { Waiters } from "./waiters.ts";

const real = globalThis.Atomics;

/** What decides about turns. */
export interface TurnsParts {
  readonly words: Int32Array;
  readonly mail: Mailboxes;
  readonly waiters: Waiters;
  readonly ledger: Ledger;
  readonly seen: SeenStates;
  /** All there are; a scenario may need fewer. */
  readonly threads: number;
}

/** Whose turn it is, by the plan of this schedule, and which threads are dead or stand still. In shared memory; any thread of a scenario. */
export class Turns {
  readonly #parts: TurnsParts;
  readonly #words: Int32Array;

  constructor(parts: TurnsParts) {
    this.#parts = parts;
    this.#words = parts.words;
  }

  get phase(): number {
    return real.load(this.#words, PHASE);
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

  /** The main thread orders this thread to end. `native`: one that stands still does so in a native call, which nothing terminates. */
  kill(thread: number, native: boolean): void {
    const words = this.#words;
    words[KILLED] = (words[KILLED] as number) | (1 << thread);
    if (words[STATUS + thread] === STALLED && !native) this.die(thread, DIES);
  }

  /** The running thread ends the schedule: the controller goes on. */
  finish(thread: number): void {
    real.store(this.#words, PHASE, OVER);
    real.store(this.#words, PARKED, this.#parts.threads - (this.#words[ACTIVE] as number));
    real.store(this.#words, FINISHED, 1);
    real.notify(this.#words, FINISHED);
    awaitTurn(this.#words, thread);
  }

  /** How the schedule goes on: `thread` has come to an operation (`goesOn`), or has nothing to do. */
  decide(thread: number, goesOn: boolean, kind: number, address: number): number {
    const { words, mail, waiters, ledger, seen } = this.#parts;
    const choices = choicesOf(words, mail, waiters, goesOn ? thread : undefined);
    const fallback = goesOn ? thread : choices === 0 ? NOBODY : lowest(choices);
    if (this.phase !== EXPLORED || choices === 0) return fallback;
    const step = words[STEPS] as number;
    if (step >= MAX_STEPS) ledger.accuse(`more than ${MAX_STEPS} steps: somebody runs in circles`);
    if (step >= MAX_STEPS || (words[PLAN_AT] === words[PLAN_LENGTH] && seen.wasSeen(thread, goesOn))) {
      this.finish(thread);
      throw UNWOUND;
    }
    if (seen.isFull) ledger.accuse(`more than ${seen.limit} states: the scenario is too large`);
    words[STEPS] = step + 1;
    let chosen = fallback;
    const planned = words[PLAN_AT] as number;
    if (planned < (words[PLAN_LENGTH] as number) && words[PLAN + planned * 2] === step) {
      words[PLAN_AT] = planned + 1;
      chosen = words[PLAN + planned * 2 + 1] as number;
      const isOwnEnd = goesOn && (chosen === (DIES | thread) || chosen === (STALLS | thread));
      if (!isOwnEnd && (choices & (1 << chosen)) === 0) {
        ledger.accuse(`step ${step} cannot choose ${chosen}: a scenario must depend on nothing but its schedule`);
        chosen = fallback;
      }
    }
    words.set([thread, goesOn ? 1 : 0, address, kind, choices, chosen], TRACE + step * TRACE_WORDS);
    return chosen;
  }

  #endOfPhase(): void {
    const { words, mail } = this.#parts;
    if (this.phase === SET_UP) {
      real.store(words, PHASE, EXPLORED);
      for (let thread = 0; thread < (words[ACTIVE] as number); thread++) mail.deliverHeld(thread);
      const choice = this.decide(MAIN, false, 0, -1);
      if (choice === NOBODY) throw new Error("the scenario has nothing to do after its set-up");
      this.handOver(choice);
    } else {
      real.store(words, PHASE, JUDGED);
      mail.post(MAIN, "judge");
      words[EVENT + MAIN] = BY_MESSAGE;
      giveTurn(this.#words, MAIN);
    }
  }

  /** `kind`: `DIES` or `STALLS`. */
  die(thread: number, kind: number): void {
    const words = this.#words;
    words[STATUS + thread] = kind === DIES ? DEAD : STALLED;
    words[STALLED_AT + thread] = words[CLOCK] as number;
    if (kind === DIES) words[EXITS] = (words[EXITS] as number) | (1 << thread);
  }

  /** The running thread cannot go on: others do, until it is its turn again. */
  standBack(thread: number): void {
    let choice = this.decide(thread, false, 0, -1);
    // Whoever dies where it stands needs no turn for that.
    for (; kindOf(choice) === DIES && choice !== NOBODY; choice = this.decide(thread, false, 0, -1)) this.die(choice - DIES, DIES);
    if (choice === NOBODY) this.#endOfPhase();
    else this.handOver(choice);
    awaitTurn(this.#words, thread);
  }

  /** Gives its turn to the thread that the choice is about. */
  handOver(choice: number): void {
    const thread = threadOf(choice);
    this.#words[EVENT + thread] = choice;
    giveTurn(this.#words, thread);
  }

  /** Throws where the schedule is over for this thread. */
  unwindIfOver(thread: number): void {
    if (this.phase === OVER || this.isGone(thread)) throw UNWOUND;
  }
}
