import {
  ACTIVE,
  BEAT_AT,
  BEATS,
  BY_MESSAGE,
  CLOCK,
  DEAD,
  DIES,
  EXIT,
  EXITS,
  EXPLORED,
  FAIR,
  FIRES_SLOWLY,
  IDLE,
  KILLED,
  LAST,
  MAIN,
  MAY_FIRE,
  NEXT_TIMER,
  PHASE,
  READ_FIRST,
  READY,
  STALLED,
  STATUS,
  TAKEN,
  TIMER,
} from "./control-words.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { Waiters } from "./waiters.ts";

/** One bit for each way in which a schedule can go on. `running`: the thread that could go on, if there is one. */
export function choicesOf(words: Int32Array, mail: Mailboxes, waiters: Waiters, running: number | undefined): number {
  let choices = 0;
  let last = 0;
  let beats = 0;
  let deaths = 0;
  let mayStillRun = false;
  for (let thread = 0; thread < (words[ACTIVE] as number); thread++) {
    const status = words[STATUS + thread];
    if (isIn(words, KILLED, thread) && status !== DEAD && status !== STALLED) {
      mayStillRun = true;
      // Where it stands: another one need not be stopped for that.
      if (running === undefined || running === thread) deaths |= 1 << (DIES + thread);
    }
    if (status === READY) choices |= 1 << thread;
    if (status !== IDLE) continue;
    const beatAt = words[BEAT_AT + thread] as number;
    if (beatAt !== 0 && beatAt <= (words[CLOCK] as number)) beats |= 1 << (BEATS + thread);
    const isDue = waiters.hasDue(thread);
    const hasMessage = mail.hasMessage(thread);
    if (!isDue && !hasMessage) continue;
    if (words[PHASE] === EXPLORED && isIn(words, LAST, thread) && mail.tookHeld(thread)) {
      last ||= 1 << thread;
      continue;
    }
    choices |= 1 << thread;
    if (isDue && hasMessage) choices |= 1 << (thread + BY_MESSAGE);
  }
  // A beat tells nobody anything before the clock has moved on, so it need not come between what others do.
  choices ||= last || beats;
  const isQuiet = choices === 0;
  const exits = words[STATUS + MAIN] === IDLE ? (words[EXITS] as number) << EXIT : 0;
  if (words[PHASE] !== EXPLORED) return choices || deaths || exits;
  choices |= deaths | exits;
  if (words[STATUS + MAIN] !== IDLE) return choices;
  const timer = words[NEXT_TIMER];
  // Between timers an event loop reads what has arrived. Time passes for all: each loop that turns has come to its heartbeat.
  const mayTurn = beats === 0 && (isQuiet || words[FAIR] === 0) && (words[TAKEN + MAIN] as number) >= (words[READ_FIRST] as number);
  if (mayTurn && (timer === MAY_FIRE || (timer === FIRES_SLOWLY && !mayStillRun))) choices |= 1 << TIMER;
  return choices;
}

/** The first in the order of the kinds: threads that can go on, messages, deaths, and only then timers. */
export function lowest(choices: number): number {
  return 31 - Math.clz32(choices & -choices);
}

function isIn(words: Int32Array, set: number, thread: number): boolean {
  return ((words[set] as number) & (1 << thread)) !== 0;
}
