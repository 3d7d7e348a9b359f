import type { Worker } from "node:worker_threads";

/** A thread that can be inspected. */
export interface InspectedThread {
  readonly id: number;
  readonly worker: Worker;
}

/** The thread cannot be inspected. The message is for operators. */
export class ThreadUnavailable extends Error {
  /** `unknown`: no thread has that id. `ended`: it has ended meanwhile. */
  readonly reason: "unknown" | "ended";

  constructor(reason: ThreadUnavailable["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Ends waits for a thread that may end first. */
export class ThreadEnd implements Disposable {
  readonly #thread: InspectedThread;
  readonly #onExit: () => void;
  readonly #rejected: Promise<never>;

  /** `onEnd` is called when the thread ends before this is disposed. */
  constructor(thread: InspectedThread, onEnd = () => {}) {
    this.#thread = thread;
    const { promise, reject } = Promise.withResolvers<never>();
    // The thread may end while nobody waits.
    promise.catch(() => {});
    this.#rejected = promise;
    this.#onExit = () => {
      reject(this.error());
      onEnd();
    };
    thread.worker.once("exit", this.#onExit);
  }

  /** Settles as `work` does, or rejects when the thread ends before. */
  async orBefore<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#rejected]);
  }

  error(): ThreadUnavailable {
    return new ThreadUnavailable("ended", `thread ${this.#thread.id} has ended meanwhile`);
  }

  [Symbol.dispose](): void {
    this.#thread.worker.off("exit", this.#onExit);
  }
}

/** How worker threads are found. */
export interface InspectableThreads {
  /** Undefined where there is none with this id, or it is about to end. */
  worker(threadId: number): Worker | undefined;
}
