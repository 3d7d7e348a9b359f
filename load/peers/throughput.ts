import { atATime } from "../at-a-time.ts";
import { opened } from "./opened.ts";
import type { Kind, Peer, RunOptions } from "./peer.ts";

const WARM_UP_SECONDS = 0.2;

interface Load extends RunOptions {
  readonly kind: Kind;
  readonly ms: number;
  readonly atATime: number;
  /** Where tasks that can be canceled have a thread each. */
  readonly threadsForOnesAlone?: number;
}

/** What tasks do of which as many as can be are done. */
export const LOADS = {
  empty: { kind: "empty", ms: 0, atATime: 64 },
  // Threads that have one task each wait with it, so there are more of them.
  waiting: { kind: "wait", ms: 5, atATime: 1000, threadsForOnesAlone: 32 },
  computing: { kind: "compute", ms: 5, atATime: 4, alone: true },
} as const satisfies Readonly<Record<string, Load>>;

export type LoadName = keyof typeof LOADS;

export function threadsFor({ sharing }: Peer, load: Load, usual: number): number {
  return sharing === "all" ? usual : (load.threadsForOnesAlone ?? usual);
}

/** Tasks a second. Throws when one of them was lost. */
export async function throughput(peer: Peer, load: Load, threads: number, seconds: number): Promise<number> {
  await using at = await opened(peer, threadsFor(peer, load, threads));
  let lost = 0;
  const one = async (): Promise<void> => {
    if (!(await at.pool.run({ kind: load.kind, ms: load.ms, cell: 0 }, load).settled)) lost++;
  };
  const tasks = Math.min(load.atATime, peer.mostTasks ?? load.atATime);
  await atATime(tasks, WARM_UP_SECONDS, one);
  const perSecond = await atATime(tasks, seconds, one);
  if (lost > 0) throw new Error(`${peer.title}: ${lost} tasks were lost that nobody canceled`);
  return perSecond;
}
