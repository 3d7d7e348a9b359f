import { atATime } from "../at-a-time.ts";
import { opened } from "./opened.ts";
import type { Kind, Peer } from "./peer.ts";

const THREADS = 1;
const LANES = 4;
const INNOCENT_MS = 5;
const INNOCENTS_EACH_SIDE = 4;
const CANCELED_MS = 300;
const KINDS: readonly Kind[] = ["wait", "computeAwaiting"];

export interface Innocents {
  readonly cancels: number;
  readonly innocents: number;
  readonly lost: number;
  readonly threadsLost: number;
}

/**
 * Cancels tasks that wait, and tasks that compute, on a thread that they share with tasks which nobody cancels. All of them are well-behaved:
 * none holds the thread for longer than a millisecond.
 */
export async function innocents(peer: Peer, seconds: number): Promise<Innocents> {
  await using at = await opened(peer, THREADS);
  const { pool, notes } = at;
  let [cancels, innocents, lost] = [0, 0, 0];
  const beside = (): Promise<boolean>[] =>
    Array.from({ length: INNOCENTS_EACH_SIDE }, () => {
      innocents++;
      return pool.run({ kind: "wait", ms: INNOCENT_MS, cell: 0 }, { cancelable: false }).settled;
    });
  await atATime(LANES, seconds, async () => {
    const cell = notes.take();
    const before = beside();
    const canceled = pool.run({ kind: KINDS[cancels++ % KINDS.length] as Kind, ms: CANCELED_MS, cell });
    const after = beside();
    await notes.started(cell, canceled);
    canceled.cancel();
    await canceled.settled;
    for (const ended of await Promise.all([...before, ...after])) if (!ended) lost++;
  });
  return { cancels, innocents, lost, threadsLost: await at.threadsLost() };
}
