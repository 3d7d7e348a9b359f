import type { Worker } from "node:worker_threads";
import type { SnapshotState } from "./snapshot-state.ts";

/** What has to be known of a thread to look into it. */
export interface InspectedThread {
  readonly id: number;
  readonly worker: Worker;
  /** The heap snapshot that is asked of it. */
  snapshot: SnapshotState | undefined;
}

/** How worker threads are found; `threads` implements it. */
export interface InspectableThreads {
  /** Undefined where there is none with this id, or it is about to end. `goesOn` is to be called when it has stood still for a snapshot. */
  inspectable(threadId: number): { readonly thread: InspectedThread; readonly goesOn: () => void } | undefined;
}
