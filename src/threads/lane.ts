import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { OutcomeEntry, StepMessage } from "./protocol.ts";

/**
 * The way to one thread and back: a port that lies in a Piscina task which stands for as long as the thread lives. Steps that
 * went out as Piscina tasks of their own would cost the main thread several times as much. Main thread only.
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

  /** After the thread's `exit`: takes in what it had posted and nobody has read yet. */
  close(): void {
    for (let left = receiveMessageOnPort(this.#port); left !== undefined; left = receiveMessageOnPort(this.#port)) {
      this.#onOutcomes(left.message);
    }
    this.#port.close();
  }
}
