import { workerData } from "node:worker_threads";
import { CANCEL_CAUSES } from "../../src/orders/cancel-cause.ts";
import { Canceled } from "../../src/threads/index.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Layout, type LayoutHandle } from "../../src/threads/layout.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { CancelWatch } from "../../workers/runtime/cancel-watch.ts";
import { StepContext } from "../../workers/steps/step-context.ts";

/** What the test gives this thread. */
export interface ReaderSetup {
  readonly layout: LayoutHandle;
  /** One word a slot: 1 + index of the cause of which the step of this slot was notified, 0 while there is none. */
  readonly notified: SharedArrayBuffer;
  /** One word: 1 when this thread listens. */
  readonly listening: SharedArrayBuffer;
}

// A thread with one step on every slot of the board, listening as a thread of the pool does, at full speed.
const setup = workerData as ReaderSetup;
const layout = new Layout(setup.layout);
const notified = new Int32Array(setup.notified);
const [board, tracker] = [new CancelBoard(layout), new Tracker(layout)];
const row = tracker.claim(1);
const watch = new CancelWatch(board, row);
for (let slot = 0; slot < setup.layout.slots; slot++) {
  const context = new StepContext({ board, tracker, row }, slot, 0);
  tracker.countStart(row);
  watch.add(context);
  context.signal.addEventListener("abort", () => {
    const reason: unknown = context.signal.reason;
    Atomics.store(notified, slot, reason instanceof Canceled ? 1 + CANCEL_CAUSES.indexOf(reason.causedBy) : -1);
  });
}
void watch.listen();
// The bell alone keeps no thread alive; in a pool its ports do.
setInterval(() => {}, 1 << 30);
Atomics.store(new Int32Array(setup.listening), 0, 1);
Atomics.notify(new Int32Array(setup.listening), 0);
