import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { monotonicMs } from "./clock.ts";
import type { TaskMessage } from "./protocol.ts";

/** Why a thread was replaced. `grace`: it was held up by tasks that ignored their cancel. `heartbeat`: it stood still, or never came up. */
export const REPLACE_REASONS = ["grace", "heartbeat", "killed", "exit", "uncaught", "out_of_memory"] as const;

export type ReplaceReason = (typeof REPLACE_REASONS)[number];

export interface ThreadEvents {
  message(message: unknown): void;
  /** It has posted what was cloned there and cannot be read here. */
  unreadable(error: unknown): void;
  killed(): void;
}

/** One of a pool's threads, as the main thread knows it, and the port to it. Main thread only. */
export class PoolThread {
  /** Known, as all that follows, once it has loaded the tasks and said so. Kept here because a `Worker` forgets its id when it exits. */
  id = 0;
  worker: Worker | undefined;
  row: number | undefined;
  readyAtMs: number | undefined;
  /** How many tasks were sent to it and have not settled. `DispatchedTask` counts. */
  inFlight = 0;
  /** The tasks that it has not answered for and that were given up, by their `key`. */
  readonly givenUpTasks = new Set<string>();
  sent = 0;
  /** Its event loop has not turned for a while. */
  isStill = false;
  /** It gets no more tasks but may end those that it has; replaced already. */
  isSetAside = false;
  /** Why it ends, once that is known or ordered. From then on it gets no tasks. */
  leaving: ReplaceReason | undefined;
  /** It was ordered to end, and may not do so for long: nothing terminates a native call. */
  killed = false;
  /** Runs from its kill until its tasks have settled. */
  deathTimer: NodeJS.Timeout | undefined;
  gone = false;
  /** Ends the thread by way of Piscina: aborting the standing task removes the thread from its pool at once. */
  readonly abort = new AbortController();
  readonly #channel = new MessageChannel();
  readonly #events: ThreadEvents;

  constructor(events: ThreadEvents) {
    this.#events = events;
    this.#channel.port1.on("message", events.message);
    this.#channel.port1.on("messageerror", (error) => {
      events.unreadable(error);
      // Nobody knows which tasks it was about: they would wait for ever, or until their cancel.
      this.kill("uncaught");
    });
  }

  /** The thread's end of the port, to be transferred. */
  get remotePort(): MessagePort {
    return this.#channel.port2;
  }

  becomeReady(id: number, row: number, worker: Worker): void {
    this.id = id;
    this.row = row;
    this.worker = worker;
    this.readyAtMs = monotonicMs();
  }

  get givenUp(): number {
    return this.givenUpTasks.size;
  }

  get takesTasks(): boolean {
    return this.readyAtMs !== undefined && this.leaving === undefined && !this.isSetAside;
  }

  /** Throws where the message cannot be cloned. */
  send(message: TaskMessage): void {
    this.#channel.port1.postMessage(message);
    this.sent++;
  }

  /** For a thread that is gone: reads what it had posted and nobody has read yet, then closes the port. */
  closePort(): void {
    clearTimeout(this.deathTimer);
    const { port1 } = this.#channel;
    for (let left = nextOf(port1); left !== undefined; left = nextOf(port1)) this.#events.message(left.message);
    port1.close();
  }

  /** A task that was sent to it has settled. A thread that was set aside ends with the last. */
  taskSettled(): void {
    this.inFlight--;
    if (this.isSetAside && this.inFlight === 0) this.kill("grace");
  }

  /** Ends it, unless that was done before; its pool replaces it at once. */
  kill(reason: ReplaceReason): void {
    if (this.killed) return;
    this.leaving ??= reason;
    this.killed = true;
    this.#events.killed();
  }
}

/** The next message that can be read. Reading throws for one that cannot, and takes it away all the same. */
function nextOf(port: MessagePort): { readonly message: unknown } | undefined {
  for (;;) {
    try {
      return receiveMessageOnPort(port);
    } catch {}
  }
}
