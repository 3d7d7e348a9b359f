import {
  ACTIVE,
  BY_MESSAGE,
  DEAD,
  DIES,
  EXIT,
  EXITS,
  EXPLORED,
  IDLE,
  KILLED,
  LAST,
  MAIN,
  PHASE,
  READY,
  SLOW_TIMERS,
  STALLED,
  STATUS,
  TIMER,
  TIMERS,
} from "./control-words.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { Waiters } from "./waiters.ts";

/** One bit for each way in which a schedule can go on. `running`: the thread that could go on, if there is one. */
export function choicesOf(words: Int32Array, mail: Mailboxes, waiters: Waiters, running: number | undefined): number {
  let choices = 0;
  let last = 0;
  let mayStillRun = false;
  for (let thread = 0; thread < (words[ACTIVE] as number); thread++) {
    const status = words[STATUS + thread];
    if (isIn(words, KILLED, thread) && status !== DEAD && status !== STALLED) {
      mayStillRun = true;
      // Where it stands: another one need not be stopped for that.
      if (running === undefined || running === thread) choices |= 1 << (DIES + thread);
    }
    if (status === READY) choices |= 1 << thread;
    if (status !== IDLE) continue;
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
  if (words[STATUS + MAIN] === IDLE && words[PHASE] === EXPLORED) {
    choices |= (words[EXITS] as number) << EXIT;
    choices |= (words[TIMERS] as number) << TIMER;
    if (!mayStillRun) choices |= (words[SLOW_TIMERS] as number) << TIMER;
  }
  return choices === 0 ? last : choices;
}

/** The first in the order of the kinds: threads that can go on, messages, deaths, and only then timers. */
export function lowest(choices: number): number {
  return 31 - Math.clz32(choices & -choices);
}

function isIn(words: Int32Array, set: number, thread: number): boolean {
  return ((words[set] as number) & (1 << thread)) !== 0;
}
