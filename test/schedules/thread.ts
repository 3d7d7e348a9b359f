import { parentPort, workerData } from "node:worker_threads";
import type { LayoutHandle } from "../../src/threads/layout.ts";
import { type Change, loadVersions, urlOf } from "./changed-sources.ts";
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
  readonly versions: readonly (readonly Change[])[];
}

const { control: buffer, thread, threads, versions } = workerData as ThreadData;
const control = new SharedControl(buffer, threads);
const gate = new GatedAtomics(control, thread);
const nextTurn = globalThis.setImmediate;
let immediates: (() => void)[] = [];
let beat: (() => void) | undefined;
let beatsEveryMs = 0;

loadVersions(versions, new URL("./stand-ins.ts", import.meta.url).href, ["piscina", "node:worker_threads", "node:os"]);

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

let version = 0;
let layout: LayoutHandle | undefined;
if (thread !== MAIN) layout = await new Promise<LayoutHandle>((resolve) => parentPort?.once("message", resolve));
let role = await load();
if (thread === MAIN) parentPort?.postMessage(role.layout);

for (;;) {
  // Whatever the schedule before left in the queues has run out.
  await turn();
  control.park(thread);
  if (control.version !== version) {
    version = control.version;
    layout = role.layout;
    role = await load();
    continue;
  }
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

async function load(): Promise<Role> {
  const file = thread === MAIN ? "./main-role.ts" : "./task-role.ts";
  const { makeRole } = (await import(urlOf(file, version))) as { makeRole(stage: Stage): Role };
  gate.watch(undefined);
  const made = makeRole({ control, gate, thread, layout, runImmediates });
  gate.watch(made.layout.buffer);
  return made;
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
