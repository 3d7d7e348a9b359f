import { workerData } from "node:worker_threads";
import { randomFrom } from "../../load/stand-in/random.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout, type LayoutHandle } from "../../src/threads/layout.ts";
import { CAUSES } from "./causes.ts";

/** What the test gives this thread. */
export interface WriterSetup {
  readonly layout: LayoutHandle;
  /** This thread cancels the slots `first`, `first + step` and so on. */
  readonly first: number;
  readonly step: number;
  readonly seed: number;
  /** Two words: how many writers are up, and 1 once they may begin. */
  readonly gate: SharedArrayBuffer;
}

// One of several threads that cancel at the same time, as threads whose tasks fail do: in bursts with short pauses.
const { layout: handle, first, step, seed, gate } = workerData as WriterSetup;
const board = new CancelBoard(new Layout(handle), CAUSES);
const random = randomFrom(seed + first);
const words = new Int32Array(gate);
Atomics.add(words, 0, 1);
Atomics.notify(words, 0);
Atomics.wait(words, 1, 0);
for (let slot = first; slot < handle.slots; slot += step) {
  board.cancel(slot, 0, CAUSES[slot % CAUSES.length] ?? "closed");
  if (random() < 0.9) continue;
  const until = performance.now() + random() * 0.05;
  while (performance.now() < until);
}
