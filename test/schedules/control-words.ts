/** Where everything is that the controller and the threads of a scenario share beside the memory under test. */
export const MAX_THREADS = 4;
export const MAX_STEPS = 2_000;
export const MAX_PLAN = 64;
export const MAX_WAITERS = 4;
export const MAX_MESSAGES = 16;
export const MESSAGE_CHARS = 480;
export const VERDICT_CHARS = 1_000;

export const IDLE = 0;
export const READY = 1;
export const BLOCKED = 2;
export const DEAD = 3;
/** Stands still for ever; if it is killed it dies, unless it does so in a native call. */
export const STALLED = 4;

/** The phases of a schedule. Switches are explored in the second one only. */
export const SET_UP = 0;
export const EXPLORED = 1;
export const JUDGED = 2;
export const OVER = 3;

// How a schedule goes on: one of these, with a thread's number in it. Without any the thread goes on.
/** It takes a message though a wake-up is due too. */
export const BY_MESSAGE = 4;
/** It dies here, and the main thread will hear of it. */
export const DIES = 8;
/** It stands still from here on, and nobody hears of it. */
export const STALLS = 12;
/** The main thread hears that this thread has died. */
export const EXIT = 16;
/** The heartbeat of this thread is due, and its event loop comes to it. */
export const BEATS = 20;
/** The next timer of the main thread fires. */
export const TIMER = 24;
export const CHOICES = TIMER + 1;
export const NOBODY = -1;

/** The thread that stands for the main thread of a program. */
export const MAIN = 0;

/** Whose turn it is after a choice. */
export function threadOf(choice: number): number {
  return kindOf(choice) === EXIT || kindOf(choice) === TIMER ? MAIN : choice % MAX_THREADS;
}

/** `BY_MESSAGE`, `DIES` and so on; 0 for a thread that goes on. */
export function kindOf(choice: number): number {
  return choice - (choice % MAX_THREADS);
}

export type Point = {
  readonly thread: number;
  readonly goesOn: boolean;
  readonly address: number;
  readonly kind: number;
  readonly choices: number;
  readonly chosen: number;
};

export const PHASE = 0;
export const STEPS = 1;
export const PLAN_LENGTH = 2;
export const PLAN_AT = 3;
export const PARKED = 4;
export const FINISHED = 5;
export const ACTIVE = 6;
export const SCENARIO = 7;
export const PREEMPTIONS = 8;
export const LAST = 10;
export const STATES = 11;
/** Of each of these a bit for each task: its message was taken, its outcome was posted. */
export const TOOK = 12;
export const ANSWERED = 13;
/** Which version of the sources. */
export const VERSION = 15;
/** Whether timers wait until nobody has anything else to do. */
export const FAIR = 14;
export const TURN = 16;
/** A word for each thread: since when it stands still, on the clock of the schedule. */
export const STALLED_AT = TURN + MAX_THREADS;
// From here on hashed: see `SeenStates`.
export const STATUS = STALLED_AT + MAX_THREADS;
export const BLOCKED_AT = STATUS + MAX_THREADS;
/** Of each of these a bit for each thread: it was killed, its exit is due on the main thread. */
export const KILLED = BLOCKED_AT + MAX_THREADS;
export const EXITS = KILLED + 1;
/** Milliseconds, on the one clock of all threads. It moves when a timer of the main thread fires, and when a task computes. */
export const CLOCK = EXITS + 1;
/** Of the main thread's next timer: one of those below. */
export const NEXT_TIMER = CLOCK + 1;
/** A word for each thread: when its heartbeat is due; 0 while it has none. */
export const BEAT_AT = NEXT_TIMER + 1;
/** Up to which message the main thread has to read before its next timer fires. */
export const READ_FIRST = BEAT_AT + MAX_THREADS;
export const EVENT = READ_FIRST + 1;
export const WAITERS = EVENT + MAX_THREADS;
export const TAKEN = WAITERS + MAX_THREADS * MAX_WAITERS * 2;
export const POSTED = TAKEN + MAX_THREADS;
export const HELD = POSTED + MAX_THREADS;
export const HELD_AT = HELD + MAX_THREADS;
// Two words a thread: what it has read and done so far, as a hash. Its own state follows from that.
export const HISTORY = HELD_AT + MAX_THREADS;
// Two words a thread: what was ever put into its box, in which order.
export const BOXES = HISTORY + MAX_THREADS * 2;
export const PLAN = BOXES + MAX_THREADS * 2;
/** A word for each task: how often its body has run. */
export const BODIES = PLAN + MAX_PLAN * 2;
export const MAX_TASKS = 8;
export const TRACE = BODIES + MAX_TASKS;
export const TRACE_WORDS = 6;
export const WORDS = TRACE + MAX_STEPS * TRACE_WORDS;
// Three words a state: its hash, and 1 + the preemptions that led to it.
const KNOWN_STATES = 2 ** 19;
export const MESSAGE_UNITS = MESSAGE_CHARS + 1;
export const HELD_TEXT = MAX_THREADS * MAX_MESSAGES * MESSAGE_UNITS;
export const VERDICT = HELD_TEXT + MAX_THREADS * MESSAGE_UNITS;
export const TEXT_UNITS = VERDICT + VERDICT_CHARS + 1;

// What the next timer is: none; it may fire; it may fire once every thread that was killed has had the time to die.
export const NO_TIMER = 0;
export const MAY_FIRE = 1;
export const FIRES_SLOWLY = 2;

// Waiter states.
export const NONE = 0;
export const WAITS = 1;
export const DUE = 2;

/** The three views of that memory. */
export interface ControlMemory {
  readonly words: Int32Array;
  readonly known: Int32Array;
  readonly text: Uint16Array;
}

/** `states`: how many places there are for known ones, a power of two. */
export function allocateControl(states = KNOWN_STATES): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * 4 + states * 12 + TEXT_UNITS * 2);
}

export function controlMemory(buffer: SharedArrayBuffer): ControlMemory {
  const textAt = buffer.byteLength - TEXT_UNITS * 2;
  return {
    words: new Int32Array(buffer, 0, WORDS),
    known: new Int32Array(buffer, WORDS * 4, (textAt - WORDS * 4) / 4),
    text: new Uint16Array(buffer, textAt, TEXT_UNITS),
  };
}

// The threads of a scenario replace the global one.
const real = globalThis.Atomics;

export function giveTurn(words: Int32Array, thread: number): void {
  real.store(words, TURN + thread, 1);
  real.notify(words, TURN + thread);
}

export function awaitTurn(words: Int32Array, thread: number): void {
  // The notify of a turn that was taken without waiting may come late and wake this one.
  while (real.load(words, TURN + thread) === 0) real.wait(words, TURN + thread, 0);
  real.store(words, TURN + thread, 0);
}
