import { ACTIVE, BY_MESSAGE, EXPLORED, IDLE, LAST, PHASE, READY, STATUS } from "./control-words.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { Waiters } from "./waiters.ts";

/** One bit for each way in which a schedule can go on. */
export function choicesOf(words: Int32Array, mail: Mailboxes, waiters: Waiters): number {
  let choices = 0;
  let last = 0;
  for (let thread = 0; thread < (words[ACTIVE] as number); thread++) {
    const status = words[STATUS + thread];
    if (status === READY) choices |= 1 << thread;
    if (status !== IDLE) continue;
    const isDue = waiters.hasDue(thread);
    const hasMessage = mail.hasMessage(thread);
    if (!isDue && !hasMessage) continue;
    if (words[PHASE] === EXPLORED && ((words[LAST] as number) & (1 << thread)) !== 0 && mail.tookHeld(thread)) {
      last ||= 1 << thread;
      continue;
    }
    choices |= 1 << thread;
    if (isDue && hasMessage) choices |= 1 << (thread + BY_MESSAGE);
  }
  return choices === 0 ? last : choices;
}

export function lowest(choices: number): number {
  return 31 - Math.clz32(choices & -choices);
}
