import type { EndedOrder } from "../orders/ended-order.ts";
import type { OrderOutcome, StepReport } from "../orders/outcome.ts";
import type { TraceEvent } from "./trace-event.ts";
import { MAIN_TRACK, type NamedThread, type ThreadDirectory, Tracks } from "./tracks.ts";

// A shorter time is the way to the thread, not a wait for capacity or for a busy thread.
const MIN_WAIT_US = 1_000;

/** A moment on a track, to which an arrow can be bound. */
interface Spot {
  readonly tid: number;
  readonly ts: number;
}

/** Turns ended orders and replaced threads into trace events, which the viewer sorts by time. */
export class OrderTrace {
  readonly #pid: number;
  readonly #emit: (event: TraceEvent) => void;
  readonly #tracks: Tracks;
  #ids = 0;

  /** Emits the names of the threads at once. */
  constructor(pid: number, threads: ThreadDirectory, emit: (event: TraceEvent) => void) {
    this.#pid = pid;
    this.#emit = emit;
    this.#tracks = new Tracks(pid, threads, emit);
  }

  /** Emits the slices of an order, of its steps on their threads and of its waits, and its cancel with an arrow to each canceled step. */
  order({ input, requestId, outcome, storedAtMs }: EndedOrder): void {
    const about = { order_id: input.orderId, attempt: input.attempt };
    const startUs = inUs(outcome.startedAtMs);
    this.#async("order", "order", startUs, inUs(storedAtMs), {
      ...about,
      request_id: requestId,
      status: outcome.error ?? "ok",
      canceled: outcome.canceled?.cause,
    });
    const spots = outcome.steps.map((step) => this.#step(step, startUs, about));
    if (outcome.canceled !== undefined) this.#cancel(outcome, outcome.canceled, spots, about);
  }

  /** Emits that a thread ended at `atMs` and was replaced. */
  replaced(thread: NamedThread, reason: string, atMs: number): void {
    this.#tracks.learn(thread);
    const tid = this.#tracks.trackOf(thread.id);
    this.#moment("thread", `thread replaced: ${reason}`, { tid, ts: inUs(atMs) }, { thread: thread.id, reason });
  }

  /** Emits a moment of the whole trace. */
  note(name: string, atMs: number, args: Readonly<Record<string, unknown>>): void {
    this.#timed({ ph: "i", s: "g", cat: "trace", name, tid: MAIN_TRACK, ts: inUs(atMs), args });
  }

  /** Returns the end of the step's slice; undefined where it has none on a thread's track. */
  #step(step: StepReport, orderStartUs: number, about: object): Spot | undefined {
    const { name, threadId, startedAtMs } = step;
    const endUs = inUs(step.endedAtMs);
    const startUs = startedAtMs === undefined ? undefined : inUs(startedAtMs);
    const args = { ...about, ...outcomeArgs(step) };
    const waitEndUs = startUs ?? endUs;
    if ((startUs !== undefined || threadId === undefined) && waitEndUs - orderStartUs >= MIN_WAIT_US) {
      this.#async("capacity", `${name} waits to start`, orderStartUs, waitEndUs, {
        ...about,
        until: startUs === undefined ? "the end" : "its start",
      });
    }
    if (threadId === undefined) return undefined;
    if (startUs === undefined) {
      // Lost with its thread: only that thread knew when the step began.
      this.#moment("lost", `${name}: lost`, { tid: this.#tracks.trackOf(threadId), ts: endUs }, args);
      return undefined;
    }
    const cat = this.#tracks.poolOf(threadId) === "exclusive" ? "computing" : "waiting";
    const tid = this.#tracks.place(threadId, startUs, endUs);
    if (tid === undefined) {
      this.#async(cat, `${name}: ${cat}`, startUs, endUs, args);
      return undefined;
    }
    this.#timed({ ph: "X", cat, name: `${name}: ${cat}`, tid, ts: startUs, dur: endUs - startUs, args });
    // One microsecond before the end: an arrow binds to an open slice only.
    return { tid, ts: Math.max(startUs, endUs - 1) };
  }

  #cancel(
    { steps }: OrderOutcome,
    { cause, atMs }: NonNullable<OrderOutcome["canceled"]>,
    spots: readonly (Spot | undefined)[],
    about: object,
  ): void {
    const failed =
      cause === "sibling_failed"
        ? steps.findIndex(({ outcome, endedAtMs }) => /failed|lost/.test(outcome.status) && endedAtMs === atMs)
        : -1;
    const from = spots[failed] ?? { tid: MAIN_TRACK, ts: inUs(atMs) };
    this.#moment("cancel", `cancel: ${cause}`, from, { ...about, by: steps[failed]?.name ?? "main" });
    for (const [index, { name, outcome, endedAtMs }] of steps.entries()) {
      if (outcome.status !== "canceled") continue;
      const at = spots[index] ?? { tid: MAIN_TRACK, ts: inUs(endedAtMs) };
      // An arrow must not point back in time, not even by the microsecond of `Spot.ts`.
      const to = { tid: at.tid, ts: Math.max(from.ts, at.ts) };
      const args = { ...about, step: name, cause, took_us: Math.max(0, Math.round((endedAtMs - atMs) * 1e3)) };
      const id = this.#nextId();
      this.#timed({ ph: "s", cat: "cancel", name: "cancel", id, ...from, args });
      this.#moment("cancel", `${name} canceled: ${cause}`, to, args);
      this.#timed({ ph: "f", bp: "e", cat: "cancel", name: "cancel", id, ...to, args });
    }
  }

  #moment(cat: string, name: string, at: Spot, args: Readonly<Record<string, unknown>>): void {
    this.#timed({ ph: "i", s: "t", cat, name, ...at, args });
  }

  #async(cat: string, name: string, startUs: number, endUs: number, args: Readonly<Record<string, unknown>>): void {
    const id = this.#nextId();
    this.#timed({ ph: "b", cat, name, id, tid: MAIN_TRACK, ts: startUs, args });
    this.#timed({ ph: "e", cat, name, id, tid: MAIN_TRACK, ts: Math.max(startUs, endUs) });
  }

  #nextId(): string {
    this.#ids++;
    return `0x${this.#ids.toString(16)}`;
  }

  #timed(event: WithoutPid<Exclude<TraceEvent, { ph: "M" }>>): void {
    this.#emit({ ...event, pid: this.#pid });
  }
}

type WithoutPid<Event> = Event extends unknown ? Omit<Event, "pid"> : never;

function inUs(ms: number): number {
  return Math.floor(ms * 1e3);
}

function outcomeArgs({ outcome, threadId }: StepReport): object {
  const detail = "cause" in outcome ? outcome.cause : "kind" in outcome ? outcome.kind : "reason" in outcome ? outcome.reason : undefined;
  return { thread: threadId, status: outcome.status, ...(detail !== undefined && { detail }) };
}
