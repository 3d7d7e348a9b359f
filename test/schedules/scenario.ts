import type { MainRole } from "./main-role.ts";

/** A small situation whose schedules are all tried. Thread 0 is the main thread, the others are threads of the pools. */
export interface Scenario {
  readonly name: string;
  /** How many threads take part, 2 to 4. Those that no pool has at first are there to replace others. */
  readonly threads: number;
  /** Threads of the exclusive pool; default 0. They come after those of the shared one. */
  readonly exclusive?: number;
  /** Threads of the shared pool; default all that are left. */
  readonly shared?: number;
  /** How often a thread may be stopped between two operations, in `npm test`; wherever that is enough for the faults that it finds. */
  readonly preemptions: number;
  /** As above, in the whole campaign; default 2. */
  readonly most?: number;
  /** Threads that hear of others only when nobody else has anything to do: for where that matters to nobody. */
  readonly last?: readonly number[];
  /** Which threads may be stopped between two operations; without it all. */
  readonly stopped?: readonly number[];
  /** Threads of which one may die between any two operations, and the main thread hears of it. */
  readonly mortal?: readonly number[];
  /** Threads of which one may stand still for ever between any two operations. */
  readonly stalling?: readonly number[];
  /** Whoever stands still does so in a native call: nothing terminates it. */
  readonly native?: boolean;
  /** After which tasks are given up; without it never. */
  readonly graceMs?: number;
  /** How often the watch over the threads' progress looks; default 0. */
  readonly looks?: number;
  /** Threads are fast: time passes only when nobody has anything to do. */
  readonly fast?: boolean;
  /** Piscina says nothing of a thread that dies before it has come up. */
  readonly diesUnseen?: boolean;
  readonly startTimeoutMs?: number;
  readonly maxTasksPerThread?: number;
  readonly maxGivenUp?: number;
  /** A cancel need not come to all: whoever cancels may stand still before it has told them. */
  readonly mayGoUnheard?: boolean;
  /** The fault that may be told. */
  readonly fault?: string;
  /** Whether the counts are looked at again and again. */
  readonly counts?: boolean;
  /** All threads are up. Comes before the switches that are explored. */
  begin(main: MainRole): void | Promise<void>;
  /** A message that the scenario has sent to the main thread. */
  take?(main: MainRole, message: string): void | Promise<void>;
  /** A thread has come up that replaces another. */
  replaced?(main: MainRole, thread: number): void;
  /** Everything has come to rest. */
  judge?(main: MainRole): void;
}
