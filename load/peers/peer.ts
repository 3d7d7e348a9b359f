/** What a task of the measures does; `threads/work.mjs` does it. */
export type Kind =
  /** Returns at once. */
  | "empty"
  /** Waits. */
  | "wait"
  /** Waits, and notes each millisecond that it still lives. */
  | "tick"
  /** Computes in a loop that never awaits. */
  | "compute"
  /** Computes in a loop that awaits the next turn of the event loop each millisecond. */
  | "computeAwaiting";

export interface Job {
  readonly kind: Kind;
  readonly ms: number;
  /** Where it notes what it does: see `Notes`. */
  readonly cell: number;
}

/** A task that was started. */
export interface Run {
  /** Whether it ended as it should: false when it was canceled or lost. Never rejects. */
  readonly settled: Promise<boolean>;
  cancel(): void;
}

export interface RunOptions {
  /** It computes for long, so it wants a thread without neighbors, where the peer has such. */
  readonly alone?: boolean;
  /** False: nobody will cancel it. For peers to which that makes a difference. */
  readonly cancelable?: boolean;
}

/** The threads of one library, or what stands for one. */
export interface Pool extends AsyncDisposable {
  run(job: Job, options?: RunOptions): Run;
}

export interface Peer {
  /** Head of its column. */
  readonly title: string;
  /** Which tasks share a thread: all, those that nobody can cancel, or none. */
  readonly sharing: "all" | "uncancelable" | "none";
  /** So many tasks at one time, and no more, where each task is a thread. */
  readonly mostTasks?: number;
  /** Resolves when the threads are there, or on their way. `notes` goes to each of them. */
  open(threads: number, notes: SharedArrayBuffer): Promise<Pool>;
}
