import { expect, onTestFinished, test } from "vitest";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { Dispatcher } from "../../src/threads/dispatcher.ts";
import { Layout } from "../../src/threads/layout.ts";
import type { PoolThread } from "../../src/threads/pool-thread.ts";
import { PoolThreads } from "../../src/threads/pool-threads.ts";
import { StartLimit } from "../../src/threads/starts.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { eventually } from "../support/eventually.ts";
import { CAUSES } from "./causes.ts";

// That such a thread is replaced, takes no tasks and ends with its last one is tried in `test/schedules`.

/** A pool of real threads, whose tasks are only numbers here. */
class Pool {
  readonly pool: PoolThreads;
  /** Each thread whose tasks have settled, and why it ended. */
  readonly gone: (readonly [thread: PoolThread, reason: string, tasks: number])[] = [];
  readonly #threads: number;

  constructor(threads: number) {
    const layout = Layout.allocate({ slots: 1, rows: 20 });
    CancelBoard.create(layout, CAUSES);
    const dispatcher = {
      lookAtWaiting() {},
      gone: (thread: PoolThread, reason: string) => void this.gone.push([thread, reason, thread.inFlight]),
    };
    const file = new URL("./tasks-of-nothing.ts", import.meta.url).href;
    this.#threads = threads;
    this.pool = new PoolThreads(
      {
        name: "shared",
        threads,
        onDemand: false,
        heapMb: 64,
        maxGivenUp: 1,
        setup: { layout: layout.handle, causes: CAUSES, file, settings: undefined },
        tracker: new Tracker(layout),
        startLimit: new StartLimit(),
        onMessage() {},
        onFault() {},
        onReplaced() {},
      },
      dispatcher as unknown as Dispatcher,
    );
    onTestFinished(() => this.pool.close(10_000));
  }

  /** As many threads as the pool has that take tasks, each with this many. */
  async withTasks(tasks: number): Promise<PoolThread[]> {
    const up = () => [...this.pool.all()].filter(({ takesTasks }) => takesTasks);
    const threads = await eventually("threads that take tasks", up, (some) => some.length === this.#threads);
    for (const thread of threads) thread.inFlight = tasks;
    return threads;
  }

  async hasEnded(thread: PoolThread): Promise<void> {
    await eventually("the end of a thread", () => this.gone.some(([other]) => other === thread));
  }

  /** Nobody but those that take tasks is left. */
  async isWhole(): Promise<void> {
    await eventually("the end of all others", () => this.pool.alive === this.#threads && this.pool.loaded().length === this.#threads);
    expect([...this.pool.all()].length).toBe(this.#threads);
  }
}

test("as many may be set aside at one time as the pool has threads; those that were ordered to end hold no place, and the oldest gives way", async () => {
  const rig = new Pool(2);
  const [a, b] = (await rig.withTasks(1)) as [PoolThread, PoolThread];
  for (const thread of [a, b]) rig.pool.setAside(thread);
  const [c, d] = (await rig.withTasks(1)) as [PoolThread, PoolThread];
  expect([a, b, c, d].map(({ killed }) => killed)).toEqual([false, false, false, false]);
  // In one turn: `a` was told to end, and has not yet.
  a.taskSettled();
  rig.pool.setAside(c);
  expect([a, b, c, d].map(({ killed }) => killed)).toEqual([true, false, false, false]);
  rig.pool.setAside(d);
  expect([a, b, c, d].map(({ killed }) => killed)).toEqual([true, true, false, false]);
  for (const thread of [a, b]) await rig.hasEnded(thread);
  await rig.withTasks(0);
  // What `b` still had is lost.
  expect(new Map(rig.gone.map(([thread, , tasks]) => [thread, tasks]))).toEqual(
    new Map([
      [a, 0],
      [b, 1],
    ]),
  );
});

test("one that is set aside again, as at each look, does not give way to itself", async () => {
  const rig = new Pool(1);
  const [aside] = (await rig.withTasks(1)) as [PoolThread];
  for (let look = 0; look < 3; look++) rig.pool.setAside(aside);
  await rig.withTasks(1);
  rig.pool.setAside(aside);
  expect([aside.killed, rig.gone]).toEqual([false, []]);
});

test("one that leaves for another reason is not set aside", async () => {
  const rig = new Pool(1);
  const [leaving] = (await rig.withTasks(1)) as [PoolThread];
  leaving.kill("killed");
  rig.pool.setAside(leaving);
  expect(leaving.isSetAside).toBe(false);
  await rig.hasEnded(leaving);
  expect(rig.gone).toEqual([[leaving, "killed", 1]]);
});

test("one that dies by itself meanwhile has been replaced already", async () => {
  const rig = new Pool(1);
  const [aside] = (await rig.withTasks(1)) as [PoolThread];
  rig.pool.setAside(aside);
  const [next] = (await rig.withTasks(1)) as [PoolThread];
  await aside.worker?.terminate();
  await rig.hasEnded(aside);
  expect(rig.gone).toEqual([[aside, "exit", 1]]);
  await rig.isWhole();
  expect(next.takesTasks).toBe(true);
});
