import {
  ACTIVE,
  type ControlMemory,
  FINISHED,
  giveTurn,
  LAST,
  MAIN,
  PARKED,
  PLAN,
  PLAN_LENGTH,
  type Point,
  PREEMPTIONS,
  READY,
  SCENARIO,
  STATES,
  STATUS,
  STEPS,
  TRACE,
  TRACE_WORDS,
  VERDICT,
  VERSION,
} from "./control-words.ts";
import { readText } from "./mailboxes.ts";

const real = globalThis.Atomics;

/** Which threads of a scenario there are. */
export interface Cast {
  readonly scenario: number;
  readonly threads: number;
  /** Threads that hear of others only when nobody else has anything to do: for where that matters to nobody. */
  readonly last: readonly number[];
}

/** The controller's side of what is shared: it gives a plan, lets the threads run one schedule, and reads what they did. */
export class Controller {
  readonly #memory: ControlMemory;
  readonly #threads: number;

  /** `threads`: all there are; a scenario may need fewer. */
  constructor(memory: ControlMemory, threads: number) {
    this.#memory = memory;
    this.#threads = threads;
  }

  /** Waits until all threads stand at the start. Returns whether they do. */
  allParked(timeoutMs: number): boolean {
    for (;;) {
      const parked = real.load(this.#memory.words, PARKED);
      if (parked === this.#threads) return true;
      if (real.wait(this.#memory.words, PARKED, parked, timeoutMs) === "timed-out") return false;
    }
  }

  /** The threads load another version of the sources. To be called when all of them stand at the start; then they do not for a while. */
  load(version: number): void {
    const words = this.#memory.words;
    if (words[VERSION] === version) return;
    words[VERSION] = version;
    real.store(words, PARKED, 0);
    for (let thread = 0; thread < this.#threads; thread++) giveTurn(words, thread);
  }

  /** No state has been seen yet. */
  forget(): void {
    this.#memory.known.fill(0);
    this.#memory.words[STATES] = 0;
  }

  /**
   * Runs one schedule. Returns whether it came to its end in time. `plan`: pairs of step and choice, `preemptions` of them while
   * the thread could have gone on. After its plan it ends early where it comes to a state that was seen before: how that one goes on
   * is known.
   */
  run({ scenario, threads, last }: Cast, plan: readonly number[], preemptions: number, timeoutMs: number): boolean {
    const words = this.#memory.words;
    this.#memory.text[VERDICT] = 0;
    const [states, version] = [words[STATES] as number, words[VERSION] as number];
    words.fill(0, 0, TRACE);
    words[STATES] = states;
    words[VERSION] = version;
    for (const thread of last) words[LAST] = (words[LAST] as number) | (1 << thread);
    words.set(plan, PLAN);
    words[PLAN_LENGTH] = plan.length / 2;
    words[ACTIVE] = threads;
    words[SCENARIO] = scenario;
    words[PREEMPTIONS] = preemptions;
    for (let thread = 0; thread < threads; thread++) words[STATUS + thread] = READY;
    giveTurn(words, MAIN);
    while (real.load(words, FINISHED) === 0) if (real.wait(words, FINISHED, 0, timeoutMs) === "timed-out") return false;
    for (let thread = 0; thread < threads; thread++) giveTurn(words, thread);
    return true;
  }

  /** How many different states there were since `forget`. */
  get states(): number {
    return this.#memory.words[STATES] as number;
  }

  get steps(): number {
    return this.#memory.words[STEPS] as number;
  }

  point(step: number): Point {
    const at = TRACE + step * TRACE_WORDS;
    const [thread, goesOn, address, kind, choices, chosen] = this.#memory.words.subarray(at, at + TRACE_WORDS) as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return { thread, goesOn: goesOn === 1, address, kind, choices, chosen };
  }

  get verdict(): string {
    return readText(this.#memory.text, VERDICT);
  }
}
