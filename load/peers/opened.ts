import { setTimeout as pause } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { Notes } from "./notes.ts";
import type { Peer, Pool } from "./peer.ts";

const STARTS_MS = 20;
// A thread that is being terminated while nothing else happens has ended by then.
const ENDING_MS = 100;

export interface Opened extends AsyncDisposable {
  readonly pool: Pool;
  readonly notes: Notes;
  /** How many threads have ended since: to be called when nothing runs any more. */
  threadsLost(): Promise<number>;
}

/** The peer's threads, each of which has run a task: their start is not held against it. */
export async function opened(peer: Peer, threads: number): Promise<Opened> {
  const notes = new Notes();
  let ended = 0;
  const watch = (worker: Worker): void => void worker.once("exit", () => ended++);
  process.on("worker", watch);
  const pool = await peer.open(threads, notes.shared);
  for (const alone of [false, true]) {
    const runs = Array.from({ length: threads }, () => pool.run({ kind: "wait", ms: STARTS_MS, cell: 0 }, { alone }));
    await Promise.all(runs.map(({ settled }) => settled));
  }
  return {
    pool,
    notes,
    async threadsLost() {
      await pause(ENDING_MS);
      return ended;
    },
    async [Symbol.asyncDispose]() {
      process.off("worker", watch);
      await pool[Symbol.asyncDispose]();
    },
  };
}
