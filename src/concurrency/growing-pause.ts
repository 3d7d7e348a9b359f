/** How pauses between tries grow: doubled from `baseMs`, never above `capMs`. */
export interface Growth {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * The pause after so many failed tries (1 or more). Half of it is fixed, so that pauses surely grow, and half random, so
 * that what failed together does not come back together.
 */
export function growingPauseMs(failures: number, { baseMs, capMs }: Growth, random: () => number): number {
  const full = Math.min(capMs, baseMs * 2 ** (failures - 1));
  return Math.round(full * (0.5 + random() / 2));
}
