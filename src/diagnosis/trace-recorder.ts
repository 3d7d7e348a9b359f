import type { Writable } from "node:stream";
import type { EndedOrder, OnOrderEnded } from "../orders/ended-order.ts";
import { MAX_EVENTS, TraceRecording } from "./trace-recording.ts";
import type { NamedThread, ThreadDirectory } from "./tracks.ts";

// Each formats every order, some 20 us of the main thread's time.
export const MAX_RECORDINGS = 3;

/** Records what the service does for whoever asks, several at one time. Costs nothing while nobody does. Main thread only. */
export class TraceRecorder {
  readonly #threads: ThreadDirectory;
  readonly #maxEvents: number;
  #recordings: readonly TraceRecording[] = [];

  /** `maxEvents`, of one recording, is for tests. */
  constructor(threads: ThreadDirectory, maxEvents = MAX_EVENTS) {
    this.#threads = threads;
    this.#maxEvents = maxEvents;
  }

  /** Recordings under way: the leak tests demand zero. */
  get recordings(): number {
    return this.#recordings.length;
  }

  /** As many as there may be. */
  get full(): boolean {
    return this.#recordings.length >= MAX_RECORDINGS;
  }

  readonly ended: OnOrderEnded = (order: EndedOrder) => {
    for (const recording of this.#recordings) recording.ended(order);
  };

  replaced(thread: NamedThread, reason: string): void {
    for (const recording of this.#recordings) recording.replaced(thread, reason);
  }

  /**
   * Records for `seconds` (1 to 60), writes the trace to `out` meanwhile and ends it. Ends early when `out` is closed. Throws
   * while there are as many recordings as there may be.
   */
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

  /** Ends all recordings now, each with what it has. */
  close(): void {
    for (const recording of this.#recordings) recording.end();
  }
}
