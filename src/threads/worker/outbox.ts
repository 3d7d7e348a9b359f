import type { MessagePort } from "node:worker_threads";
import { textOf } from "../canceled.ts";
import { type CanceledOutcome, type FailedOutcome, failed } from "../outcome.ts";
import { type FaultMessage, OUTCOME_STRIDE, type OutcomeMessage, type PostedResult, toPost, type UserMessage } from "../protocol.ts";
import { Transferred } from "./define-tasks.ts";

// In the global registry, as `Transferred`.
const OWN = Symbol.for("cancelable-threads.Outbox");
/** The thread's own, once it serves; `post` needs it. */
const thread = globalThis as { [OWN]?: Outbox };

/** Sends a clone of a value to the main thread's `onMessage`, before the outcomes of tasks that end later. Throws where that cannot be. */
export function post(value: unknown): void {
  if (thread[OWN] === undefined) throw new Error("post: this thread runs no tasks");
  thread[OWN].post(value);
}

/** What leaves a thread: the outcomes of a turn as one message, and whatever else its tasks post. */
export class Outbox {
  readonly #port: MessagePort;
  readonly #threadId: number;
  readonly #causes: readonly string[];
  readonly #beforeOutcomes: (() => void) | undefined;
  // As it is now: a task may put the clock of a test into its place, and outcomes have to leave all the same.
  readonly #setImmediate = setImmediate;
  #ended: OutcomeMessage = [];

  constructor(port: MessagePort, threadId: number, causes: readonly string[], beforeOutcomes: (() => void) | undefined) {
    this.#port = port;
    this.#threadId = threadId;
    this.#causes = causes;
    this.#beforeOutcomes = beforeOutcomes;
    thread[OWN] = this;
  }

  /** `outcome`: null for ok, with its value. */
  add(
    id: number,
    slot: number,
    generation: number,
    startedAtMs: number,
    endedAtMs: number,
    outcome: FailedOutcome | CanceledOutcome | null,
    value?: unknown,
  ): void {
    // In the check phase of this turn: whatever ended in its timers, socket events and wake-ups leaves as one message.
    if (this.#ended.length === 0) this.#setImmediate(this.#postOutcomes);
    const result = outcome === null ? (value === undefined ? null : ([value] as const)) : toPost(outcome, this.#causes);
    this.#ended.push(id, slot, generation, startedAtMs, endedAtMs, result);
  }

  post(value: unknown): void {
    this.#port.postMessage({ type: "user", threadId: this.#threadId, value } satisfies UserMessage);
  }

  fault(message: string, error: unknown): void {
    this.#port.postMessage({ type: "fault", message, stack: textOf(error) } satisfies FaultMessage);
  }

  readonly #postOutcomes = (): void => {
    const ended = this.#ended;
    this.#ended = [];
    try {
      this.#beforeOutcomes?.();
    } catch (error) {
      this.fault("beforeOutcomes threw", error);
    }
    if (this.#sent(ended)) return;
    // One of them cannot be cloned; the others have nothing to do with it.
    for (let at = 0; at < ended.length; at += OUTCOME_STRIDE) {
      const one = ended.slice(at, at + OUTCOME_STRIDE);
      if (this.#sent(one)) continue;
      one[OUTCOME_STRIDE - 1] = toPost(uncloneable(one[OUTCOME_STRIDE - 1] as PostedResult), this.#causes);
      this.#sent(one);
    }
  };

  /** False where the message cannot be cloned. */
  #sent(message: OutcomeMessage): boolean {
    const list: ArrayBuffer[] = [];
    try {
      this.#port.postMessage(movable(message, list), list);
      return true;
    } catch {
      return false;
    }
  }
}

/** The message with the values of `transfer` in their places, and their buffers in `list`. */
function movable(message: OutcomeMessage, list: ArrayBuffer[]): OutcomeMessage {
  let copy: OutcomeMessage | undefined;
  for (let at = OUTCOME_STRIDE - 1; at < message.length; at += OUTCOME_STRIDE) {
    const result = message[at] as PostedResult;
    if (!Array.isArray(result) || !Transferred.is(result[0])) continue;
    copy ??= message.slice();
    copy[at] = [result[0].value];
    list.push(...result[0].list);
  }
  return copy ?? message;
}

function uncloneable(result: PostedResult): FailedOutcome {
  const what = Array.isArray(result) && result.length === 1 ? "what the task returned" : "the data or progress of the task";
  return failed(`${what} cannot be cloned`, "DataCloneError");
}
