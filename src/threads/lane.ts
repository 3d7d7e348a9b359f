import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { OutcomeEntry, StepMessage } from "./protocol.ts";

/**
 * The way to one thread and back: a port in a Piscina task that lasts as long as the thread. A Piscina task for each step would cost the
 * main thread several times as much. Main thread only.
 */
export class Lane {
  /** The thread's end, to be transferred. */
  readonly farEnd: MessagePort;
  readonly #port: MessagePort;
  readonly #onOutcomes: (entries: readonly OutcomeEntry[]) => void;

  constructor(onOutcomes: (entries: readonly OutcomeEntry[]) => void) {
    const { port1, port2 } = new MessageChannel();
    this.farEnd = port2;
    this.#port = port1;
    this.#onOutcomes = onOutcomes;
    port1.on("message", onOutcomes);
  }

  send(steps: readonly StepMessage[]): void {
    this.#port.postMessage(steps);
  }

  /** After the thread's `exit`: reads what the thread had posted and nobody has read yet. */
  close(): void {
    for (let left = receiveMessageOnPort(this.#port); left !== undefined; left = receiveMessageOnPort(this.#port)) {
      this.#onOutcomes(left.message);
    }
    this.#port.close();
  }
}
