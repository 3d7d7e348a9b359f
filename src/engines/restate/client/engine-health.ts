import { Periodic } from "../../../periodic.ts";
import { monotonicMs } from "../../../threads/index.ts";
import { OBJECTS } from "../objects.ts";
import type { EngineAdmin } from "./engine-admin.ts";
import type { Ingress } from "./ingress.ts";

export interface EngineHealthOptions {
  readonly ingress: Ingress;
  readonly admin: EngineAdmin;
  /** The reason is for the log. */
  readonly onChange: (healthy: boolean, reason: string) => void;
}

// With the timeout, a hung engine is noticed within a second, and a busy one does not count as hung.
const EVERY_MS = 100;
const TIMEOUT_MS = 800;
// If the timer fires this late, the process itself was stalled.
const STALLED_MS = 100;

/** Whether the engine can be reached and knows an endpoint for orders. Not started yet. Main thread only. */
export class EngineHealth {
  readonly #options: EngineHealthOptions;
  readonly #checking: Periodic;
  #reachable = false;
  #registered = false;
  #calledAtMs = 0;

  constructor(options: EngineHealthOptions) {
    this.#options = options;
    this.#checking = new Periodic(EVERY_MS, () => this.check());
  }

  get healthy(): boolean {
    return this.#reachable && this.#registered;
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  /** The engine has called this node: a sign of life. */
  readonly called = (): void => {
    this.#calledAtMs = monotonicMs();
  };

  start(): void {
    this.#checking.start();
  }

  stop(): Promise<void> {
    return this.#checking.stop();
  }

  async check(): Promise<void> {
    const { ingress, admin, onChange } = this.#options;
    const before = this.healthy;
    const startMs = monotonicMs();
    // An engine that answers or makes other calls is up, however late it answers this one.
    const reachable = (await ingress.healthy(TIMEOUT_MS)) || Math.max(ingress.answeredAtMs, this.#calledAtMs) > startMs;
    if (!reachable && monotonicMs() - startMs > TIMEOUT_MS + STALLED_MS) return;
    this.#reachable = reachable;
    // Asked once only: a registration stays, and the admin listener may be down while orders go on.
    if (reachable && !this.#registered) this.#registered = await admin.knows(OBJECTS.order, TIMEOUT_MS);
    if (this.healthy === before) return;
    onChange(this.healthy, this.#reachable ? (this.#registered ? "it answers" : "no endpoint is registered") : "it does not answer");
  }
}
