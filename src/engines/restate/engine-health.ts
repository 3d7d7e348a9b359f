import { Periodic } from "../../concurrency/periodic.ts";
import type { EngineAdmin } from "./engine-admin.ts";
import type { Ingress } from "./ingress.ts";
import { OBJECTS } from "./objects.ts";

export interface EngineHealthOptions {
  readonly ingress: Ingress;
  readonly admin: EngineAdmin;
  /** It answers again, or does not any more, or knows no endpoint; the reason is for the log. */
  readonly onChange: (healthy: boolean, reason: string) => void;
}

// With the timeout, an engine that hangs is noticed within a second.
const EVERY_MS = 400;
const TIMEOUT_MS = 500;

/** Whether the engine can be reached and knows an endpoint for orders. Not started yet. Main thread only. */
export class EngineHealth {
  readonly #options: EngineHealthOptions;
  readonly #looking: Periodic;
  #reachable = false;
  #registered = false;

  constructor(options: EngineHealthOptions) {
    this.#options = options;
    this.#looking = new Periodic(EVERY_MS, () => this.look());
  }

  get healthy(): boolean {
    return this.#reachable && this.#registered;
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  start(): void {
    this.#looking.start();
  }

  stop(): Promise<void> {
    return this.#looking.stop();
  }

  async look(): Promise<void> {
    const { ingress, admin, onChange } = this.#options;
    const before = this.healthy;
    this.#reachable = await ingress.healthy(TIMEOUT_MS);
    // What is registered stays so; the admin door may be down while orders go on.
    if (!this.#registered) this.#registered = await admin.knows(OBJECTS.order, TIMEOUT_MS);
    if (this.healthy === before) return;
    onChange(this.healthy, this.#reachable ? (this.#registered ? "it answers" : "no endpoint is registered") : "it does not answer");
  }
}
