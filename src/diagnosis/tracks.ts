import type { TraceEvent } from "./trace-event.ts";

/** A thread as `/debug/threads` shows it. */
export interface NamedThread {
  readonly id: number;
  readonly pool: string;
}

/** Lists the threads that are up. */
export type ThreadDirectory = () => readonly NamedThread[];

/** The track of the main thread. Smaller numbers are thread ids, which count all threads ever started; 0 is Perfetto's. */
export const MAIN_TRACK = 999_999;
/** Between the tracks of one thread. */
const LANE_STEP = 1_000_000;
// More lanes than a human can read; further steps become slices outside of the thread's tracks.
const MAX_LANES = 200;

/**
 * The tracks of a trace: one for the main thread, and for each OS thread as many lanes as it carries steps at one time, for Perfetto drops
 * a slice that overlaps another of its track.
 *
 * Rejected: async slices ("b" and "e"), which may overlap. Perfetto shows them beside the threads and cannot bind an arrow to them.
 */
export class Tracks {
  readonly #pid: number;
  readonly #threads: ThreadDirectory;
  readonly #emit: (event: TraceEvent) => void;
  readonly #pools = new Map<number, string>();
  /** By thread: the last used microsecond of each lane. */
  readonly #lanes = new Map<number, number[]>();
  readonly #named = new Set<number>();

  /** Emits the name of a track before any event on it. */
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

  /** Notes a thread, which may be gone when its track is needed. */
  learn({ id, pool }: NamedThread): void {
    this.#pools.set(id, pool);
  }

  /** `shared`, `exclusive`, or `thread` for an unknown thread. */
  poolOf(threadId: number): string {
    if (!this.#pools.has(threadId)) for (const thread of this.#threads()) this.learn(thread);
    const pool = this.#pools.get(threadId) ?? "thread";
    this.#pools.set(threadId, pool);
    return pool;
  }

  /** The first track of a thread. */
  trackOf(threadId: number): number {
    return this.#lane(threadId, 0);
  }

  /** A track of the thread that is free from `startUs` to `endUs`; undefined where all are taken. */
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
