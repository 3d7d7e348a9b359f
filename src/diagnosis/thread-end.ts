import type { InspectedThread } from "./inspected-thread.ts";
import { ThreadUnavailable } from "./thread-unavailable.ts";

/** For whoever waits for something of a thread that may end first. */
export class ThreadEnd implements Disposable {
  readonly #thread: InspectedThread;
  readonly #onExit: () => void;
  readonly #rejected: Promise<never>;

  /** `onEnd` is called when the thread has ended, unless this is disposed of before. */
  constructor(thread: InspectedThread, onEnd = () => {}) {
    this.#thread = thread;
    const { promise, reject } = Promise.withResolvers<never>();
    // Nobody may be waiting when it ends.
    promise.catch(() => {});
    this.#rejected = promise;
    this.#onExit = () => {
      reject(this.error());
      onEnd();
    };
    thread.worker.once("exit", this.#onExit);
  }

  /** As `work`, but rejects when the thread ends before. */
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
