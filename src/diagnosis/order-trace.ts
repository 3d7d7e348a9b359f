import type { EndedOrder } from "../orders/ended-order.ts";
import type { OrderOutcome, StepReport } from "../orders/outcome.ts";
import type { TraceEvent } from "./trace-event.ts";
import { MAIN_TRACK, type NamedThread, type ThreadDirectory, Tracks } from "./tracks.ts";

// What is shorter is the way to the thread, not a wait for capacity or for a thread that computes.
const MIN_WAIT_US = 1_000;

// Names of colors that chrome://tracing knows. Perfetto colors by name, and so tells computing from waiting too.
const COLORS = { computing: "thread_state_running", waiting: "thread_state_sleeping", failed: "terrible", canceled: "bad" };

/** A moment on a track, which an arrow can be bound to. */
interface Spot {
  readonly tid: number;
  readonly ts: number;
}

/**
 * Tells of orders that have ended, and of threads that were replaced, in trace events. What it is told of gives its events at once,
 * in no order of time: whoever opens a trace sorts it.
 */
export class OrderTrace {
  readonly #pid: number;
  readonly #emit: (event: TraceEvent) => void;
  readonly #tracks: Tracks;
  #ids = 0;

  /** `emit` gets some events before this returns: the names of the threads that there are. */
  constructor(pid: number, threads: ThreadDirectory, emit: (event: TraceEvent) => void) {
    this.#pid = pid;
    this.#emit = emit;
    this.#tracks = new Tracks(pid, threads, emit);
  }

  /**
   * An order as a slice, its steps as slices on their threads, its waits for capacity, and its cancel with arrows to each step that
   * it stopped.
   */
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

  /** A thread has ended, at `atMs`, and another takes its place. */
  replaced(thread: NamedThread, reason: string, atMs: number): void {
    this.#tracks.learn(thread);
    const tid = this.#tracks.trackOf(thread.id);
    this.#timed({
      ph: "i",
      s: "t",
      cat: "thread",
      name: `thread replaced: ${reason}`,
      tid,
      ts: inUs(atMs),
      args: { thread: thread.id, reason },
    });
  }

  /** Something that concerns the whole trace. */
  note(name: string, atMs: number, args: Readonly<Record<string, unknown>>): void {
    this.#timed({ ph: "i", s: "g", cat: "trace", name, tid: MAIN_TRACK, ts: inUs(atMs), args });
  }

  /** Where the step ended, if it has a slice on a thread's track. */
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
      // Lost with its thread, which alone knew when it began.
      this.#timed({ ph: "i", s: "t", cat: "lost", name: `${name}: lost`, tid: this.#tracks.trackOf(threadId), ts: endUs, args });
      return undefined;
    }
    const cat = this.#tracks.poolOf(threadId) === "exclusive" ? "computing" : "waiting";
    const tid = this.#tracks.place(threadId, startUs, endUs);
    if (tid === undefined) {
      this.#async(cat, `${name}: ${cat}`, startUs, endUs, args);
      return undefined;
    }
    const { status } = step.outcome;
    const cname = COLORS[status === "ok" ? cat : status === "canceled" ? "canceled" : "failed"];
    this.#timed({ ph: "X", cat, name: `${name}: ${cat}`, tid, ts: startUs, dur: endUs - startUs, cname, args });
    // Within the slice: at its very end it counts as closed.
    return { tid, ts: Math.max(startUs, endUs - 1) };
  }

  #cancel(
    { steps }: OrderOutcome,
    { cause, atMs }: NonNullable<OrderOutcome["canceled"]>,
    spots: readonly (Spot | undefined)[],
    about: object,
  ): void {
    const failed = cause === "sibling_failed" ? steps.findIndex((step) => isFailure(step) && step.endedAtMs === atMs) : -1;
    const from = spots[failed] ?? { tid: MAIN_TRACK, ts: inUs(atMs) };
    this.#timed({
      ph: "i",
      s: "t",
      cat: "cancel",
      name: `cancel: ${cause}`,
      ...from,
      args: { ...about, by: steps[failed]?.name ?? "main" },
    });
    for (const [index, { name, outcome, endedAtMs }] of steps.entries()) {
      if (outcome.status !== "canceled") continue;
      const at = spots[index] ?? { tid: MAIN_TRACK, ts: inUs(endedAtMs) };
      // No arrow points back, not by the microsecond by which its begin was moved either.
      const to = { tid: at.tid, ts: Math.max(from.ts, at.ts) };
      const args = { ...about, step: name, cause, took_us: Math.max(0, Math.round((endedAtMs - atMs) * 1e3)) };
      const id = this.#nextId();
      this.#timed({ ph: "s", cat: "cancel", name: "cancel", id, ...from, args });
      this.#timed({ ph: "i", s: "t", cat: "cancel", name: `${name} canceled: ${cause}`, ...to, args });
      this.#timed({ ph: "f", bp: "e", cat: "cancel", name: "cancel", id, ...to, args });
    }
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

function isFailure({ outcome }: StepReport): boolean {
  return outcome.status === "failed" || outcome.status === "lost";
}

function outcomeArgs({ outcome, threadId }: StepReport): object {
  const thread = { thread: threadId, status: outcome.status };
  switch (outcome.status) {
    case "failed":
      return { ...thread, detail: outcome.kind };
    case "canceled":
      return { ...thread, detail: outcome.cause };
    case "lost":
      return { ...thread, detail: outcome.reason };
    default:
      return thread;
  }
}
