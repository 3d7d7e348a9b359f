/** What a journal says of rows that wait to be tried. */
export interface DuePage<Item> {
  /** Due now, longest due first; at most as many as were asked for. */
  readonly items: readonly Item[];
  /** When the earliest row that is not due yet will be (wall clock, milliseconds since 1970); absent where there is none. */
  readonly nextDueMs?: number;
}
