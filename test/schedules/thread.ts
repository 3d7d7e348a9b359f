import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { LayoutHandle } from "../../src/threads/layout.ts";
import { type Change, loadChanged, ROOT } from "./changed-sources.ts";
import { MAIN } from "./control-words.ts";
import { GatedAtomics } from "./gated-atomics.ts";
import type { Role, Stage } from "./role.ts";
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
let beat: (() => void) | undefined;
let beatsEveryMs = 0;

const STAND_INS = new URL("./stand-ins.ts", import.meta.url).href;
const REPLACED = ["piscina", "node:worker_threads", "node:os"];

loadChanged(changes);
registerHooks({
  resolve: (specifier, context, next) =>
    REPLACED.includes(specifier) && context.parentURL?.startsWith(`${ROOT}src/threads/`) === true
      ? { url: STAND_INS, shortCircuit: true }
      : next(specifier, context),
});

// Before anything that is tested is loaded. Immediates, intervals and clocks are those of the schedule.
gate.install();
globalThis.setImmediate = ((run: () => void) => void immediates.push(run)) as unknown as typeof setImmediate;
globalThis.setInterval = ((run: () => void, ms: number) => {
  beat = run;
  beatsEveryMs = ms;
  control.beatIn(thread, ms);
  return { unref() {} };
}) as unknown as typeof setInterval;
process.hrtime = Object.assign(
  (): [number, number] => {
    const ms = control.clockMs;
    control.note(thread, ms);
    return [Math.floor(ms / 1e3), (ms % 1e3) * 1e6];
  },
  { bigint: () => BigInt(control.clockMs) * 1_000_000n },
);
process.on("unhandledRejection", (error) => complain(error));
// A thread that serves listens for faults anew in each schedule, and writes what it has compiled.
process.on = () => process;
const builtin = process.getBuiltinModule;
process.getBuiltinModule = ((name: string) => (name === "node:module" ? {} : builtin(name))) as typeof process.getBuiltinModule;

const { makeRole } = (await import(thread === MAIN ? "./main-role.ts" : "./task-role.ts")) as { makeRole(stage: Stage): Role };
let layout: LayoutHandle | undefined;
if (thread !== MAIN) {
  parentPort?.postMessage("loaded");
  layout = await new Promise<LayoutHandle>((resolve) => parentPort?.once("message", resolve));
}
const role = makeRole({ control, gate, thread, layout, runImmediates });
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
    else if (event === "message") attempt(() => role.take(control.mail.take(thread)));
    else if (event === "timer") attempt(() => role.timer?.());
    else if (event === "beat") {
      control.beatIn(thread, beatsEveryMs);
      attempt(() => beat?.());
    } else attempt(() => role.exited?.(event.exit));
  }
}

function runImmediates(): void {
  const due = immediates;
  immediates = [];
  for (const run of due) attempt(run);
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
  if (!isUnwound(error)) control.ledger.accuse(`thread ${thread} threw ${error instanceof Error ? error.stack : error}`);
}
