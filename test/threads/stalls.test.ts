import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Fixture } from "./fixture.ts";
import { canceled, OK } from "./recovery.ts";

// No busy machine takes as long to wake a thread.
const GRACE_MS = 250;

describe("a canceled step", () => {
  test("that stops within the grace costs nothing, however long it took before", async () => {
    await using fixture = await Fixture.start({ shared: 1, graceMs: GRACE_MS });
    for (let n = 0; n < 3; n++) {
      const step = await fixture.running("sleep");
      await pause(GRACE_MS);
      step.scope.cancel("client_disconnected");
      expect(await step.outcome).toEqual(canceled("none"));
      fixture.expectIdle();
    }
    await pause(2 * GRACE_MS);
    expect(fixture.replacements).toEqual([]);
  });

  // Until just past the end of the grace, and well past it.
  test.each([GRACE_MS + 2, 1.5 * GRACE_MS])("is not given up for a stall of the main thread of %i ms", async (stallMs) => {
    await using fixture = await Fixture.start({ shared: 1, graceMs: GRACE_MS });
    const bystander = await fixture.running("wait");
    for (let n = 0; n < 3; n++) {
      const step = await fixture.running("sleep");
      // From here the timers come next; from where the step's start was heard of, what it says would.
      await turn();
      const end = performance.now() + stallMs;
      step.scope.cancel("client_disconnected");
      // It stops in time, but nobody is there to hear of it.
      fixture.counters.block(step.script.ends);
      while (performance.now() < end);
      expect(await step.outcome).toEqual(canceled("none"));
    }
    fixture.open(bystander);
    expect(await bystander.outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("whose thread got its processor back only when the main thread did has the grace once more", async () => {
    await using fixture = await Fixture.start({ shared: 1, graceMs: GRACE_MS });
    for (let n = 0; n < 3; n++) {
      const step = await fixture.running("sleep");
      const holder = await fixture.running("hold_thread");
      step.scope.cancel("client_disconnected");
      const end = performance.now() + 2 * GRACE_MS;
      while (performance.now() < end);
      fixture.open(holder);
      expect(await step.outcome).toEqual(canceled("none"));
      expect(await holder.outcome).toEqual(OK);
    }
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });

  test("behind one that computes on its thread: its order does not wait, and the other ends as if nothing had been", async () => {
    await using fixture = await Fixture.start({ shared: 1, graceMs: GRACE_MS });
    const step = await fixture.running("sleep");
    // Holds the event loop for more than the grace, and for less than a thread may stand still.
    const busy = await fixture.running(fixture.script("compute_ms", { ms: 4 * GRACE_MS }));
    step.scope.cancel("client_disconnected");
    expect(await step.outcome).toEqual(canceled());
    expect(fixture.counters.read(busy.script.ends)).toBe(0);
    expect(await busy.outcome).toEqual(OK);
    // Then its thread came to it: it has stopped after all, and is counted once.
    await fixture.counters.reached(step.script.ends);
    expect(await fixture.lone("succeed").outcome).toEqual(OK);
    fixture.expectIdle();
    expect(fixture.replacements).toEqual([]);
  });
});

// Windows has no such signals.
test.skipIf(process.platform === "win32")(
  "a stop of the whole process in the middle of a cancel is not held against its threads",
  async () => {
    const child = spawn(process.execPath, [fileURLToPath(new URL("./stopped-process.ts", import.meta.url))]);
    const lines: string[] = [];
    let wakeAtMs = Number.POSITIVE_INFINITY;
    createInterface(child.stdout).on("line", (line) => {
      const [, stopMs] = /^stopping for (\d+)$/.exec(line) ?? [];
      if (stopMs === undefined) lines.push(line);
      else wakeAtMs = performance.now() + Number(stopMs);
    });
    createInterface(child.stderr).on("line", (line) => lines.push(line));
    // Again and again, as a first signal might come before the stop.
    const wakeUp = setInterval(() => performance.now() >= wakeAtMs && child.kill("SIGCONT"), 20);
    try {
      const [code] = await once(child, "close");
      expect({ code, lines }).toEqual({ code: 0, lines: ["stopped 5 times, stopped 5 steps, replaced 0 threads"] });
    } finally {
      clearInterval(wakeUp);
      child.kill("SIGKILL");
    }
  },
);
