import type { MessagePort } from "node:worker_threads";
import { CancelBoard } from "../cancel-board.ts";
import { onListenerFault } from "../cancelable.ts";
import { type BuiltInCause, Canceled } from "../canceled.ts";
import { monotonicMs } from "../clock.ts";
import { Layout } from "../layout.ts";
import { type CanceledOutcome, type FailedOutcome, Failure, failed, neverRan } from "../outcome.ts";
import { codecOf, type ReadyMessage, type TaskEntries, type TaskMessage, type ThreadSetup } from "../protocol.ts";
import { BEAT_EVERY_MS, Tracker } from "../tracker.ts";
import { CancelWatch } from "./cancel-watch.ts";
import type { DefinedTasks, TaskBody, TaskObserver, TaskTable } from "./define-tasks.ts";
import { Outbox } from "./outbox.ts";
import { Slices } from "./slices.ts";
import { TaskContext } from "./task-context.ts";

/** Makes this thread serve tasks, through this port: claims its tracker row, listens to its bell, beats. Once per thread. */
export async function serve(port: MessagePort, threadId: number, setup: ThreadSetup, { make, options }: DefinedTasks): Promise<void> {
  const outbox = new Outbox(port, threadId, setup.causes, options.beforeOutcomes);
  onListenerFault((error) => outbox.fault("a cancel listener threw", error));
  keepAliveDespiteLeftovers(outbox);
  const tasks = await make(setup.settings as never);
  const layout = new Layout(setup.layout);
  const tracker = new Tracker(layout);
  const row = tracker.claim(threadId);
  const server = new TaskServer(tasks, options, new CancelBoard(layout, setup.causes), tracker, row, outbox);
  setInterval(() => server.beat(), BEAT_EVERY_MS).unref();
  port.on("message", (message: TaskMessage) => server.receive(message));
  // Whoever looks for what keeps the thread alive finds it. The thread would beat for ever, and nobody could reach its tasks.
  port.on("close", () => {
    throw new Error("a task closed the port of its thread");
  });
  // In a killed process Node would not write what it compiled. Before `ready`: terminating a thread while it writes would end the process.
  const module: { flushCompileCache?: () => void } = process.getBuiltinModule("node:module");
  module.flushCompileCache?.();
  port.postMessage({ type: "ready", threadId } satisfies ReadyMessage);
}

/** What a task leaves behind must not end the thread: an aborted call rejects with nobody to look, a checkpoint in a timer throws. */
function keepAliveDespiteLeftovers(outbox: Outbox): void {
  process.on("unhandledRejection", (reason: unknown) => {
    if (!isAbort(reason)) outbox.fault("a task left a promise behind that was rejected", reason);
  });
  process.on("uncaughtException", (error: unknown) => {
    if (!Canceled.is(error)) throw error;
  });
}

// A task may replace the global, or return a promise with a `then` of its own, which throws, or calls back twice or never.
const NativePromise = Promise;
const THEN = Promise.prototype.then;

class TaskServer {
  readonly #bodies: ReadonlyMap<string, TaskBody>;
  readonly #options: DefinedTasks["options"];
  readonly #board: CancelBoard;
  readonly #tracker: Tracker;
  readonly #row: number;
  readonly #outbox: Outbox;
  readonly #watch: CancelWatch;
  readonly #slices = new Slices((message, at) => this.#start(message, at));

  constructor(tasks: TaskTable, options: DefinedTasks["options"], board: CancelBoard, tracker: Tracker, row: number, outbox: Outbox) {
    this.#bodies = new Map(Object.entries(tasks));
    this.#options = options;
    this.#board = board;
    this.#tracker = tracker;
    this.#row = row;
    this.#outbox = outbox;
    this.#watch = new CancelWatch(board, row);
    void this.#watch.listen();
  }

  beat(): void {
    this.#tracker.beat(this.#row);
    this.#watch.catchUp();
  }

  receive(message: TaskMessage): void {
    this.#tracker.countReceived(this.#row);
    this.#slices.add(message);
  }

  #start(message: TaskMessage, at: number): number {
    const id = message[at] as TaskEntries[0];
    const slot = message[at + 1] as TaskEntries[1];
    const generation = message[at + 2] as TaskEntries[2];
    const name = message[at + 3] as TaskEntries[3];
    const context = new TaskContext(this.#board, slot, generation);
    const { startedAtMs } = context;
    let input: unknown;
    try {
      const codec = codecOf(this.#options.codecs, name);
      input = codec === undefined ? message[at + 4] : codec.decode(message[at + 4]);
    } catch (error) {
      this.#outbox.add(id, slot, generation, startedAtMs, startedAtMs, outcomeOf(error, context));
      return startedAtMs;
    }
    // Nobody needs it any more, and the rest of its message may wait for long.
    message[at + 4] = undefined;
    if (this.#options.observe !== undefined) context.observer = this.#observe(name, input, startedAtMs);
    // Also where its group is over: it was given up on its way, and whoever waited was told that it never will begin.
    const cause = this.#board.heardBy(slot, generation);
    if (cause !== undefined) {
      const outcome = neverRan(cause);
      this.#tell(context.observer, outcome, startedAtMs);
      this.#outbox.add(id, slot, generation, startedAtMs, startedAtMs, outcome);
      return startedAtMs;
    }
    // First the count, then the registration: either its look finds the cancel, or the canceler sees this task running (invariant 5).
    this.#tracker.countStart(this.#row);
    this.#watch.add(context);
    this.#whenEnded(this.#run(name, input, context), id, context);
    return startedAtMs;
  }

  #run(name: string, input: unknown, context: TaskContext): Promise<unknown> {
    try {
      const body = this.#bodies.get(name);
      if (body === undefined) throw new TypeError(`there is no task "${name}" in the file of tasks`);
      // A task need not be an async function.
      return NativePromise.resolve(body(input, context));
    } catch (error) {
      return NativePromise.reject(error);
    }
  }

  /** No `await`, and neither message nor input within reach of the callbacks: ten thousand tasks may wait for minutes. */
  #whenEnded(running: Promise<unknown>, id: number, context: TaskContext): void {
    THEN.call(
      running,
      (value) => this.#end(id, context, null, value),
      (error: unknown) => this.#end(id, context, outcomeOf(error, context), undefined),
    );
  }

  #end(id: number, context: TaskContext, outcome: FailedOutcome | CanceledOutcome | null, value: unknown): void {
    const endedAtMs = monotonicMs();
    const { slot, generation } = context;
    this.#watch.remove(context);
    // A task that may be run again has not failed yet: whoever runs it decides.
    if (outcome?.status === "failed" && !outcome.keepsSiblings) this.#cancelSiblings(slot, generation);
    context.end();
    if (context.observer !== undefined) this.#tell(context.observer, outcome, endedAtMs);
    this.#tracker.countEnd(this.#row);
    this.#outbox.add(id, slot, generation, context.startedAtMs, endedAtMs, outcome, value);
  }

  /**
   * So does the main thread when it gets the outcome, but then two threads have to wake up before a sibling is notified. Before the outcome
   * is posted: afterwards the group may be over.
   */
  #cancelSiblings(slot: number, generation: number): void {
    // A sibling on another thread may have been first and have lost its processor before it notified the third one.
    if (!this.#board.cancel(slot, generation, "sibling_failed")) this.#board.notify(slot);
    this.#watch.look(slot);
  }

  #observe(name: string, input: unknown, startedAtMs: number): TaskObserver | undefined {
    try {
      return this.#options.observe?.(name, input, startedAtMs);
    } catch (error) {
      this.#outbox.fault("an observer of tasks threw", error);
      return undefined;
    }
  }

  #tell(observer: TaskObserver | undefined, outcome: FailedOutcome | CanceledOutcome | null, endedAtMs: number): void {
    try {
      observer?.ended(outcome, endedAtMs);
    } catch (error) {
      this.#outbox.fault("an observer of tasks threw", error);
    }
  }
}

/** What a task did that threw: null, a proxy, an error whose getters throw. Whatever fails in here must not fail the thread. */
function outcomeOf(error: unknown, context: TaskContext): FailedOutcome | CanceledOutcome {
  const { progress } = context;
  try {
    if (Failure.is(error)) {
      const { message, data, keepsSiblings } = error;
      return { status: "failed", message: String(message), data, keepsSiblings: keepsSiblings === true, progress, error: undefined };
    }
    context.look();
    const { cause } = context;
    // Only a task of a canceled group can be canceled.
    if (cause !== undefined && isAbort(error)) {
      return { status: "canceled", cause: cause as BuiltInCause, started: true, stopped: true, progress };
    }
    if (!(error instanceof Error)) return failed(process.getBuiltinModule("node:util").inspect(error), typeof error, undefined, progress);
    const message = String(error.message);
    // With a handler of its own in `Error.prepareStackTrace` a stack may be anything.
    return failed(message, String(error.name), typeof error.stack === "string" ? error.stack : message, progress);
  } catch {
    return failed("the task threw something that throws when it is read", "Error", undefined, progress);
  }
}

/** Whether something was thrown because of a cancel: an aborted API may wrap the reason in an error of its own. Never throws. */
function isAbort(error: unknown): boolean {
  try {
    return Canceled.is(error) || (error instanceof Error && error.name === "AbortError");
  } catch {
    return false;
  }
}
