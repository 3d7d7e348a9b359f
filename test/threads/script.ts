import type { StepErrorKind } from "../../src/orders/error-kind.ts";
import { perStep, STEP_TABLE, type StepName } from "../../src/orders/steps.ts";

/** What a step of `steps.ts` does when it runs. Numbers called counters are those of `SharedCounters`. */
export interface Script {
  readonly do: ScriptName;
  /** Counter that counts the starts of this step. */
  readonly runs: number;
  /** Counter that counts its ends, the last thing a step does. One that dies with its thread does not get there. */
  readonly ends: number;
  /** Counter that it waits at until it is 1 or more; each `ScriptName` says what it means. */
  readonly gate: number;
  /** A time, or however else the script measures. */
  readonly ms?: number;
  /** Its provider may have acted from its start on. */
  readonly calls?: boolean;
}

export type ScriptName =
  | "succeed"
  /** Is no async function: returns nothing, at once. */
  | "return_nothing"
  /** Waits at the gate, canceled by its signal, then succeeds or fails. */
  | "wait"
  | "wait_then_fail"
  /** Waits at the gate whatever happens, then returns as if nothing had. */
  | "wait_ignoring_cancel"
  /** Holds the whole thread at the gate, in `Atomics.wait`. */
  | "hold_thread"
  | "sleep"
  /** A request to the server of the settings, which never answers. */
  | "fetch"
  /** Computes with checkpoints until the gate opens. */
  | "compute"
  /** Computes with checkpoints for `ms`. */
  | "compute_ms"
  /** Computes for ever and looks at nothing. */
  | "spin"
  /** Awaits all the time, but never asks whether it was canceled. */
  | "ignore_cancel"
  | "throw_in_step"
  | "throw_odd_value"
  | "exit"
  /** Waits at the gate, then ends the thread. */
  | "wait_then_exit"
  /** Writes what is left on the thread: timers into the gate, step contexts that were not freed into `ms`. */
  | "heap_check"
  /** Writes how many rows of the tracker are taken into the gate. */
  | "count_rows";

/** An order's scripts by step. Travels as the order's id, the one field of a step's input that is free text. */
export type Plan = Readonly<Partial<Record<StepName, Script>>>;

export const FAILURE: Readonly<Record<StepName, StepErrorKind>> = perStep((step) => STEP_TABLE[step].simulated.failsWith);

/** How a thread of `steps.ts` starts; indexed by how many have started before. Missing means: well. */
export type StartFault = "exit" | "throw" | "exit_before_ready" | "exit_after_ready" | "wait_at_gate" | undefined;

/** The worker file's settings. */
export interface StepSettings {
  readonly counters: SharedArrayBuffer;
  /** Where "fetch" goes. */
  readonly url: string;
  /** Counter that counts the threads that have begun to start. */
  readonly starts: number;
  /** Counter that "wait_at_gate" waits at, the whole thread blocked. */
  readonly startGate: number;
  readonly startFaults: readonly StartFault[];
}
