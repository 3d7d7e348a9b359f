import { expect } from "vitest";
import { type CancelCause, ORDER_CAUSES } from "../../src/orders/cancel-cause.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "../../src/orders/step.ts";
import type { StepGroup } from "../../src/orders/step-runner.ts";
import { STEP_CODECS } from "../../src/orders/step-task.ts";
import type { StepName } from "../../src/orders/steps.ts";
import { ThreadStepRunner } from "../../src/orders/thread-step-runner.ts";
import {
  CancelScope,
  type DefinedTasks,
  openThreads,
  type ReplaceReason,
  type Threads,
  type ThreadsOptions,
  type ThreadView,
} from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import type { Plan, Script, ScriptName, StartFault, StepSettings } from "./script.ts";
import { SharedCounters } from "./shared-counters.ts";

const WORKER_FILE = new URL("./steps.ts", import.meta.url);

export const OK: StepOutcome = { status: "ok" };
export const lost = (reason: ReplaceReason): StepOutcome => ({ status: "lost", reason: `thread ended: ${reason}`, effect: "unknown" });
export const canceledBy = (cause: CancelCause, effect: "none" | "unknown"): StepOutcome => ({ status: "canceled", cause, effect });

export interface FixtureOptions extends Partial<Omit<ThreadsOptions<string>, "file" | "settings">> {
  readonly url?: string;
  readonly startFaults?: readonly StartFault[];
}

export interface Replacement {
  readonly pool: string;
  readonly threadId: number;
  readonly reason: ReplaceReason;
}

/** One step that a test watches. */
export interface WatchedStep {
  readonly script: Script;
  readonly ended: Promise<EndedStep>;
  /** Only `outcome` of `ended`. */
  readonly outcome: Promise<StepOutcome>;
}

/** A step in a run of its own, which is closed as soon as the step has ended. */
export interface LoneStep extends WatchedStep {
  readonly scope: CancelScope;
}

interface Seen {
  readonly replacements: Replacement[];
  readonly faults: string[];
}

/** Threads that run the steps of `steps.ts`, with everything that a test wants to see of them. */
export class Fixture implements AsyncDisposable {
  readonly threads: Threads;
  readonly runner: ThreadStepRunner;
  readonly counters: SharedCounters;
  /** Counter that counts the threads that have begun to start, and the one that "wait_at_gate" waits at. */
  readonly starts: number;
  readonly startGate: number;
  readonly replacements: readonly Replacement[];
  readonly faults: readonly string[];
  /** The stacks of what steps threw that nobody had classified. */
  readonly bugs: string[] = [];
  readonly #size: number;

  private constructor(threads: Threads, { starts, startGate }: StepSettings, counters: SharedCounters, seen: Seen, size: number) {
    this.threads = threads;
    this.runner = new ThreadStepRunner(threads, (_step, _orderId, stack) => this.bugs.push(stack));
    this.starts = starts;
    this.startGate = startGate;
    this.counters = counters;
    this.replacements = seen.replacements;
    this.faults = seen.faults;
    this.#size = size;
  }

  static async start({ url = "", startFaults = [], ...options }: FixtureOptions = {}): Promise<Fixture> {
    const counters = new SharedCounters();
    const starts = counters.take();
    const startGate = counters.take();
    const settings: StepSettings = { counters: counters.buffer, url, starts, startGate, startFaults };
    const seen: Seen = { replacements: [], faults: [] };
    const { shared = 2, exclusive = 1 } = options;
    const threads = await openThreads<DefinedTasks, string>({
      file: WORKER_FILE,
      shared,
      exclusive,
      exclusiveOnDemand: false,
      causes: ORDER_CAUSES,
      codecs: STEP_CODECS,
      // Out of the way unless a test is about it.
      graceMs: 10_000,
      maxGroups: 64,
      ...options,
      settings,
      onFault: (message, error) => seen.faults.push(`${message}: ${error}`),
      onReplaced: (pool, threadId, reason) => seen.replacements.push({ pool, threadId, reason }),
    });
    return new Fixture(threads, settings, counters, seen, shared + exclusive);
  }

  script(name: ScriptName, more: Partial<Script> = {}): Script {
    const { counters } = this;
    return { do: name, runs: counters.take(), ends: counters.take(), gate: counters.take(), ...more };
  }

  /** Starts one step of `run`. */
  step(run: StepGroup, script: Script, { computes = false, retryable = false, name = "vendor" as StepName } = {}): WatchedStep {
    const ended = run.run({ name, action: "perform", computes, retryable }, inputFor({ [name]: script }));
    return { script, ended, outcome: ended.then(({ outcome }) => outcome) };
  }

  /** Starts one step in a run of its own. */
  lone(name: ScriptName | Script, { scope = new CancelScope(), ...options }: { scope?: CancelScope } & StepOptions = {}): LoneStep {
    const run = this.runner.open(scope);
    const watched = this.step(run, typeof name === "string" ? this.script(name) : name, options);
    const ended = watched.ended.then((end) => {
      run.close();
      return end;
    });
    return { script: watched.script, scope, ended, outcome: ended.then(({ outcome }) => outcome) };
  }

  /** Starts one step alone and waits until its thread has counted its start. */
  async running(name: ScriptName | Script, options: { scope?: CancelScope } & StepOptions = {}): Promise<LoneStep> {
    const step = this.lone(name, options);
    await this.counters.reached(step.script.runs);
    return step;
  }

  /**
   * Resolves once the pool spreads steps over all its shared threads, the first of them first: one that the machine has kept from turning
   * for half a second is its last choice.
   */
  async spreadsSteps(): Promise<void> {
    for (let isEven = false; !isEven; ) {
      const steps = await Promise.all(this.views("shared").map(() => this.running("wait")));
      isEven = this.views("shared").every(({ running }) => running === 1);
      for (const step of steps) this.open(step);
      for (const { ended } of steps) await ended;
    }
  }

  runsOf({ script }: { readonly script: Script }): number {
    return this.counters.read(script.runs);
  }

  open({ script }: { readonly script: Script }): void {
    this.counters.add(script.gate);
  }

  /** The threads that are up, each with its counters; of one pool where it is named. */
  views(pool?: ThreadView["pool"]): readonly ThreadView[] {
    const { threads } = this.threads.statistics();
    return pool === undefined ? threads : threads.filter((thread) => thread.pool === pool);
  }

  /** Everything that has to be zero when nothing is in flight is so, now. */
  expectIdle(): void {
    expect(this.threads.counters()).toEqual({ groups: 0, unsettled: 0, exclusivePermits: 0, exclusiveWaiting: 0, watchedGroups: 0 });
    const { running, started, finished } = this.threads.statistics();
    expect({ running, finished }).toEqual({ running: 0, finished: started });
    for (const thread of this.views()) expect(thread.running).toBe(0);
  }

  /** Resolves when as many threads are up as there should be. A replacement takes its time; everything else is exact at once. */
  async allThreadsUp(): Promise<void> {
    await eventually(`${this.#size} threads up`, () => this.views().length === this.#size);
  }

  reasons(): ReplaceReason[] {
    return this.replacements.map(({ reason }) => reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.threads.close();
  }
}

interface StepOptions {
  computes?: boolean;
  retryable?: boolean;
  name?: StepName;
}

export function inputFor(plan: Plan): AttemptInput {
  return { orderId: JSON.stringify(plan), amount: 1, attempt: 1 };
}
