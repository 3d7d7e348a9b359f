import type { Writable } from "node:stream";
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

// Each recording formats every order, which takes the main thread some 20 us.
export const MAX_RECORDINGS = 3;

/** Records traces of the service, several at one time. It costs nothing while no recording runs. */
export class TraceRecorder {
  readonly #maxEvents: number;
  #recordings: readonly TraceRecording[] = [];

  /** `maxEvents`: of one recording; for tests. */
  constructor(maxEvents = MAX_EVENTS) {
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

  ended(order: EndedOrder): void {
    for (const recording of this.#recordings) recording.ended(order);
  }

  replaced(thread: NamedThread, reason: string): void {
    for (const recording of this.#recordings) recording.replaced(thread, reason);
  }

  /** Records for `seconds` (1 to 60) into `out` and ends it; ends early when `out` is closed. Throws while `full`. */
  record(out: Writable, seconds: number, threads: ThreadDirectory): void {
    if (this.full) throw new Error("too many recordings");
    const recording: TraceRecording = new TraceRecording({
      out,
      durationMs: seconds * 1e3,
      threads,
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

interface RecordingOptions {
  readonly out: Writable;
  readonly durationMs: number;
  readonly threads: ThreadDirectory;
  readonly maxEvents: number;
  /** Called once, when the recording is over. */
  readonly onOver: () => void;
}

/** One recording, written while it runs. Orders without room are left out and counted, so its memory is bounded with any client. */
class TraceRecording {
  readonly #options: RecordingOptions;
  readonly #startedAtMs = monotonicMs();
  readonly #startedAt = new Date();
  readonly #trace: OrderTrace;
  readonly #timer: NodeJS.Timeout;
  /** JSON that is not written yet. */
  #text = '{"displayTimeUnit":"ms","traceEvents":[';
  #events = 0;
  #orders = 0;
  #leftOut = 0;
  #waiting: EndedOrder[] = [];
  #state: "recording" | "ending" | "over" = "recording";
  #writeScheduled = false;

  constructor(options: RecordingOptions) {
    const { out, durationMs, threads } = options;
    this.#options = options;
    this.#trace = new OrderTrace(process.pid, threads, (event) => this.#add(event));
    this.#timer = setTimeout(() => this.end(), durationMs);
    out.on("drain", this.#scheduleWrite);
    // The client has hung up, or has received everything.
    out.once("close", () => this.#over());
    this.#scheduleWrite();
  }

  ended(order: EndedOrder): void {
    if (this.#state !== "recording") return;
    if (this.#waiting.length >= MAX_WAITING_ORDERS) {
      this.#leftOut++;
      return;
    }
    this.#waiting.push(order);
    this.#scheduleWrite();
  }

  replaced(thread: NamedThread, reason: string): void {
    if (this.#state === "recording" && this.#hasRoom(this.#options.maxEvents)) this.#trace.replaced(thread, reason, monotonicMs());
  }

  /** Stops to record, and writes the rest. */
  end(): void {
    if (this.#state !== "recording") return;
    this.#state = "ending";
    clearTimeout(this.#timer);
    this.#scheduleWrite();
  }

  readonly #scheduleWrite = (): void => {
    if (this.#writeScheduled || this.#state === "over") return;
    this.#writeScheduled = true;
    setImmediate(() => this.#write());
  };

  #write(): void {
    this.#writeScheduled = false;
    const { out } = this.#options;
    // `drain` calls again when the client has read enough.
    if (this.#state === "over" || out.destroyed || out.writableNeedDrain) return;
    for (const order of this.#waiting.splice(0, ORDERS_A_TURN)) this.#addOrder(order);
    const isEnd = this.#state === "ending" && this.#waiting.length === 0;
    if (isEnd) this.#addEnd();
    if (this.#text !== "") out.write(this.#text);
    this.#text = "";
    if (isEnd) {
      this.#over();
      out.end();
    } else if (this.#waiting.length > 0) this.#scheduleWrite();
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

  #over(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    clearTimeout(this.#timer);
    this.#options.out.off("drain", this.#scheduleWrite);
    this.#waiting = [];
    this.#text = "";
    this.#options.onOver();
  }
}
