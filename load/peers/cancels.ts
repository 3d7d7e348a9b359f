import { setTimeout as pause } from "node:timers/promises";
import { monotonicMs } from "../../src/threads/index.ts";
import { opened } from "./opened.ts";
import type { Kind, Peer } from "./peer.ts";

// How long a task goes on that hears of no cancel.
const GOES_ON_MS = 300;
// It is in the midst of what it does.
const INTO_IT_MS = 2;
const MOST_CANCELS = 200;

export interface Cancels {
  /** From the cancel until whoever waited for the task heard that it is over. */
  readonly settledMs: readonly number[];
  /** The same, and the task does nothing any more. */
  readonly stoppedMs: readonly number[];
  /** From the cancel until the next task began on the same thread, or the one in its place. */
  readonly nextMs: readonly number[];
  /** Tasks that went on to their own end. */
  readonly ranOn: number;
  readonly threadsLost: number;
}

/** Cancels tasks one after the other on one thread, each with the next task behind it. */
export async function cancels(peer: Peer, kind: Kind, seconds: number): Promise<Cancels> {
  await using at = await opened(peer, 1);
  const { pool, notes } = at;
  const options = { alone: kind !== "tick" };
  const settledMs: number[] = [];
  const stoppedMs: number[] = [];
  const nextMs: number[] = [];
  let ranOn = 0;
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end && settledMs.length < MOST_CANCELS) {
    const [cell, nextCell] = [notes.take(), notes.take()];
    const canceled = pool.run({ kind, ms: GOES_ON_MS, cell }, options);
    await notes.started(cell, canceled);
    await pause(INTO_IT_MS);
    const canceledAt = monotonicMs();
    canceled.cancel();
    const next = pool.run({ kind: "empty", ms: 0, cell: nextCell }, options);
    await canceled.settled;
    const settledAt = monotonicMs();
    if (!(await next.settled)) throw new Error(`${peer.title}: the task behind a canceled one was lost`);
    const actedAt = await notes.lastAct(cell);
    if (actedAt - notes.startedAt(cell) >= GOES_ON_MS) ranOn++;
    settledMs.push(settledAt - canceledAt);
    stoppedMs.push(Math.max(settledAt, actedAt) - canceledAt);
    nextMs.push(notes.startedAt(nextCell) - canceledAt);
  }
  return { settledMs, stoppedMs, nextMs, ranOn, threadsLost: await at.threadsLost() };
}
