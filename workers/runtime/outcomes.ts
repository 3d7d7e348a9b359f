import type { MessagePort } from "node:worker_threads";
import type { OutcomeEntry } from "../../src/threads/protocol.ts";
import { postSpans } from "../telemetry/step-span.ts";

/** Collects what ends in one turn of this thread's event loop and posts it as one message. */
export class Outcomes {
  readonly #port: MessagePort;
  #entries: OutcomeEntry[] = [];

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** A step has ended. Posts nothing before the synchronous caller has returned. */
  add(...entry: OutcomeEntry): void {
    this.#entries.push(entry);
    // In the check phase of this turn: whatever ended in its timers, socket events and wake-ups leaves together.
    if (this.#entries.length === 1) setImmediate(this.#post);
  }

  readonly #post = (): void => {
    postSpans();
    this.#port.postMessage(this.#entries);
    this.#entries = [];
  };
}
