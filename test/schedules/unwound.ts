/** Thrown into a thread of a schedule that is over, or that died in it: unwinds whatever it was doing. */
export class Unwound extends Error {}

export const UNWOUND = new Unwound("the schedule is over for this thread");

export function isUnwound(error: unknown): boolean {
  return error instanceof Unwound;
}
