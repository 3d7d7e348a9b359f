import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { CancelScope } from "../../src/concurrency/cancel-scope.ts";
import { heapSnapshotOf } from "../../src/diagnosis/heap-snapshot.ts";
import { ThreadInspector } from "../../src/diagnosis/thread-inspector.ts";
import { PoolThread } from "../../src/threads/pool-thread.ts";
import { eventually } from "../support/eventually.ts";
import { Fixture } from "./fixture.ts";

test("a thread that ends while its snapshot is read ends the snapshot, not the process", async () => {
  await using fixture = await Fixture.start({ threads: 1 });
  const inspector = new ThreadInspector(fixture.runtime);
  const [{ id } = { id: -1 }] = fixture.runtime.threads();
  const pieces = inspector.heapSnapshot(id);
  expect((await pieces.next()).value.length).toBeGreaterThan(0);
  expect(fixture.runtime.killThread()).toBe(id);
  await expect(text(pieces)).rejects.toThrow(`thread ${id} has ended meanwhile`);
  await eventually("its end", () => fixture.reasons().length > 0);
  expect(fixture.reasons()).toEqual(["chaos"]);
});

test("a thread that ends before it hears of it says so at once", async () => {
  await using fixture = await Fixture.start({ cpuThreads: 1 });
  const inspector = new ThreadInspector(fixture.runtime);
  const step = await fixture.running("spin", { computes: true });
  const { id = -1 } = fixture.runtime.threads().find(({ pool }) => pool === "exclusive") ?? {};
  const first = inspector.heapSnapshot(id).next();
  expect(fixture.runtime.killThread()).toBe(id);
  await expect(first).rejects.toThrow(`thread ${id} has ended meanwhile`);
  expect((await step.outcome).status).toBe("lost");
});

test("steps of a thread that stands still are canceled late, and it is not replaced for that", async () => {
  // Shorter than it stands still, and long enough for a thread of a busy machine to be heard of afterwards.
  await using fixture = await Fixture.start({ threads: 1, cancelGraceMs: 100 });
  const inspector = new ThreadInspector(fixture.runtime);
  const [{ id } = { id: -1 }] = fixture.runtime.threads();
  for (let n = 0; n < 2; n++) {
    const scope = new CancelScope();
    const step = await fixture.running("wait", { scope });
    const pieces = inspector.heapSnapshot(id);
    const first = pieces.next();
    scope.cancel("deadline");
    // While it stands still this one has no thread.
    const late = fixture.lone("succeed");
    expect((await first).done).toBe(false);
    expect((await step.outcome).status).toBe("canceled");
    expect((await late.outcome).status).toBe("ok");
    // Whoever goes away in the midst of it leaves the thread as it was.
    await pieces.return(undefined);
  }
  expect(fixture.reasons()).toEqual([]);
  fixture.expectIdle();
});

test("steps go to other threads while one stands still", async () => {
  await using fixture = await Fixture.start({ threads: 2 });
  const inspector = new ThreadInspector(fixture.runtime);
  // Of two that are idle it is this one that a step goes to.
  const succeed = fixture.script("succeed");
  const { threadId: still = -1 } = await fixture.lone(succeed).ended;
  const others = new Set<number | undefined>();
  // A step that is sent just before waits with its thread, so one snapshot may not be enough to see it.
  for (let n = 1; others.size === 0 && n <= 20; n++) {
    const pieces = inspector.heapSnapshot(still);
    let isTaken = false;
    const first = pieces.next().finally(() => (isTaken = true));
    await pause(n);
    while (!isTaken) {
      const { threadId } = await fixture.lone(succeed).ended;
      if (threadId !== still) others.add(threadId);
    }
    expect((await first).done).toBe(false);
    await pieces.return(undefined);
  }
  expect(others.size).toBe(1);
  expect((await fixture.lone(succeed).ended).threadId).toBe(still);
});

const BUSY = `
  const { parentPort, workerData } = require("node:worker_threads");
  process.on("workerMessage", ({ state }) => setImmediate(() => parentPort.postMessage(new Int32Array(state)[0])));
  setInterval(() => {}, 1000);
  Atomics.wait(new Int32Array(workerData), 0, 0);`;

test("a thread that takes no message is given up, and takes no snapshot when it does at last", async () => {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(BUSY, { eval: true, workerData: gate.buffer });
  try {
    await new Promise((resolve) => worker.once("online", resolve));
    const thread = new PoolThread(worker);
    const seen = new Promise((resolve) => worker.once("message", resolve));
    const first = heapSnapshotOf(thread, () => {}, 20).next();
    await expect(first).rejects.toMatchObject({ reason: "busy", message: `thread ${thread.id} computes and takes no message` });
    expect(thread.snapshot).toBeUndefined();
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    const WITHDRAWN = 3;
    expect(await seen).toBe(WITHDRAWN);
  } finally {
    await worker.terminate();
  }
});
