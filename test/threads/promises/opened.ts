import { expect } from "vitest";
import { openThreads, type ReplaceReason, type Threads, type ThreadsOptions } from "../../../src/threads/index.ts";
import type { DefinedTasks, TaskTable } from "../../../src/threads/worker/index.ts";
import { eventually } from "../../support/eventually.ts";
import { SharedCounters } from "../shared-counters.ts";

/** What every file of tasks in this folder is given. */
export interface Settings {
  readonly counters: SharedArrayBuffer;
}

export type Cause = "superseded";

export interface OpenOptions extends Omit<Partial<ThreadsOptions<Cause>>, "file" | "settings" | "onFault" | "onReplaced" | "onMessage"> {
  /** In this folder. */
  readonly file: string;
  readonly settings?: object;
  readonly counters?: SharedCounters;
}

/** Open threads, and what they told. */
export class Opened<Defined extends DefinedTasks<never> | DefinedTasks<TaskTable>> implements AsyncDisposable {
  readonly threads: Threads<Defined extends DefinedTasks<infer Tasks> ? Tasks : TaskTable, Cause>;
  readonly counters: SharedCounters;
  readonly replaced: ReplaceReason[] = [];
  readonly faults: string[] = [];
  readonly messages: unknown[] = [];

  private constructor(threads: Opened<Defined>["threads"], counters: SharedCounters) {
    this.threads = threads;
    this.counters = counters;
  }

  /** One shared thread and no exclusive one, unless the options say more. */
  static async open<Defined extends DefinedTasks<never> | DefinedTasks<TaskTable>>({
    file,
    settings,
    counters = new SharedCounters(),
    ...options
  }: OpenOptions): Promise<Opened<Defined>> {
    const [replaced, faults, messages]: [ReplaceReason[], string[], unknown[]] = [[], [], []];
    const threads = await openThreads<Defined, Cause>({
      shared: 1,
      exclusive: 0,
      causes: ["superseded"],
      ...options,
      file: new URL(file, import.meta.url),
      settings: { ...settings, counters: counters.buffer } satisfies Settings,
      onReplaced: (_pool, _id, reason) => replaced.push(reason),
      onFault: (message, error) => faults.push(`${message}: ${String(error)}`),
      onMessage: (value) => messages.push(value),
    });
    return Object.assign(new Opened<Defined>(threads, counters), { replaced, faults, messages });
  }

  /** `count` further counters of its own, each at 0. */
  take(count: number): number[] {
    return Array.from({ length: count }, () => this.counters.take());
  }

  /** Resolves when as many threads serve as there should be. */
  async up(count: number): Promise<void> {
    await eventually(
      `${count} threads are up`,
      () => this.threads.statistics().threads.length,
      (up) => up === count,
    );
  }

  /** Nothing is open, nothing runs, and everything that ever started has ended: now. */
  expectIdle(): void {
    const { running, started, finished } = this.threads.statistics();
    expect({ ...this.threads.counters(), running, finished }).toEqual({
      groups: 0,
      unsettled: 0,
      exclusivePermits: 0,
      exclusiveWaiting: 0,
      watchedGroups: 0,
      running: 0,
      finished: started,
    });
    expect(started).toBeGreaterThan(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.threads.close();
  }
}

/** How many outcomes there are of each kind. */
export function statuses(outcomes: readonly { readonly status: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
