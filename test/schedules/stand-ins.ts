/**
 * What the library's modules on the main thread get in place of `piscina`, `node:worker_threads` and `node:os`: threads are those of the
 * scenario, a port is a box, and every machine is alike.
 */
export interface Ground {
  /** The number of a thread that has not been used; undefined where the scenario has no more. */
  start(): number | undefined;
  kill(thread: number): void;
  /** Whether Piscina says that it has died. */
  isSeen(thread: number): boolean;
  post(to: number, text: string): void;
  /** Takes the next message from this thread that the main thread has not read. */
  takeFrom(thread: number): string | undefined;
}

let ground: Ground;
let ports = new Map<number, Port>();
let workers = new Map<number, StandInWorker>();
/** Those that never come up, as there is no thread left in the scenario. */
let ghosts = 100;

export function standOn(on: Ground): void {
  ground = on;
  ports = new Map();
  workers = new Map();
  ghosts = 100;
}

export function portOf(thread: number): Port | undefined {
  return ports.get(thread);
}

/** As the event of the worker. */
export function workerExited(thread: number): void {
  workers.get(thread)?.exit();
}

export function availableParallelism(): number {
  return 4;
}

type Listener = (...values: unknown[]) => void;

class Port {
  thread = 0;
  closed = false;
  #listener: Listener = () => {};

  on(event: string, listener: Listener): void {
    if (event === "message") this.#listener = listener;
  }

  postMessage(message: unknown): void {
    if (!this.closed) ground.post(this.thread, JSON.stringify(message));
  }

  receive(text: string): void {
    if (!this.closed) this.#listener(JSON.parse(text));
  }

  close(): void {
    this.closed = true;
  }
}

export class MessageChannel {
  readonly port1 = new Port();
  readonly port2 = this;
}

export function receiveMessageOnPort(port: Port): { message: unknown } | undefined {
  const text = ground.takeFrom(port.thread);
  return text === undefined ? undefined : { message: JSON.parse(text) };
}

class StandInWorker {
  readonly threadId: number;
  readonly #listeners = new Map<string, Listener[]>();

  constructor(threadId: number) {
    this.threadId = threadId;
  }

  once(event: string, listener: Listener): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  unref(): void {}

  /** Its exit event. */
  exit(): void {
    for (const listener of this.#listeners.get("exit") ?? []) listener(1);
    this.#listeners.clear();
  }
}

/** Starts a thread for each task, and kills it at the abort of the task's signal. */
export class Piscina {
  readonly #workers = new Set<StandInWorker>();

  on(): void {}

  get threads(): StandInWorker[] {
    return [...this.#workers];
  }

  run({ port1 }: MessageChannel, { signal }: { signal: AbortSignal }): Promise<never> {
    const id = ground.start() ?? ghosts++;
    const worker = new StandInWorker(id);
    port1.thread = id;
    ports.set(id, port1);
    workers.set(id, worker);
    this.#workers.add(worker);
    return new Promise((_resolve, reject) => {
      worker.once("exit", () => {
        this.#workers.delete(worker);
        if (ground.isSeen(id)) reject(new Error("worker exited"));
      });
      signal.addEventListener("abort", () => {
        this.#workers.delete(worker);
        ground.kill(id);
        reject(signal.reason);
      });
    });
  }

  async destroy(): Promise<void> {}
}
