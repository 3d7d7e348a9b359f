import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { EndedOrder } from "../orders/ended-order.ts";
import { monotonicMs } from "../threads/index.ts";
import { OrderTrace } from "./order-trace.ts";
import type { TraceEvent } from "./trace-event.ts";
import type { NamedThread, ThreadDirectory } from "./tracks.ts";

/** Events of one trace, with the names of tracks: about 40 MB of JSON, which Perfetto opens in seconds. */
const MAX_EVENTS = 200_000;
// Events of one order: itself (2), its steps and their waits (2 each), the cancel (1) and its arrows (3 each), names of tracks (2 each).
const MAX_EVENTS_AN_ORDER = 2 + 6 + 6 + 1 + 9 + 6;
// The first moments of a recording may use this share of the events; the rest is spread over its time.
const BURST = 0.1;
// About a millisecond of work in a turn of the event loop.
const ORDERS_A_TURN = 100;
// Some megabytes may wait while a client reads slowly.
const MAX_WAITING_ORDERS = 5_000;

/** Records traces of the service, one at a time: it formats every order, which takes the main thread some 20 us. Else it costs nothing. */
export class TraceRecorder {
  readonly #maxEvents: number;
  #recording: TraceRecording | undefined;

  /** `maxEvents`: of one recording; for tests. */
  constructor(maxEvents = MAX_EVENTS) {
    this.#maxEvents = maxEvents;
  }

  get isRecording(): boolean {
    return this.#recording !== undefined;
  }

  ended(order: EndedOrder): void {
    this.#recording?.ended(order);
  }

  replaced(thread: NamedThread, reason: string): void {
    this.#recording?.replaced(thread, reason);
  }

  /** Records for `seconds` (1 to 60) into `out` and ends it; ends early when `out` is closed. Throws while it records. */
  record(out: Writable, seconds: number, threads: ThreadDirectory): void {
    if (this.isRecording) throw new Error("a trace is being recorded");
    const recording = new TraceRecording({ durationMs: seconds * 1e3, threads, maxEvents: this.#maxEvents });
    const over = () => {
      recording.end();
      if (this.#recording === recording) this.#recording = undefined;
    };
    this.#recording = recording;
    // The client has hung up. The pipeline alone would notice it at the next order.
    out.once("close", over);
    // Of a failure the client has a file that breaks off.
    void pipeline(recording.text(), out)
      .catch(() => {})
      .finally(over);
  }

  /** Ends the recording now, with a complete file. */
  close(): void {
    this.#recording?.end();
  }
}

interface RecordingOptions {
  readonly durationMs: number;
  readonly threads: ThreadDirectory;
  readonly maxEvents: number;
}

/** One recording, read while it runs. Orders without room are left out and counted, so its memory is bounded with any client. */
class TraceRecording {
  readonly #options: RecordingOptions;
  readonly #startedAtMs = monotonicMs();
  readonly #startedAt = new Date();
  readonly #trace: OrderTrace;
  readonly #timer: NodeJS.Timeout;
  /** JSON that is not read yet. */
  #text = '{"displayTimeUnit":"ms","traceEvents":[';
  #events = 0;
  #orders = 0;
  #leftOut = 0;
  #waiting: EndedOrder[] = [];
  #ends = false;
  /** There is something to do again. */
  #woken = Promise.withResolvers<void>();

  constructor(options: RecordingOptions) {
    const { durationMs, threads } = options;
    this.#options = options;
    this.#trace = new OrderTrace(process.pid, threads, (event) => this.#add(event));
    this.#timer = setTimeout(() => this.end(), durationMs);
  }

  ended(order: EndedOrder): void {
    if (this.#ends) return;
    if (this.#waiting.length >= MAX_WAITING_ORDERS) {
      this.#leftOut++;
      return;
    }
    this.#waiting.push(order);
    this.#woken.resolve();
  }

  replaced(thread: NamedThread, reason: string): void {
    if (!this.#ends && this.#hasRoom(this.#options.maxEvents)) this.#trace.replaced(thread, reason, monotonicMs());
  }

  /** Stops to record. What is left of the text comes at once. */
  end(): void {
    this.#ends = true;
    clearTimeout(this.#timer);
    this.#woken.resolve();
  }

  /** The file. Whoever reads it slowly has fewer orders. */
  async *text(): AsyncGenerator<string> {
    for (;;) {
      for (const order of this.#waiting.splice(0, ORDERS_A_TURN)) this.#addOrder(order);
      const isEnd = this.#ends && this.#waiting.length === 0;
      if (isEnd) this.#addEnd();
      const text = this.#text;
      this.#text = "";
      if (text !== "") yield text;
      if (isEnd) return;
      await this.#woken.promise;
      if (this.#waiting.length === 0 && !this.#ends) this.#woken = Promise.withResolvers();
      // What ends in one turn of the event loop is written together.
      await nextTurn();
    }
  }

  #addOrder(order: EndedOrder): void {
    const { maxEvents, durationMs } = this.#options;
    // A trace is taken because of the failed orders, so they may use all events; the others may be far more than it can hold.
    const share = order.outcome.error !== undefined ? 1 : BURST + (1 - BURST) * ((monotonicMs() - this.#startedAtMs) / durationMs);
    if (!this.#hasRoom(maxEvents * Math.min(1, share))) {
      this.#leftOut++;
      return;
    }
    this.#orders++;
    this.#trace.order(order);
  }

  /** Whether an order fits, with as much room left for the events at the end. */
  #hasRoom(events: number): boolean {
    return this.#events + 2 * MAX_EVENTS_AN_ORDER <= events;
  }

  #add(event: TraceEvent): void {
    this.#text += this.#events++ === 0 ? `\n${JSON.stringify(event)}` : `,\n${JSON.stringify(event)}`;
  }

  #addEnd(): void {
    const counts = { orders: this.#orders, orders_left_out: this.#leftOut };
    const endMs = monotonicMs();
    this.#trace.note(this.#leftOut === 0 ? "trace ends" : `trace ends: ${this.#leftOut} orders had no room in it`, endMs, counts);
    const otherData = {
      recorded_from: this.#startedAt.toISOString(),
      seconds: (endMs - this.#startedAtMs) / 1e3,
      events: this.#events,
      max_events: this.#options.maxEvents,
      ...counts,
      node: process.version,
    };
    this.#text += `\n],"otherData":${JSON.stringify(otherData)}}\n`;
  }
}
