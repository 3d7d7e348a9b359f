import type { LayoutHandle } from "../../src/threads/layout.ts";
import type { GatedAtomics } from "./gated-atomics.ts";
import type { SharedControl } from "./shared-control.ts";

/** What a thread of a scenario stands on. */
export interface Stage {
  readonly control: SharedControl;
  readonly gate: GatedAtomics;
  readonly thread: number;
  /** Undefined for the main thread at first, which makes it. */
  readonly layout: LayoutHandle | undefined;
  /** Comes to the check phase of the event loop at once. */
  runImmediates(): void;
}

/** What a thread of a scenario does. */
export interface Role {
  readonly layout: LayoutHandle;
  /** A schedule begins; what it does here comes before the switches that are explored. */
  begin(): void;
  take(message: string): void;
  /** The main thread hears that a thread has exited. */
  exited?(thread: number): void;
  /** The main thread's next timer fires. */
  timer?(): void;
}
