import type { Writable } from "node:stream";
import type { EndedOrder, OnOrderEnded } from "../orders/ended-order.ts";
import { MAX_EVENTS, TraceRecording } from "./trace-recording.ts";
import type { NamedThread, ThreadDirectory } from "./tracks.ts";

// Each recording formats every order, which takes the main thread some 20 us.
export const MAX_RECORDINGS = 3;

/** Records traces of the service, several at one time. It costs nothing while no recording runs. Main thread only. */
export class TraceRecorder {
  readonly #threads: ThreadDirectory;
  readonly #maxEvents: number;
  #recordings: readonly TraceRecording[] = [];

  /** `maxEvents`: of one recording; for tests. */
  constructor(threads: ThreadDirectory, maxEvents = MAX_EVENTS) {
    this.#threads = threads;
    this.#maxEvents = maxEvents;
  }

  /** How many recordings run, for the leak tests. */
  get recordings(): number {
    return this.#recordings.length;
  }

  /** Whether `MAX_RECORDINGS` run. */
  get full(): boolean {
    return this.#recordings.length >= MAX_RECORDINGS;
  }

  readonly ended: OnOrderEnded = (order: EndedOrder) => {
    for (const recording of this.#recordings) recording.ended(order);
  };

  replaced(thread: NamedThread, reason: string): void {
    for (const recording of this.#recordings) recording.replaced(thread, reason);
  }

  /** Records for `seconds` (1 to 60), writes the trace to `out` meanwhile, and ends `out`. Ends early when `out` is closed. Throws while `full`. */
  record(out: Writable, seconds: number): void {
    if (this.full) throw new Error("too many recordings");
    const recording: TraceRecording = new TraceRecording({
      out,
      durationMs: seconds * 1e3,
      threads: this.#threads,
      maxEvents: this.#maxEvents,
      onOver: () => (this.#recordings = this.#recordings.filter((other) => other !== recording)),
    });
    this.#recordings = [...this.#recordings, recording];
  }

  /** Ends all recordings now; each writes a complete file. */
  close(): void {
    for (const recording of this.#recordings) recording.end();
  }
}
