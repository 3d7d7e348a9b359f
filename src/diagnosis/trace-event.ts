/**
 * One event of Chrome's trace-event format, as far as it is used here. `ts` and `dur` are whole microseconds on the clock of `monotonicMs`:
 * Perfetto truncates fractions, so adjacent slices could overlap.
 */
export type TraceEvent =
  /** Names a track (`pid`, `tid`) or sets its position. */
  | (Common & { readonly ph: "M"; readonly args: Readonly<Record<string, string | number>> })
  /** A slice on a thread's track. Two slices of one track must be nested or disjoint. */
  | (Timed & { readonly ph: "X"; readonly dur: number })
  /** The begin and the end of a slice that may overlap others. `cat`, `name` and `id` connect them. */
  | (Timed & { readonly ph: "b" | "e"; readonly id: string })
  /** A moment of a thread's track or of the whole trace. */
  | (Timed & { readonly ph: "i"; readonly s: "t" | "g" })
  /** The begin of an arrow, bound to the slice that is open on its track at that moment. */
  | (Timed & { readonly ph: "s"; readonly id: string })
  /** The end of an arrow. `bp` binds it to the slice around it, not to the next one. */
  | (Timed & { readonly ph: "f"; readonly id: string; readonly bp: "e" });

interface Common {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
}

interface Timed extends Common {
  readonly cat: string;
  readonly ts: number;
  readonly args?: Readonly<Record<string, unknown>>;
}
