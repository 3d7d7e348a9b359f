import { fileURLToPath } from "node:url";
import { transferableAbortController } from "node:util";
import { Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import { FixedThreadPool } from "poolifier";
import { Tinypool } from "tinypool";
import workerpool from "workerpool";
import { atMost, openThreads } from "../../src/threads/index.ts";

/** What a task of the measures does; `threads/work.mjs` does it. */
export type Kind =
  /** Returns at once. */
  | "empty"
  /** Waits. */
  | "wait"
  /** Waits, and notes each millisecond that it still lives. */
  | "tick"
  /** Waits, then throws. */
  | "fail"
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

const fileOf = (peer: string): URL => new URL(`threads/${peer}.mjs`, import.meta.url);
const MAX_GROUPS = 20_000;
// For tasks without a signal; one with a signal has its thread for itself, whatever this says.
const TASKS_A_THREAD = 64;
// Poolifier's threads have ended by then, but the promise sometimes never resolves.
const DESTROY_MS = 1_000;
// A thread has 9 MB.
const MOST_WORKERS = 50;
// How long workerpool waits for a thread's listeners before it ends the thread. Its default, a second, would let a loop run on for so long;
// less than this ends threads that would have answered.
const TERMINATE_TIMEOUT_MS = 50;

/** For `Run.settled`. */
function settled(job: Job, value: PromiseLike<unknown>): Promise<boolean> {
  return Promise.resolve(value).then(
    (kind) => kind === job.kind,
    () => false,
  );
}

interface SignalPool {
  run(job: Job, options: { readonly signal: AbortSignal | null }): Promise<unknown>;
  on(event: "error", listener: () => void): unknown;
  destroy(): Promise<void>;
}

/** Piscina and its fork: a signal for each task that may be canceled. */
function bySignal(pool: SignalPool): Pool {
  // A result that meets its own abort is an "unexpected message" to Piscina, and an error nobody listens to ends the process.
  pool.on("error", () => {});
  return {
    run(job, { cancelable = true } = {}) {
      const abort = cancelable ? new AbortController() : undefined;
      return { settled: settled(job, pool.run(job, { signal: abort?.signal ?? null })), cancel: () => abort?.abort() };
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

/** The library under test. */
export const OWN = "cancelable-threads";

/** The names are those of the files in `threads` and the folders in `first-failure`. */
export const PEERS: Readonly<Record<string, Peer>> = {
  /** Each task has a group of its own, so that it can be canceled alone. */
  [OWN]: {
    title: "this library",
    sharing: "all",
    async open(count, notes) {
      const limits = { shared: count, exclusive: count, exclusiveOnDemand: false, maxGroups: MAX_GROUPS };
      const threads = await openThreads({ file: fileOf(OWN), settings: notes, ...limits });
      return {
        run(job, { alone = false } = {}) {
          const group = threads.group();
          group.run("work", job, { on: alone ? "exclusive" : "shared" });
          return {
            settled: group.join().then(({ outcomes: [outcome] }) => outcome?.status === "ok" && outcome.value === job.kind),
            cancel: () => void group.cancel("aborted"),
          };
        },
        [Symbol.asyncDispose]: () => threads.close(),
      };
    },
  },
  piscina: {
    title: "Piscina, `signal`",
    sharing: "uncancelable",
    async open(count, notes) {
      const sizes = { minThreads: count, maxThreads: count, concurrentTasksPerWorker: TASKS_A_THREAD };
      return bySignal(new Piscina({ filename: fileURLToPath(fileOf("piscina")), name: "run", workerData: notes, ...sizes }));
    },
  },
  /** A fork of Piscina, with fewer options. */
  tinypool: {
    title: "tinypool, `signal`",
    sharing: "uncancelable",
    async open(count, notes) {
      const sizes = { minThreads: count, maxThreads: count, concurrentTasksPerWorker: TASKS_A_THREAD };
      return bySignal(new Tinypool({ filename: fileOf("tinypool").href, name: "run", workerData: notes, ...sizes }));
    },
  },
  workerpool: {
    title: "workerpool, abort listeners",
    sharing: "none",
    async open(count, notes) {
      const pool = workerpool.pool(fileURLToPath(fileOf("workerpool")), {
        workerType: "thread",
        minWorkers: count,
        maxWorkers: count,
        workerTerminateTimeout: TERMINATE_TIMEOUT_MS,
        workerThreadOpts: { workerData: notes },
      });
      return {
        run(job) {
          const promise = pool.exec("run", [job]);
          return { settled: settled(job, promise as unknown as PromiseLike<unknown>), cancel: () => void promise.cancel() };
        },
        async [Symbol.asyncDispose]() {
          await pool.terminate(true);
        },
      };
    },
  },
  poolifier: {
    title: "poolifier, `abortSignal`",
    sharing: "all",
    async open(count, notes) {
      const pool = new FixedThreadPool<Job, string>(count, fileURLToPath(fileOf("poolifier")), { workerOptions: { workerData: notes } });
      return {
        run(job) {
          const abort = new AbortController();
          return { settled: settled(job, pool.execute(job, undefined, abort.signal)), cancel: () => abort.abort() };
        },
        async [Symbol.asyncDispose]() {
          await atMost(pool.destroy(), DESTROY_MS);
        },
      };
    },
  },
  "worker-a-task": {
    title: "a `Worker` per task, `terminate()`",
    sharing: "none",
    mostTasks: MOST_WORKERS,
    async open(_count, notes) {
      return {
        run(job) {
          const worker = new Worker(fileOf("worker-a-task"), { workerData: { job, notes } });
          const ended = new Promise<unknown>((resolve) => {
            let value: unknown;
            worker.once("message", (message) => {
              value = message;
            });
            worker.once("exit", () => resolve(value));
          });
          return { settled: settled(job, ended), cancel: () => void worker.terminate() };
        },
        async [Symbol.asyncDispose]() {},
      };
    },
  },
  /** Workers that are kept, and for each task a signal that goes to its worker. */
  "transferable-signal": {
    title: "kept `Worker`, transferred signal",
    sharing: "all",
    async open(count, notes) {
      const resolvers = new Map<number, (value: unknown) => void>();
      const workers = Array.from({ length: count }, () => new Worker(fileOf("transferable-signal"), { workerData: notes }));
      for (const worker of workers) {
        worker.on("message", ({ id, value }: { readonly id: number; readonly value?: unknown }) => {
          resolvers.get(id)?.(value);
          resolvers.delete(id);
        });
      }
      let lastId = 0;
      return {
        run(job) {
          const id = ++lastId;
          const abort = transferableAbortController();
          const ended = new Promise((resolve) => resolvers.set(id, resolve));
          workers[id % count]?.postMessage({ id, job, signal: abort.signal }, [abort.signal as never]);
          return { settled: settled(job, ended), cancel: () => abort.abort() };
        },
        async [Symbol.asyncDispose]() {
          await Promise.all(workers.map((worker) => worker.terminate()));
        },
      };
    },
  },
};
