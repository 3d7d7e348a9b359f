import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import type { InspectedThread } from "../diagnosis/inspected-thread.ts";
import type { SnapshotState } from "../diagnosis/snapshot-state.ts";
import type { OutcomeEntry, StepMessage } from "./protocol.ts";

/** Why a thread was replaced. */
export const REPLACE_REASONS = ["grace", "heartbeat", "chaos", "exit", "uncaught", "out_of_memory"] as const;

export type ReplaceReason = (typeof REPLACE_REASONS)[number];

/** One of a pool's threads, as the main thread knows it, and the lane to it: a port for its steps and their outcomes. Main thread only. */
export class PoolThread implements InspectedThread {
  readonly worker: Worker;
  /** Kept here because a `Worker` forgets its id when it exits. */
  readonly id: number;
  /** How many steps were sent to it and have not settled. `DispatchedStep` counts. */
  inFlight = 0;
  /** Its tracker row, once it has loaded its worker file and claimed one. */
  row: number | undefined;
  /** Piscina counts it among the threads it gives tasks to: a pool's first threads before they run, later ones after. */
  listed = false;
  /** Why it ends, once that is known or ordered. From then on it gets no steps. */
  leaving: ReplaceReason | undefined;
  /** It is leaving, but may end the steps it has until this timer fires. */
  quarantine: NodeJS.Timeout | undefined;
  terminated = false;
  /** The heap snapshot that is asked of it. */
  snapshot: SnapshotState | undefined;
  #lane: { readonly port: MessagePort; readonly onOutcomes: (entries: readonly OutcomeEntry[]) => void } | undefined;

  constructor(worker: Worker) {
    this.worker = worker;
    this.id = worker.threadId;
  }

  /** It is listed, has a row, and was given the standing task. */
  get ready(): boolean {
    return this.#lane !== undefined;
  }

  /** Steps may be sent to it. */
  get takesSteps(): boolean {
    return this.ready && this.leaving === undefined && !this.standsStill;
  }

  /** It stands still for a heap snapshot, through no fault of its steps. */
  get standsStill(): boolean {
    return this.snapshot?.standsStill ?? false;
  }

  /** Returns the thread's end of the lane, to be transferred. */
  openLane(onOutcomes: (entries: readonly OutcomeEntry[]) => void): MessagePort {
    const { port1, port2 } = new MessageChannel();
    port1.on("message", onOutcomes);
    this.#lane = { port: port1, onOutcomes };
    return port2;
  }

  send(steps: readonly StepMessage[]): void {
    this.#lane?.port.postMessage(steps);
  }

  /** After the thread's `exit`: reads what the thread had posted and nobody has read yet. */
  closeLane(): void {
    if (this.#lane === undefined) return;
    const { port, onOutcomes } = this.#lane;
    for (let left = receiveMessageOnPort(port); left !== undefined; left = receiveMessageOnPort(port)) onOutcomes(left.message);
    port.close();
  }

  /** A step that was sent to it has settled. The last one ends a quarantine. */
  stepSettled(): void {
    this.inFlight--;
    if (this.quarantine !== undefined && this.inFlight === 0) this.kill("grace");
  }

  /** Terminates it, unless that was done before; its pool replaces it. */
  kill(reason: ReplaceReason): void {
    if (this.terminated) return;
    this.leaving ??= reason;
    this.terminated = true;
    void this.worker.terminate();
  }
}
