import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { LayoutHandle } from "../../src/threads/layout.ts";
import { type Change, loadChanged, ROOT } from "./changed-sources.ts";
import { MAIN } from "./control-words.ts";
import { GatedAtomics } from "./gated-atomics.ts";
import type { Role } from "./role.ts";
import { SharedControl } from "./shared-control.ts";
import { isUnwound } from "./unwound.ts";

/** What the controller gives a thread of a scenario. */
export interface ThreadData {
  readonly control: SharedArrayBuffer;
  readonly thread: number;
  readonly threads: number;
  readonly changes: readonly Change[];
}

const { control: buffer, thread, threads, changes } = workerData as ThreadData;
const control = new SharedControl(buffer, threads);
const gate = new GatedAtomics(control, thread);
const nextTurn = globalThis.setImmediate;
let immediates: (() => void)[] = [];

const SURROUNDINGS = new URL("./surroundings.ts", import.meta.url).href;
const REPLACED = ["node:worker_threads", "node:module", "../diagnosis/heap-snapshots.ts"];

loadChanged(changes);
registerHooks({
  resolve: (specifier, context, next) =>
    REPLACED.includes(specifier) && context.parentURL?.startsWith(`${ROOT}workers/`) === true
      ? { url: SURROUNDINGS, shortCircuit: true }
      : next(specifier, context),
});

// Before anything that is tested is loaded. Immediates and intervals are the modelled event loop's; no interval matters here.
gate.install();
globalThis.setImmediate = ((run: () => void) => void immediates.push(run)) as unknown as typeof setImmediate;
globalThis.setInterval = (() => ({ unref() {} })) as unknown as typeof setInterval;
// Time stands still, so that a schedule comes to the same state whenever it is tried.
process.hrtime = Object.assign(() => [1, 0] as [number, number], { bigint: () => 1_000_000_000n });
process.on("unhandledRejection", (error) => complain(error));

const { makeRole } = (await import(thread === MAIN ? "./main-role.ts" : "./step-role.ts")) as {
  makeRole(control: SharedControl, gate: GatedAtomics, thread: number, layout: LayoutHandle | undefined): Role;
};
let layout: LayoutHandle | undefined;
if (thread !== MAIN) {
  parentPort?.postMessage("loaded");
  layout = await new Promise<LayoutHandle>((resolve) => parentPort?.once("message", resolve));
}
const role = makeRole(control, gate, thread, layout);
gate.watch(role.layout.buffer);
if (thread === MAIN) parentPort?.postMessage(role.layout);

for (;;) {
  // Whatever the schedule before left in the queues has run out.
  await turn();
  control.park(thread);
  immediates = [];
  gate.reset();
  attempt(() => role.begin());
  for (;;) {
    await turn();
    if (immediates.length > 0) {
      const due = immediates;
      immediates = [];
      for (const run of due) {
        attempt(run);
        await turn();
      }
      continue;
    }
    const event = attempt(() => control.nextEvent(thread)) ?? "over";
    if (event === "over") break;
    if (event === "wake") gate.wake();
    else attempt(() => role.take(control.mail.take(thread)));
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => nextTurn(resolve));
}

function attempt<Result>(run: () => Result): Result | undefined {
  try {
    return run();
  } catch (error) {
    complain(error);
    return undefined;
  }
}

function complain(error: unknown): void {
  if (!isUnwound(error)) control.accuse(`thread ${thread} threw ${error instanceof Error ? error.stack : error}`);
}
