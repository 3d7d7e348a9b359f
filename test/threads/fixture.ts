import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { CancelScope } from "../../src/threads/index.ts";
import type { AttemptInput, EndedStep, StepOutcome } from "../../src/orders/step.ts";
import type { StepGroup } from "../../src/orders/step-runner.ts";
import type { StepName } from "../../src/orders/steps.ts";
import type { ReplaceReason } from "../../src/threads/pool-thread.ts";
import { ThreadRuntime, type ThreadRuntimeOptions } from "../../src/threads/thread-runtime.ts";
import { eventually } from "../support/eventually.ts";
import type { Plan, Script, ScriptName, StartFault, StepSettings } from "./script.ts";
import { SharedCounters } from "./shared-counters.ts";

const WORKER_FILE = fileURLToPath(new URL("./steps.ts", import.meta.url));

export interface FixtureOptions extends Partial<Omit<ThreadRuntimeOptions, "workerFile" | "settings">> {
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

/** A runtime on the steps of `steps.ts`, with everything that a test wants to see of it. */
export class Fixture implements AsyncDisposable {
  readonly runtime: ThreadRuntime;
  readonly counters: SharedCounters;
  /** Counter that counts the threads that have begun to start, and the one that "wait_at_gate" waits at. */
  readonly starts: number;
  readonly startGate: number;
  readonly replacements: Replacement[];
  readonly faults: string[];
  readonly #size: number;

  private constructor(
    runtime: ThreadRuntime,
    { starts, startGate }: StepSettings,
    counters: SharedCounters,
    replacements: Replacement[],
    faults: string[],
    size: number,
  ) {
    this.runtime = runtime;
    this.starts = starts;
    this.startGate = startGate;
    this.counters = counters;
    this.replacements = replacements;
    this.faults = faults;
    this.#size = size;
  }

  static async start({ url = "", startFaults = [], ...options }: FixtureOptions = {}): Promise<Fixture> {
    const counters = new SharedCounters();
    const starts = counters.take();
    const startGate = counters.take();
    const settings: StepSettings = { counters: counters.buffer, url, starts, startGate, startFaults };
    const replacements: Replacement[] = [];
    const faults: string[] = [];
    const { threads = 2, cpuThreads = 1 } = options;
    const runtime = await ThreadRuntime.start({
      workerFile: WORKER_FILE,
      threads,
      cpuThreads,
      // Out of the way unless a test is about it.
      cancelGraceMs: 10_000,
      longestStepMs: 10_000,
      maxGroups: 64,
      ...options,
      settings,
      onFault: (message, error) => faults.push(`${message}: ${error}`),
      onReplaced: (pool, threadId, reason) => replacements.push({ pool, threadId, reason }),
    });
    return new Fixture(runtime, settings, counters, replacements, faults, threads + cpuThreads);
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
    const run = this.runtime.open(scope);
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

  runsOf({ script }: { readonly script: Script }): number {
    return this.counters.read(script.runs);
  }

  open({ script }: { readonly script: Script }): void {
    this.counters.add(script.gate);
  }

  /** Everything that has to be zero when nothing is in flight is so, now. */
  expectIdle(): void {
    expect(this.runtime.counters()).toEqual({ slots: 0, unsettled: 0, exclusivePermits: 0, exclusiveWaiting: 0, watchedGroups: 0 });
    const { running, started, finished } = this.runtime.totals();
    expect({ running, finished }).toEqual({ running: 0, finished: started });
    for (const thread of this.runtime.threads()) expect(thread.running).toBe(0);
  }

  /** Resolves when as many threads are up as there should be. A replacement takes its time; everything else is exact at once. */
  async allThreadsUp(): Promise<void> {
    await eventually(`${this.#size} threads up`, () => this.runtime.threads().length === this.#size);
  }

  reasons(): ReplaceReason[] {
    return this.replacements.map(({ reason }) => reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runtime.close();
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
