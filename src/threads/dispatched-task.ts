import { Canceled } from "./canceled.ts";
import type { Link } from "./chain.ts";
import { monotonicMs } from "./clock.ts";
import { type Ended, Failure, type Outcome, TaskError, ThreadLost } from "./outcome.ts";
import type { PoolThread } from "./pool-thread.ts";
import { codecOf, type TaskMessage } from "./protocol.ts";
import type { SlotGroup } from "./slot-group.ts";

export interface TaskRunOptions {
  /** `shared` (the default): beside thousands of others that mostly wait. `exclusive`: alone on a thread, for what computes. */
  readonly on?: "shared" | "exclusive";
  /** May be run again when its thread dies: doing it twice is as good as once. */
  readonly idempotent?: boolean;
}

/**
 * A task that was run. `await task` gives its value, or throws: `Failure` as the task threw it, `TaskError` for anything else that it
 * threw, `Canceled` with the cause, `ThreadLost`. Nothing needs to be awaited: the group's `join` has all outcomes. Main thread.
 */
export interface Task<T, O = Outcome<T>> extends PromiseLike<T> {
  readonly name: string;
  /** How it ended. Never rejects. Made when it is asked for. */
  readonly outcome: Promise<O>;
  /** Calls back once when it has ended, with outcome, times and thread; at once if it already has. Cheaper than a promise. Must not throw. */
  whenEnded(listener: (ended: Ended<O>) => void): void;
  readonly settled: boolean;
  /** The OS thread it was sent to; undefined while it waits for one. */
  readonly threadId: number | undefined;
}

/** A task that has not settled, for whoever looks on. */
export type RunningTask = Pick<DispatchedTask, "serial" | "name" | "input" | "options" | "settled" | "threadId">;

type Listener = (ended: never) => void;

export const QUEUED = -1;

/** Names a task for as long as its group is open: a place in the table is given again, but not to one that is sent for the same group. */
export function keyOf(id: number, slot: number, generation: number): string {
  return `${id} ${slot} ${generation}`;
}

/** One task from the moment it is run until it has settled, and its caller's handle. Main thread. */
export class DispatchedTask implements Task<unknown>, Link<DispatchedTask> {
  readonly name: string;
  /** Undefined where it has ended, unless `convert` may still be given it. */
  input: unknown;
  readonly group: SlotGroup;
  readonly options: TaskRunOptions | undefined;
  /** Grows with each task of the process. */
  readonly serial: number;
  /** The thread it was sent to; undefined while it waits for one. */
  thread: PoolThread | undefined;
  /** Its neighbors where it waits for a thread. */
  previous: DispatchedTask | undefined;
  next: DispatchedTask | undefined;
  /** The task before it in the same group. */
  older: DispatchedTask | undefined;
  /** Which message to its thread it went in, from 1; 0 before that, and `QUEUED` while it waits at the dispatcher for a thread. */
  messageNumber = 0;
  /** How many threads have died with it after they had received it. */
  losses = 0;
  /** How many threads have died when its message was the next that they would have received. */
  unread = 0;
  readonly #id: number;
  #ended: Ended | undefined;
  #listeners: Listener | Listener[] | undefined;
  /** Those that were asked for. */
  #promises: { outcome?: Promise<Outcome>; value?: Promise<unknown> } | undefined;

  constructor(group: SlotGroup, name: string, input: unknown, options: TaskRunOptions | undefined) {
    const { table } = group.parts;
    this.group = group;
    this.name = name;
    this.input = input;
    this.options = options;
    this.serial = ++table.lastSerial;
    this.#id = table.add(this);
  }

  get key(): string {
    return keyOf(this.#id, this.group.slot, this.group.generation);
  }

  get settled(): boolean {
    return this.#ended !== undefined;
  }

  get threadId(): number | undefined {
    return this.thread?.id;
  }

  get outcome(): Promise<Outcome> {
    this.#promises ??= {};
    this.#promises.outcome ??= new Promise((resolve) => this.whenEnded(({ outcome }) => resolve(outcome)));
    return this.#promises.outcome;
  }

  get ended(): Promise<unknown> {
    return new Promise((resolve) => this.whenEnded(resolve));
  }

  whenEnded(listener: (ended: Ended) => void): void {
    if (this.#ended !== undefined) listener(this.#converted(this.#ended));
    else if (this.#listeners === undefined) this.#listeners = listener;
    else if (typeof this.#listeners === "function") this.#listeners = [this.#listeners, listener];
    else this.#listeners.push(listener);
  }

  // biome-ignore lint/suspicious/noThenProperty: `await task` gives the task's value, as `await` of errgroup's or Trio's child would.
  then<A = unknown, B = never>(
    ok?: ((value: unknown) => A | PromiseLike<A>) | null,
    failed?: ((error: unknown) => B | PromiseLike<B>) | null,
  ) {
    this.#promises ??= {};
    this.#promises.value ??= new Promise((resolve, reject) => {
      this.whenEnded(({ outcome }) => (outcome.status === "ok" ? resolve(outcome.value) : reject(errorOf(outcome))));
    });
    return this.#promises.value.then(ok, failed);
  }

  /** Adds the task to a message, the n-th to its thread. Throws what its codec throws. */
  addTo(message: TaskMessage, messageNumber: number): void {
    const { slot, generation, parts } = this.group;
    const codec = codecOf(parts.codecs, this.name);
    this.messageNumber = messageNumber;
    message.push(this.#id, slot, generation, this.name, codec === undefined ? this.input : codec.encode(this.input, this.name));
  }

  /** Moves the task to a thread; undefined: back among the tasks that wait for one. */
  moveTo(thread: PoolThread | undefined): void {
    if (this.thread !== undefined) this.thread.inFlight--;
    if (thread !== undefined) thread.inFlight++;
    this.thread = thread;
  }

  /** Only the first call counts. */
  settle(result: Outcome, endedAtMs: number = monotonicMs(), startedAtMs?: number): void {
    if (this.#ended !== undefined) return;
    const outcome = this.losses === 0 ? result : begunBefore(result);
    this.#ended = { outcome, endedAtMs, startedAtMs, threadId: this.thread?.id, tries: this.losses + 1 };
    this.group.parts.table.remove(this.#id);
    this.thread?.taskSettled();
    this.group.taskSettled(this, outcome);
    // A group may stay open while thousands of its tasks end, one after the other.
    if (this.group.convert === undefined) this.input = undefined;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners === undefined) return;
    const ended = this.#converted(this.#ended);
    if (typeof listeners === "function") listeners(ended);
    else for (const listener of listeners) listener(ended);
  }

  #converted(ended: Ended): never {
    return (this.group.convert === undefined ? ended : this.group.convert(ended, this)) as never;
  }
}

/** What never began on its last thread may have begun on one that died. */
function begunBefore(outcome: Outcome): Outcome {
  if (outcome.status === "lost") return { ...outcome, started: true };
  return outcome.status === "canceled" && !outcome.started ? { ...outcome, started: true, stopped: false } : outcome;
}

function errorOf(outcome: Exclude<Outcome, { status: "ok" }>): Error {
  switch (outcome.status) {
    case "failed":
      return outcome.error === undefined ? new Failure(outcome.data, outcome.message, outcome) : new TaskError(outcome);
    case "canceled":
      return new Canceled(outcome.cause);
    case "lost":
      return new ThreadLost(outcome);
  }
}
