import { defineTasks, monotonicMs, type TaskContext } from "../../../src/threads/worker/index.ts";
import { SharedCounters } from "../shared-counters.ts";
import type { Settings } from "./opened.ts";

/** How threads are to load, and the counters by which they tell how they did. */
export interface Loading {
  /** Counts the threads that have begun to load. */
  readonly starts: number;
  /** Counts those that have loaded. */
  readonly loaded: number;
  /** The most that ever loaded at one time. */
  readonly most: number;
  /** A thread has loaded when it holds at least 1. */
  readonly gate: number;
  /** No counter: as many crash when they have loaded. */
  readonly crashes: number;
  /** The first of many: the n-th holds how long after the crash before it the n-th thread began to load, in ms. */
  readonly pauses: number;
  readonly crashedAtMs: number;
}

export const PAUSES = 16;

export const tasks = defineTasks(async ({ counters: buffer, loading: own }: Settings & { loading: Loading }) => {
  const counters = new SharedCounters(buffer);
  const n = counters.add(own.starts);
  if (n <= PAUSES) counters.write(own.pauses + n - 1, (nowMs() - counters.read(own.crashedAtMs)) | 0);
  const loading = n - counters.read(own.loaded);
  if (loading > counters.read(own.most)) counters.write(own.most, loading);
  await counters.reached(own.gate);
  counters.add(own.loaded);
  if (n <= own.crashes) {
    // When it has said that it is there.
    setTimeout(() => {
      counters.write(own.crashedAtMs, nowMs());
      throw new Error("of the file");
    }, 20);
  }
  return {
    nothing() {},
    async waits({ began, gate }: { began: number; gate: number }, { signal }: TaskContext) {
      counters.add(began);
      await counters.reached(gate, 1, signal);
    },
  };
});

/** On a clock that all threads share, as far as a word holds it. */
function nowMs(): number {
  return Math.floor(monotonicMs()) | 0;
}
