import type { Request } from "express";

/** The number of a row in the path; undefined for what can be no row's. */
export function rowIdOf(request: Request): number | undefined {
  const text = String(request.params.id);
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}
