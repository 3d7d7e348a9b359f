import type { Worker } from "node:worker_threads";
import type { SnapshotState } from "./snapshot-state.ts";

/** What has to be known of a thread to look into it. */
export interface InspectedThread {
  readonly id: number;
  readonly worker: Worker;
  /** The heap snapshot that is asked of it. */
  snapshot: SnapshotState | undefined;
}
