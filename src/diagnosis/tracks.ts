import type { TraceEvent } from "./trace-event.ts";

/** A thread as `/debug/threads` shows it. */
export interface NamedThread {
  readonly id: number;
  readonly pool: string;
}

/** Where threads are named. */
export type ThreadDirectory = () => readonly NamedThread[];

/**
 * Numbers below are ids of worker threads, which grow by one with each thread that is ever started. Not 0, which Perfetto keeps for
 * an idle CPU.
 */
export const MAIN_TRACK = 999_999;
/** Between the tracks of one thread. */
const LANE_STEP = 1_000_000;
// More side by side than anybody can read; further steps become slices of no thread's track.
const MAX_LANES = 200;

/**
 * The tracks of a trace: one for the main thread and one for each OS thread. Perfetto drops a slice that overlaps another of its
 * track without being nested in it, and a thread carries many waiting steps at one time; so a thread has further tracks, its lanes,
 * of which a step takes the first that is free. The steps of a thread that carries one at a time are all on one track.
 *
 * Rejected: async slices ("b" and "e"), which may overlap. Perfetto shows them beside the threads, not on them, and binds no arrow to them.
 */
export class Tracks {
  readonly #pid: number;
  readonly #threads: ThreadDirectory;
  readonly #emit: (event: TraceEvent) => void;
  readonly #pools = new Map<number, string>();
  /** By thread: the last microsecond of each lane that is taken. */
  readonly #lanes = new Map<number, number[]>();
  readonly #named = new Set<number>();

  /** `emit` gets the events that name a track before any event of that track. */
  constructor(pid: number, threads: ThreadDirectory, emit: (event: TraceEvent) => void) {
    this.#pid = pid;
    this.#threads = threads;
    this.#emit = emit;
    emit({ ph: "M", name: "process_name", pid, tid: MAIN_TRACK, args: { name: "order-pipeline" } });
    this.#name(MAIN_TRACK, "main", 0);
    for (const thread of threads()) {
      this.learn(thread);
      this.trackOf(thread.id);
    }
  }

  /** For a thread that may be gone when it is asked for. */
  learn({ id, pool }: NamedThread): void {
    this.#pools.set(id, pool);
  }

  /** `shared`, `exclusive`, or `thread` for one that nobody knows. */
  poolOf(threadId: number): string {
    if (!this.#pools.has(threadId)) for (const thread of this.#threads()) this.learn(thread);
    const pool = this.#pools.get(threadId) ?? "thread";
    this.#pools.set(threadId, pool);
    return pool;
  }

  /** The first track of a thread, for moments. */
  trackOf(threadId: number): number {
    return this.#lane(threadId, 0);
  }

  /** A track of that thread with nothing else on it from `startUs` to `endUs`; undefined where all are taken. */
  place(threadId: number, startUs: number, endUs: number): number | undefined {
    const lanes = this.#lanes.get(threadId) ?? [];
    this.#lanes.set(threadId, lanes);
    let lane = lanes.findIndex((lastUs) => lastUs < startUs);
    if (lane === -1) lane = lanes.length;
    if (lane === MAX_LANES) return undefined;
    lanes[lane] = endUs;
    return this.#lane(threadId, lane);
  }

  #lane(threadId: number, lane: number): number {
    const tid = threadId + lane * LANE_STEP;
    if (!this.#named.has(tid)) {
      const pool = this.poolOf(threadId);
      const name = `${pool} ${threadId}`;
      this.#name(tid, lane === 0 ? name : `${name} (${lane + 1})`, (pool === "shared" ? 1 : 2) * 1e8 + threadId * MAX_LANES + lane);
    }
    return tid;
  }

  #name(tid: number, name: string, sortIndex: number): void {
    this.#named.add(tid);
    this.#emit({ ph: "M", name: "thread_name", pid: this.#pid, tid, args: { name } });
    this.#emit({ ph: "M", name: "thread_sort_index", pid: this.#pid, tid, args: { sort_index: sortIndex } });
  }
}
