/**
 * One event of Chrome's trace-event format, as far as it is used here. `ts` and `dur` are whole microseconds on the clock of
 * `monotonicMs`: Perfetto multiplies them by 1000 and cuts the rest off, so slices with fractions that only touch could overlap.
 */
export type TraceEvent =
  /** Names a track (`pid`, `tid`) or says where it stands. */
  | (Common & { readonly ph: "M"; readonly args: Readonly<Record<string, string | number>> })
  /** A slice on a thread's track. Two of one track must be nested or apart. */
  | (Timed & { readonly ph: "X"; readonly dur: number; readonly cname?: string })
  /** Begin and end of a slice that may overlap others; they belong together by `cat`, `name` and `id`. */
  | (Timed & { readonly ph: "b" | "e"; readonly id: string })
  /** A moment: of a thread's track, or of the whole trace. */
  | (Timed & { readonly ph: "i"; readonly s: "t" | "g" })
  /** Begin of an arrow, bound to the slice that is open on its track at that moment. */
  | (Timed & { readonly ph: "s"; readonly id: string })
  /** Its end, bound to the slice around it (`bp`), not to the next one. */
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
