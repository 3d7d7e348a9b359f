import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Threads } from "../../../src/threads/index.ts";
import { eventually } from "../../support/eventually.ts";
import { Opened, type OpenOptions } from "./opened.ts";
import type { tasks } from "./plain-tasks.ts";

type Tasks = typeof tasks;

/** The file that tasks read in native calls: a call lasts until `end`. Dispose of it only when the calls have ended. */
class NativeCall implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "native-call-"));
  readonly fifo = join(this.#directory, "fifo");

  constructor() {
    execFileSync("mkfifo", [this.fifo]);
  }

  /** Resolves when no thread is left. */
  async end(threads: Pick<Threads, "alive">): Promise<void> {
    await eventually("the threads in native calls end", () => {
      try {
        closeSync(openSync(this.fifo, constants.O_WRONLY | constants.O_NONBLOCK));
      } catch (error) {
        // Nobody reads just now.
        if ((error as NodeJS.ErrnoException).code !== "ENXIO") throw error;
      }
      return threads.alive === 0;
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}

// Nothing here takes any time but the watch's: whoever waited for a native call would wait for ever, for it ends after everything else.
describe.skipIf(process.platform === "win32").concurrent("in a native call", () => {
  /** Runs `act` with threads in native calls, which end only after it. */
  async function withNativeCalls(options: Partial<OpenOptions>, act: (opened: Opened<Tasks>) => Promise<void>): Promise<void> {
    using call = new NativeCall();
    const opened = await Opened.open<Tasks>({ ...options, file: "./plain-tasks.ts", graceMs: 20, settings: { fifo: call.fifo } });
    try {
      await act(opened);
    } finally {
      await opened.threads.close();
      await call.end(opened.threads);
    }
  }

  /** The rows of the threads that serve, without ids and times. */
  const serving = (threads: Pick<Threads, "statistics">) => threads.statistics().threads.map(({ pool, running }) => ({ pool, running }));

  test("one thread: those on it settle, the next tasks run on another one, close ends, and `alive` says what lives", async () => {
    let after = 0;
    let seen: Opened<Tasks> | undefined;
    await withNativeCalls({}, async (opened) => {
      seen = opened;
      const { threads, counters } = opened;
      const [began = 0, waiting = 0, gate = 0] = opened.take(3);
      after = counters.take();
      const [canceled, neighbors, queued] = [threads.group(), threads.group(), threads.group()];
      const neighbor = neighbors.run("waits", { began: waiting, gate });
      await counters.reached(waiting);
      const stuck = canceled.run("calls", { began, after });
      await counters.reached(began);
      const behind = queued.run("reads", began);
      canceled.cancel("superseded");
      expect(await stuck.outcome).toMatchObject({ status: "canceled", cause: "superseded", started: true, stopped: false });
      // Not canceled, and was on the thread.
      expect(await neighbor.outcome).toMatchObject({ status: "lost", started: true });
      // Had been sent there, and never arrived: loses nothing.
      expect(await behind).toBe(1);
      for (const group of [canceled, neighbors, queued]) await group.join();
      opened.expectIdle();
      expect(["grace", "heartbeat"]).toContain(opened.replaced[0]);
      expect([opened.replaced.length, threads.alive, serving(threads)]).toEqual([1, 2, [{ pool: "shared", running: 0 }]]);
      const before = threads.statistics().started;
      await threads.close();
      // The call is under way all the same, and its end will change no counter.
      expect([threads.alive, threads.statistics().started, counters.read(after)]).toEqual([1, before, 0]);
    });
    expect(seen?.threads.alive).toBe(0);
    expect(seen?.counters.read(after)).toBe(0);
    seen?.expectIdle();
  });

  test("every thread of both kinds: each is replaced, and one that comes to it again is replaced again", async () => {
    await withNativeCalls({ exclusive: 2, exclusiveOnDemand: false }, async (opened) => {
      const { threads, counters } = opened;
      const [began = 0, after = 0] = opened.take(2);
      for (const round of [1, 2]) {
        const groups = Array.from({ length: 3 }, () => threads.group());
        const calls = groups.map((group, n) => group.run("calls", { began, after }, { on: n === 0 ? "shared" : "exclusive" }));
        await counters.reached(began, 3 * round);
        for (const group of groups) group.cancel("superseded");
        // The shared one is lost where it stood still for two seconds before anybody came to cancel it.
        for (const { outcome } of calls)
          expect(await outcome).toMatchObject({ status: expect.stringMatching(/canceled|lost/), started: true });
        const next = threads.group();
        const all = [next.run("reads", began), next.run("reads", began, { on: "exclusive" })];
        expect(await Promise.all(all)).toEqual([3 * round, 3 * round]);
        for (const group of [...groups, next]) await group.join();
        await eventually("all were replaced", () => opened.replaced.length === 3 * round);
        await opened.up(3);
        opened.expectIdle();
      }
      expect([threads.alive, counters.read(after)]).toEqual([9, 0]);
    });
  });

  test("when the threads are closed: everything settles, and close waits for no call", async () => {
    await withNativeCalls({ exclusive: 1, exclusiveOnDemand: false }, async (opened) => {
      const { threads, counters } = opened;
      const [began = 0, after = 0, waiting = 0, gate = 0] = opened.take(4);
      const group = threads.group();
      const all = [
        group.run("waits", { began: waiting, gate }),
        group.run("calls", { began, after }),
        group.run("calls", { began, after }, { on: "exclusive" }),
      ];
      await counters.reached(began, 2);
      await threads.close();
      expect(all.map(({ settled }) => settled)).toEqual([true, true, true]);
      const { outcomes, cause } = await group.join();
      expect(cause).toBe("closed");
      expect(outcomes.slice(1)).toMatchObject([1, 2].map(() => ({ status: "canceled", cause: "closed", started: true, stopped: false })));
      expect([threads.alive, threads.statistics().running, counters.read(after)]).toEqual([2, 0, 0]);
    });
  });
});
