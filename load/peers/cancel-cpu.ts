import { setTimeout as pause } from "node:timers/promises";
import { opened } from "./opened.ts";
import type { Peer } from "./peer.ts";

const INTO_IT_MS = 3;
// A peer that cannot stop it has it on its thread until then.
const WAIT_MS = 300;

/** Microseconds of CPU, on all threads, of a task that is canceled while it waits, and of an empty one behind it, for which a thread has to be there. */
export async function cancelCpu(peer: Peer, seconds: number): Promise<number> {
  await using at = await opened(peer, 1);
  let canceled = 0;
  const before = process.cpuUsage();
  for (const end = performance.now() + seconds * 1000; performance.now() < end; canceled++) {
    const run = at.pool.run({ kind: "wait", ms: WAIT_MS, cell: 0 });
    await pause(INTO_IT_MS);
    run.cancel();
    await run.settled;
    await at.pool.run({ kind: "empty", ms: 0, cell: 0 }).settled;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / canceled;
}
