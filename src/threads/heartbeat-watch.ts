import type { Layout } from "./layout.ts";
import type { PoolThread } from "./pool-thread.ts";
import type { ThreadPool } from "./thread-pool.ts";

const CHECK_EVERY_MS = 500;
// Four looks without a beat between them, at ten beats a second: two seconds. Counted in looks, not by the age of
// the beat: after the whole process was stopped (a laptop's sleep, SIGSTOP) every beat is old, and nobody is stuck.
const LOOKS_WITHOUT_A_BEAT = 4;

/** Replaces threads that have stopped answering. Main thread only. */
export class HeartbeatWatch {
  readonly #layout: Layout;
  readonly #pools: readonly ThreadPool[];
  readonly #onLook: () => void;
  readonly #timer: NodeJS.Timeout;
  #missed = new Map<PoolThread, { beat: number; looks: number }>();

  /** `onLook`: whatever else wants to be done often enough. */
  constructor(layout: Layout, pools: readonly ThreadPool[], onLook: () => void = () => {}) {
    this.#onLook = onLook;
    this.#layout = layout;
    this.#pools = pools;
    this.#timer = setInterval(() => this.#look(), CHECK_EVERY_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#onLook();
    const missed = new Map<PoolThread, { beat: number; looks: number }>();
    for (const pool of this.#pools) {
      for (const thread of pool.threads) {
        if (thread.row === undefined || thread.standsStill) continue;
        const beat = this.#layout.lastBeat(thread.row);
        const before = this.#missed.get(thread);
        const looks = before?.beat === beat ? before.looks + 1 : 0;
        if (looks >= LOOKS_WITHOUT_A_BEAT) pool.kill(thread, "heartbeat");
        else missed.set(thread, { beat, looks });
      }
    }
    this.#missed = missed;
  }
}
