import { z } from "zod";
import { BadRequest } from "./answers.ts";

// After a restore numbers have fourteen digits and more.
const MAX_ATTEMPT = Number.MAX_SAFE_INTEGER;
const RULE = "must be the number of an attempt, 1 or more";

/** The parameter `before` of a look-up: text in the query, a number after parsing. */
export const BEFORE = z
  .string(RULE)
  .regex(/^[1-9]\d{0,15}$/, RULE)
  .transform(Number)
  .pipe(z.int().min(1).max(MAX_ATTEMPT));

/** Reads the parameter; undefined where it is absent. Throws `BadRequest`. */
export function readBefore(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const result = BEFORE.safeParse(value);
  if (!result.success) throw new BadRequest(`before: ${RULE}`);
  return result.data;
}
