import { CancelScope, pause } from "./threads/index.ts";

/** Does its work again and again, with pauses between, until it is stopped. */
export class Periodic {
  readonly #everyMs: number;
  readonly #work: (stop: CancelScope) => Promise<void>;
  readonly #stop = new CancelScope();
  #running: Promise<void> | undefined;

  /** `work` must not reject; it ends early when `stop` is canceled. The first time is after the first pause. */
  constructor(everyMs: number, work: (stop: CancelScope) => Promise<void>) {
    this.#everyMs = everyMs;
    this.#work = work;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stop.cancel("shutdown");
    await this.#running;
  }

  async #run(): Promise<void> {
    while (await pause(this.#everyMs, this.#stop)) await this.#work(this.#stop);
  }
}
