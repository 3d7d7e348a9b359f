import type { Change } from "./changed-sources.ts";

/** A fault that somebody could make in the protocol. */
export interface Mutant extends Change {
  readonly name: string;
  /** The scenario that finds it. */
  readonly foundBy: string;
}
