import type { Worker } from "node:worker_threads";
import type { InspectedThread } from "../diagnosis/inspected-thread.ts";
import type { SnapshotState } from "../diagnosis/snapshot-state.ts";
import type { Lane } from "./lane.ts";

/** Why a thread was replaced. */
export const REPLACE_REASONS = ["grace", "heartbeat", "chaos", "exit", "uncaught", "out_of_memory"] as const;

export type ReplaceReason = (typeof REPLACE_REASONS)[number];

/** What the main thread knows of one of a pool's threads. */
export class PoolThread implements InspectedThread {
  readonly worker: Worker;
  /** Kept here because a `Worker` forgets its id when it exits. */
  readonly id: number;
  /** Steps that were sent to it and have not settled; each of them keeps the count. */
  inFlight = 0;
  /** Its tracker row, once it has loaded its worker file and claimed one. */
  row: number | undefined;
  /** Piscina counts it among the threads it gives tasks to: a pool's first threads before they run, later ones after. */
  listed = false;
  /** Set when its end is known or ordered; it gets no more steps. */
  leaving: ReplaceReason | undefined;
  /** It is leaving, but may end the steps it has until this timer fires. */
  quarantine: NodeJS.Timeout | undefined;
  terminated = false;
  /** The heap snapshot that is asked of it. */
  snapshot: SnapshotState | undefined;
  /** Steps go to it from here on: it is listed, has a row, and was given the standing task. */
  lane: Lane | undefined;

  constructor(worker: Worker) {
    this.worker = worker;
    this.id = worker.threadId;
  }

  get ready(): boolean {
    return this.lane !== undefined;
  }

  /** Steps may be sent to it. */
  get takesSteps(): boolean {
    return this.ready && this.leaving === undefined && !this.standsStill;
  }

  /** It stands still for a heap snapshot, through no fault of its steps. */
  get standsStill(): boolean {
    return this.snapshot?.standsStill ?? false;
  }

  /** Terminates it, unless that was done before; its pool replaces it. */
  kill(reason: ReplaceReason): void {
    if (this.terminated) return;
    this.leaving ??= reason;
    this.terminated = true;
    void this.worker.terminate();
  }
}
