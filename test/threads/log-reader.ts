import { workerData } from "node:worker_threads";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { Canceled } from "../../src/threads/index.ts";
import { Layout } from "../../src/threads/layout.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { CancelWatch } from "../../src/threads/worker/cancel-watch.ts";
import { TaskContext } from "../../src/threads/worker/task-context.ts";
import { CAUSES } from "./causes.ts";
import { AWAKE, HOLD, LISTENING, type ReaderSetup, WOKEN } from "./log-reader-setup.ts";

// A thread with one task on every slot of the board, listening as a thread of the pool does, at full speed.
const setup = workerData as ReaderSetup;
const layout = new Layout(setup.layout);
const [heard, told] = [new Int32Array(setup.heard), new Int32Array(setup.told)];

const { waitAsync } = Atomics;
/** The real one, but it counts, and meets a bell that is rung between the look at it and the wait as often as the test wants. */
function countedWait(words: Int32Array<SharedArrayBuffer>, at: number, value: number): ReturnType<typeof waitAsync> {
  if (Atomics.exchange(told, HOLD, 0) === 1) Atomics.wait(words, at, value);
  const wait = waitAsync(words, at, value);
  if (wait.async) void wait.value.then(() => Atomics.add(told, WOKEN, 1));
  else Atomics.add(told, AWAKE, 1);
  return wait;
}
Atomics.waitAsync = countedWait as typeof waitAsync;

const [board, tracker] = [new CancelBoard(layout, CAUSES), new Tracker(layout)];
const row = tracker.claim(1);
const watch = new CancelWatch(board, row);
for (let slot = 0; slot < setup.layout.slots; slot++) {
  const context = new TaskContext(board, slot, 0);
  tracker.countStart(row);
  watch.add(context);
  context.signal.addEventListener("abort", () => {
    const reason: unknown = context.signal.reason;
    Atomics.store(heard, slot, Canceled.is(reason) ? 1 + (CAUSES as readonly string[]).indexOf(reason.causedBy) : -1);
  });
}
void watch.listen();
// The bell alone keeps no thread alive; in a pool its ports do.
setInterval(() => {}, 1 << 30);
Atomics.store(told, LISTENING, 1);
Atomics.notify(told, LISTENING);
