import type { AttemptInput } from "../orders/step.ts";
import type { StepSpec } from "../orders/step-runner.ts";
import { stepOf } from "../orders/step-task.ts";
import { monotonicMs, type RunningTask, type Threads } from "../threads/index.ts";

/** The steps that have not settled. */
type UnsettledSteps = Pick<Threads, "lastSerial" | "unsettled">;

/** A step that has run for long, and still does. */
export interface LongStep {
  readonly name: string;
  readonly action: StepSpec["action"];
  readonly orderId: string;
  readonly attempt: number;
  readonly threadId: number;
  /** It ran by then: since the mark after its start, or since the first of all marks. On the clock of `monotonicMs`. */
  readonly sinceMs: number;
}

// Shorter steps are shown when they have ended; looked at four times a second, most of them would be over before they are drawn.
const LONG_MS = 300;
// Of one pool: what can be told apart on the screen, and little to send.
const MAX_SHOWN = 16;
// More than the ten seconds that a page shows, at a mark every 50 ms.
const MAX_MARKS = 256;

interface Mark {
  readonly lastId: number;
  readonly atMs: number;
}

interface Shown {
  readonly step: RunningTask;
  readonly sinceMs: number;
}

/**
 * Some of the long steps, for whoever looks. Ids grow, so whoever notes the last id now and then knows later how old a step is at least: a
 * step carries no time of its own, and costs nothing by this.
 */
export class LongSteps {
  readonly #steps: UnsettledSteps;
  #marks: Mark[] = [];
  /** Those that wait, and those that compute, for each pool has its own. */
  #shown: readonly (readonly Shown[])[] = [[], []];

  constructor(steps: UnsettledSteps) {
    this.#steps = steps;
  }

  /** To be called at even intervals while somebody looks: starts are known to within one. */
  mark(nowMs = monotonicMs()): void {
    this.#marks.push({ lastId: this.#steps.lastSerial, atMs: nowMs });
    if (this.#marks.length > MAX_MARKS) this.#marks.shift();
  }

  /** Nobody looks any more. */
  forget(): void {
    this.#marks = [];
    this.#shown = [[], []];
  }

  /** Of each pool those given before, and in free places the oldest and the youngest: the oldest alone would all soon end. */
  sample(nowMs = monotonicMs()): LongStep[] {
    const lastLong = this.#marks.findLast(({ atMs }) => atMs <= nowMs - LONG_MS)?.lastId ?? 0;
    const long = this.#steps.unsettled().filter(({ serial, threadId }) => serial <= lastLong && threadId !== undefined);
    this.#shown = this.#shown.map((before, pool) => {
      const shown = before.filter(({ step }) => !step.settled);
      const isShown = new Set(shown.map(({ step }) => step));
      const free = MAX_SHOWN - shown.length;
      const oldest = new Foremost(Math.ceil(free / 2), (a, b) => a.serial - b.serial);
      const youngest = new Foremost(Math.floor(free / 2), (a, b) => b.serial - a.serial);
      for (const step of long) {
        const computes = step.options?.on === "exclusive";
        if (computes === (pool === 1) && !isShown.has(step)) youngest.offer(oldest.offer(step));
      }
      return [...shown, ...[...oldest.steps, ...youngest.steps].map((step) => ({ step, sinceMs: this.#startOf(step) }))];
    });
    return this.#shown.flat().flatMap(({ step: { name: task, input, threadId }, sinceMs }) => {
      // Lost with its thread, it waits to be run again.
      if (threadId === undefined) return [];
      const { orderId, attempt } = input as AttemptInput;
      return [{ ...stepOf(task), orderId, attempt, threadId, sinceMs }];
    });
  }

  #startOf({ serial }: RunningTask): number {
    return this.#marks.find(({ lastId }) => lastId >= serial)?.atMs ?? monotonicMs();
  }
}

/** The first so many of all that are offered. */
class Foremost {
  readonly steps: RunningTask[] = [];
  readonly #size: number;
  readonly #compare: (a: RunningTask, b: RunningTask) => number;

  constructor(size: number, compare: (a: RunningTask, b: RunningTask) => number) {
    this.#size = size;
    this.#compare = compare;
  }

  /** Gives back the one for which there is no place, if any. */
  offer(step: RunningTask | undefined): RunningTask | undefined {
    if (step === undefined) return undefined;
    const last = this.steps.at(-1);
    if (this.steps.length === this.#size && (last === undefined || this.#compare(step, last) >= 0)) return step;
    const at = this.steps.findIndex((one) => this.#compare(step, one) < 0);
    this.steps.splice(at < 0 ? this.steps.length : at, 0, step);
    return this.steps.length > this.#size ? this.steps.pop() : undefined;
  }
}
