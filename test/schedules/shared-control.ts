/**
 * What the controller and the threads of a scenario share beside the memory under test: whose turn it is, the plan of this
 * schedule, the trace of what was done, and the modelled wake-ups and messages.
 *
 * Exactly one thread of a scenario runs at a time. Before each Atomics operation on the memory under test it decides, by the plan,
 * who goes on, and hands over without a detour through the controller: a schedule costs as many switches as it has.
 */
const real = globalThis.Atomics;

export const MAX_THREADS = 4;
export const MAX_STEPS = 2_000;
const MAX_PLAN = 64;
const MAX_WAITERS = 4;
const MAX_MESSAGES = 16;
const MESSAGE_CHARS = 480;
const VERDICT_CHARS = 1_000;

export const IDLE = 0;
export const READY = 1;
export const BLOCKED = 2;
export const DEAD = 3;

/** The phases of a schedule. Switches are explored in the second one only. */
export const SET_UP = 0;
export const EXPLORED = 1;
export const JUDGED = 2;
export const OVER = 3;

/** Besides a thread's number: it takes a message though a wake-up is due too. */
export const BY_MESSAGE = 8;
/** Besides a thread's number: it dies here, and the main thread is told. */
export const DIES = 16;
/** Besides a thread's number: it stands still from here on, and nobody is told. */
export const STALLS = 32;
export const THREAD_BITS = 7;
const NOBODY = -1;

/** The thread that stands for the main thread of the service. */
export const MAIN = 0;

export type Point = {
  readonly thread: number;
  readonly goesOn: boolean;
  readonly address: number;
  readonly kind: number;
  readonly choices: number;
  readonly chosen: number;
};

const PHASE = 0;
const STEPS = 1;
const PLAN_LENGTH = 2;
const PLAN_AT = 3;
const PARKED = 4;
const FINISHED = 5;
const ACTIVE = 6;
const SCENARIO = 7;
const PREEMPTIONS = 8;
const PRUNED = 9;
const LAST = 10;
const STATES = 11;
const BODIES = 12;
const TURN = 16;
const STATUS = TURN + MAX_THREADS;
const BLOCKED_AT = STATUS + MAX_THREADS;
const EVENT = BLOCKED_AT + MAX_THREADS;
const WAITERS = EVENT + MAX_THREADS;
const TAKEN = WAITERS + MAX_THREADS * MAX_WAITERS * 2;
const POSTED = TAKEN + MAX_THREADS;
const HELD = POSTED + MAX_THREADS;
const HELD_AT = HELD + MAX_THREADS;
// Two words a thread: what it has read and done so far, as a hash. Its own state follows from that.
const HISTORY = HELD_AT + MAX_THREADS;
// Two words a thread: what was ever put into its box, in which order.
const BOXES = HISTORY + MAX_THREADS * 2;
const PLAN = BOXES + MAX_THREADS * 2;
const TRACE = PLAN + MAX_PLAN * 2;
const TRACE_WORDS = 6;
const WORDS = TRACE + MAX_STEPS * TRACE_WORDS;
// Three words a state: its hash, and 1 + the preemptions that led to it.
const KNOWN_STATES = 2 ** 19;
const MESSAGE_UNITS = MESSAGE_CHARS + 1;
const HELD_TEXT = MAX_THREADS * MAX_MESSAGES * MESSAGE_UNITS;
const VERDICT = HELD_TEXT + MAX_THREADS * MESSAGE_UNITS;
const TEXT_UNITS = VERDICT + VERDICT_CHARS + 1;

// Waiter states.
const NONE = 0;
const WAITS = 1;
const DUE = 2;

/** Thrown into a thread of a schedule that is over, or that died in it: unwinds whatever it was doing. */
export class Unwound extends Error {}
const UNWOUND = new Unwound("the schedule is over for this thread");

/** Which threads of a scenario there are. */
export interface Cast {
  readonly scenario: number;
  readonly threads: number;
  /** Threads that hear of others only when nobody else has anything to do: for where that matters to nobody. */
  readonly last: readonly number[];
}

export type Event = "wake" | "message" | "over";

export class SharedControl {
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(WORDS * 4 + KNOWN_STATES * 12 + TEXT_UNITS * 2);
  }

  readonly #words: Int32Array;
  readonly #known: Int32Array;
  readonly #text: Uint16Array;
  #memory: Int32Array = new Int32Array(0);
  readonly #threads: number;

  /** `threads`: all there are; a scenario may need fewer. */
  constructor(buffer: SharedArrayBuffer, threads: number) {
    this.#words = new Int32Array(buffer, 0, WORDS);
    this.#known = new Int32Array(buffer, WORDS * 4, KNOWN_STATES * 3);
    this.#text = new Uint16Array(buffer, WORDS * 4 + KNOWN_STATES * 12, TEXT_UNITS);
    this.#threads = threads;
  }

  // --- The controller's side. ---

  /** Waits until all threads stand at the start. Returns whether they do. */
  allParked(timeoutMs: number): boolean {
    for (;;) {
      const parked = real.load(this.#words, PARKED);
      if (parked === this.#threads) return true;
      if (real.wait(this.#words, PARKED, parked, timeoutMs) === "timed-out") return false;
    }
  }

  /** No state has been seen yet. */
  forget(): void {
    this.#known.fill(0);
    this.#words[STATES] = 0;
  }

  /**
   * Runs one schedule. Returns whether it came to its end in time. `plan`: pairs of step and choice, `preemptions` of them while
   * the thread could have gone on. After its plan it ends early where it comes to a state that was seen before: how that one goes on
   * is known.
   */
  run({ scenario, threads, last }: Cast, plan: readonly number[], preemptions: number, timeoutMs: number): boolean {
    const words = this.#words;
    this.#text[VERDICT] = 0;
    const states = words[STATES] as number;
    words.fill(0, 0, TRACE);
    words[STATES] = states;
    for (const thread of last) words[LAST] = (words[LAST] as number) | (1 << thread);
    words.set(plan, PLAN);
    words[PLAN_LENGTH] = plan.length / 2;
    words[ACTIVE] = threads;
    words[SCENARIO] = scenario;
    words[PREEMPTIONS] = preemptions;
    for (let thread = 0; thread < threads; thread++) words[STATUS + thread] = READY;
    this.#giveTurn(MAIN);
    while (real.load(words, FINISHED) === 0) if (real.wait(words, FINISHED, 0, timeoutMs) === "timed-out") return false;
    for (let thread = 0; thread < threads; thread++) this.#giveTurn(thread);
    return true;
  }

  /** How many different states there were since `forget`. */
  get states(): number {
    return this.#words[STATES] as number;
  }

  /** Whether it ended early. */
  get pruned(): boolean {
    return this.#words[PRUNED] === 1;
  }

  get steps(): number {
    return this.#words[STEPS] as number;
  }

  point(step: number): Point {
    const at = TRACE + step * TRACE_WORDS;
    const [thread, goesOn, address, kind, choices, chosen] = this.#words.subarray(at, at + TRACE_WORDS) as unknown as [
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
    return this.#read(VERDICT);
  }

  // --- The threads' side. ---

  get phase(): number {
    return real.load(this.#words, PHASE);
  }

  /** The memory under test. */
  watch(memory: SharedArrayBuffer): void {
    this.#memory = new Int32Array(memory);
  }

  /** A thread has learned something: a result, a message. */
  note(thread: number, value: number): void {
    this.#mix(HISTORY + thread * 2, value);
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
    this.#awaitTurn(thread);
  }

  /** The running thread is about to do something that others can see. Returns when it may. */
  beforeOperation(thread: number, kind: number, address: number): void {
    if (this.phase === JUDGED) return;
    this.#unwindIfOver(thread);
    const choice = this.#decide(thread, true, kind, address);
    if (choice === thread) return;
    if (choice >= DIES) this.#die(thread, (choice & DIES) !== 0);
    this.#handOver(choice);
    this.#awaitTurn(thread);
    this.#unwindIfOver(thread);
  }

  /** The running thread has nothing to do. Returns what happens to it next. */
  nextEvent(thread: number): Event {
    const words = this.#words;
    if (this.phase === OVER) return "over";
    words[STATUS + thread] = IDLE;
    const choice = this.#decide(thread, false, 0, -1);
    if (choice === NOBODY) this.#endOfPhase();
    else this.#handOver(choice);
    this.#awaitTurn(thread);
    if (this.phase === OVER) return "over";
    words[STATUS + thread] = READY;
    return words[EVENT + thread] === BY_MESSAGE || !this.#hasDue(thread) ? "message" : "wake";
  }

  /** As `Atomics.waitAsync`, after its comparison: returns the waiter's number. */
  addWaiter(thread: number, address: number): number {
    for (let n = 0; n < MAX_WAITERS; n++) {
      const at = this.#waiter(thread, n);
      if (this.#words[at + 1] !== NONE) continue;
      this.#words[at] = address;
      this.#words[at + 1] = WAITS;
      return n;
    }
    throw new Error(`thread ${thread} has more than ${MAX_WAITERS} asynchronous waiters`);
  }

  /** The number of a waiter that has been notified, which is taken off. */
  takeDue(thread: number): number {
    for (let n = 0; n < MAX_WAITERS; n++) {
      const at = this.#waiter(thread, n);
      if (this.#words[at + 1] !== DUE) continue;
      this.#words[at + 1] = NONE;
      this.note(thread, n);
      return n;
    }
    throw new Error(`thread ${thread} was woken for nothing`);
  }

  /** As `Atomics.wait`, after its comparison. */
  block(thread: number, address: number): void {
    const words = this.#words;
    words[STATUS + thread] = BLOCKED;
    words[BLOCKED_AT + thread] = address;
    const choice = this.#decide(thread, false, 0, -1);
    if (choice === NOBODY) this.#endOfPhase();
    else this.#handOver(choice);
    this.#awaitTurn(thread);
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
      for (let n = 0; n < MAX_WAITERS && woken < count; n++) {
        const at = this.#waiter(thread, n);
        if (words[at + 1] !== WAITS || words[at] !== address) continue;
        words[at + 1] = DUE;
        woken++;
      }
    }
    return woken;
  }

  /** Puts a message into a thread's box. */
  post(to: number, message: string): void {
    const n = this.#words[POSTED + to] as number;
    if (n - (this.#words[TAKEN + to] as number) >= MAX_MESSAGES) throw new Error(`the box of thread ${to} is full`);
    this.#words[POSTED + to] = n + 1;
    this.#write(this.#box(to, n), message, MESSAGE_CHARS);
    for (let at = 0; at < message.length; at++) this.#mix(BOXES + to * 2, message.charCodeAt(at));
  }

  /** During the set-up: the message comes when that is over, at one time with all others that were held. One for each thread. */
  postLater(to: number, message: string): void {
    if (this.#words[HELD + to] === 1) throw new Error(`a message for thread ${to} is held already`);
    this.#words[HELD + to] = 1;
    this.#write(HELD_TEXT + to * MESSAGE_UNITS, message, MESSAGE_CHARS);
  }

  /** Whether the box of a thread holds a message with these characters. */
  holds(thread: number, part: string): boolean {
    for (let n = this.#words[TAKEN + thread] as number; n < (this.#words[POSTED + thread] as number); n++) {
      if (this.#read(this.#box(thread, n)).includes(part)) return true;
    }
    return false;
  }

  take(thread: number): string {
    const n = this.#words[TAKEN + thread] as number;
    if (n === this.#words[POSTED + thread]) throw new Error(`thread ${thread} has no message`);
    this.#words[TAKEN + thread] = n + 1;
    const message = this.#read(this.#box(thread, n));
    for (let at = 0; at < message.length; at++) this.note(thread, message.charCodeAt(at));
    return message;
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
    if (this.verdict === "" && this.phase !== OVER) this.#write(VERDICT, text, VERDICT_CHARS);
  }

  /** The running thread ends the schedule: the controller goes on. */
  finish(thread: number): void {
    real.store(this.#words, PHASE, OVER);
    real.store(this.#words, PARKED, this.#threads - this.#active);
    real.store(this.#words, FINISHED, 1);
    real.notify(this.#words, FINISHED);
    this.#awaitTurn(thread);
  }

  // --- Both of them inside. ---

  #decide(thread: number, goesOn: boolean, kind: number, address: number): number {
    const words = this.#words;
    const choices = this.#choices();
    const fallback = goesOn ? thread : choices === 0 ? NOBODY : lowest(choices);
    if (this.phase !== EXPLORED || choices === 0) return fallback;
    const step = words[STEPS] as number;
    if (step >= MAX_STEPS) {
      this.accuse(`more than ${MAX_STEPS} steps: somebody runs in circles`);
      this.finish(thread);
      throw UNWOUND;
    }
    if (words[PLAN_AT] === words[PLAN_LENGTH] && this.#isKnown(thread, goesOn)) {
      words[PRUNED] = 1;
      this.finish(thread);
      throw UNWOUND;
    }
    words[STEPS] = step + 1;
    let chosen = fallback;
    const planned = words[PLAN_AT] as number;
    if (planned < (words[PLAN_LENGTH] as number) && words[PLAN + planned * 2] === step) {
      words[PLAN_AT] = planned + 1;
      chosen = words[PLAN + planned * 2 + 1] as number;
      const isThere = chosen >= DIES ? goesOn && (chosen & THREAD_BITS) === thread : (choices & (1 << chosen)) !== 0;
      if (!isThere) {
        this.accuse(
          `the plan chose ${chosen} at step ${step}, which is not possible: a scenario must not depend on anything but its schedule`,
        );
        chosen = fallback;
      }
    }
    words.set([thread, goesOn ? 1 : 0, address, kind, choices, chosen], TRACE + step * TRACE_WORDS);
    return chosen;
  }

  /** Whether this state was seen after as few preemptions; from now on it was. */
  #isKnown(thread: number, goesOn: boolean): boolean {
    const words = this.#words;
    let a = thread * 2 + (goesOn ? 1 : 0);
    let b = ~a;
    for (let at = STATUS; at < HISTORY + MAX_THREADS * 4; at++) {
      if (at >= EVENT && at < WAITERS) continue;
      a = mixed(a, words[at] as number);
      b = mixed(b, ~(words[at] as number));
    }
    for (const word of this.#memory) {
      a = mixed(a, word);
      b = mixed(b, ~word);
    }
    const cost = (words[PREEMPTIONS] as number) + 1;
    const known = this.#known;
    for (let n = a & (KNOWN_STATES - 1); ; n = (n + 1) & (KNOWN_STATES - 1)) {
      const at = n * 3;
      const before = known[at + 2] as number;
      if (before !== 0 && (known[at] !== a || known[at + 1] !== b)) continue;
      if (before !== 0 && before <= cost) return true;
      if (before === 0) words[STATES] = (words[STATES] as number) + 1;
      if ((words[STATES] as number) > KNOWN_STATES / 2) this.accuse(`more than ${KNOWN_STATES / 2} states: the scenario is too large`);
      known[at] = a;
      known[at + 1] = b;
      known[at + 2] = cost;
      return false;
    }
  }

  #mix(at: number, value: number): void {
    this.#words[at] = mixed(this.#words[at] as number, value);
    this.#words[at + 1] = mixed(this.#words[at + 1] as number, ~value);
  }

  /** One bit for each way to go on. */
  #choices(): number {
    const words = this.#words;
    let choices = 0;
    let last = 0;
    for (let thread = 0; thread < this.#active; thread++) {
      const status = words[STATUS + thread];
      if (status === READY) choices |= 1 << thread;
      else if (status === IDLE) {
        const hasDue = this.#hasDue(thread);
        const hasMessage = words[POSTED + thread] !== words[TAKEN + thread];
        if ((hasDue || hasMessage) && this.#comesLast(thread)) {
          last ||= 1 << thread;
          continue;
        }
        if (hasDue || hasMessage) choices |= 1 << thread;
        if (hasDue && hasMessage) choices |= 1 << (thread + BY_MESSAGE);
      }
    }
    return choices === 0 ? last : choices;
  }

  #comesLast(thread: number): boolean {
    const words = this.#words;
    if (this.phase !== EXPLORED || ((words[LAST] as number) & (1 << thread)) === 0) return false;
    return words[HELD + thread] !== 1 || (words[TAKEN + thread] as number) > (words[HELD_AT + thread] as number);
  }

  #endOfPhase(): void {
    const words = this.#words;
    if (this.phase === SET_UP) {
      real.store(words, PHASE, EXPLORED);
      for (let thread = 0; thread < this.#active; thread++) {
        words[HELD_AT + thread] = words[POSTED + thread] as number;
        if (words[HELD + thread] === 1) this.post(thread, this.#read(HELD_TEXT + thread * MESSAGE_UNITS));
      }
      const choice = this.#decide(MAIN, false, 0, -1);
      if (choice === NOBODY) throw new Error("the scenario has nothing to do after its set-up");
      this.#handOver(choice);
    } else {
      real.store(words, PHASE, JUDGED);
      this.post(MAIN, "judge");
      words[EVENT + MAIN] = BY_MESSAGE;
      this.#giveTurn(MAIN);
    }
  }

  #die(thread: number, isTold: boolean): never {
    const words = this.#words;
    words[STATUS + thread] = DEAD;
    if (isTold) this.post(MAIN, `exit ${thread}`);
    const choice = this.#decide(thread, false, 0, -1);
    if (choice === NOBODY) this.#endOfPhase();
    else this.#handOver(choice);
    this.#awaitTurn(thread);
    throw UNWOUND;
  }

  #handOver(choice: number): void {
    const thread = choice & THREAD_BITS;
    this.#words[EVENT + thread] = choice & BY_MESSAGE;
    this.#giveTurn(thread);
  }

  #giveTurn(thread: number): void {
    real.store(this.#words, TURN + thread, 1);
    real.notify(this.#words, TURN + thread);
  }

  #awaitTurn(thread: number): void {
    // The notify of a turn that was taken without waiting may come late and wake this one.
    while (real.load(this.#words, TURN + thread) === 0) real.wait(this.#words, TURN + thread, 0);
    real.store(this.#words, TURN + thread, 0);
  }

  #unwindIfOver(thread: number): void {
    if (this.phase === OVER || this.isGone(thread)) throw UNWOUND;
  }

  #hasDue(thread: number): boolean {
    for (let n = 0; n < MAX_WAITERS; n++) if (this.#words[this.#waiter(thread, n) + 1] === DUE) return true;
    return false;
  }

  #waiter(thread: number, n: number): number {
    return WAITERS + (thread * MAX_WAITERS + n) * 2;
  }

  #box(thread: number, n: number): number {
    return (thread * MAX_MESSAGES + (n % MAX_MESSAGES)) * MESSAGE_UNITS;
  }

  #write(at: number, text: string, most: number): void {
    const length = Math.min(text.length, most);
    if (text.length > most && most === MESSAGE_CHARS) throw new Error(`a message of ${text.length} characters is too long`);
    this.#text[at] = length;
    for (let n = 0; n < length; n++) this.#text[at + 1 + n] = text.charCodeAt(n);
  }

  #read(at: number): string {
    const length = this.#text[at] as number;
    return String.fromCharCode(...this.#text.subarray(at + 1, at + 1 + length));
  }
}

/** A step of a hash (MurmurHash3's). */
function mixed(hash: number, value: number): number {
  let k = Math.imul(value, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function lowest(choices: number): number {
  return 31 - Math.clz32(choices & -choices);
}
