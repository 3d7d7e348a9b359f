import type { MainRole } from "./main-role.ts";

/** A small situation whose schedules are all tried. Thread 0 is the main thread, the others are threads of the pools. */
export interface Scenario {
  readonly name: string;
  /** How many threads take part, 2 to 4. */
  readonly threads: number;
  /** How often a thread may be stopped between two operations, in `npm test`; wherever that is enough for the faults that it finds. */
  readonly preemptions: number;
  /** Threads that hear of others only when nobody else has anything to do: for where that matters to nobody. */
  readonly last?: readonly number[];
  /** Which threads may be stopped between two operations; without it all. */
  readonly stopped?: readonly number[];
  /** Threads of which one may die between any two operations, and the main thread hears of it. */
  readonly mortal?: readonly number[];
  /** Threads of which one may stand still for ever between any two operations. */
  readonly stalling?: readonly number[];
  /** Whether the counts are looked at again and again. */
  readonly counts?: boolean;
  /** Comes before the switches that are explored. */
  begin(main: MainRole): void;
  /** A message that the scenario has sent to the main thread. */
  take?(main: MainRole, message: string): void;
  /** Everything has come to rest. */
  judge?(main: MainRole): void;
  /** A thread has started. */
  ready?(main: MainRole, thread: number): void;
}
