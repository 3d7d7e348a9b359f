import { DEFAULT_URGENCY } from "../concurrency/urgency.ts";

/**
 * The urgency in a `Priority` header (RFC 9218), 0 (most) to 7; 3 where there is none. Never refuses: members that are unknown or
 * malformed are ignored, and of several `u` the last one counts, as in any dictionary of structured fields.
 */
export function readUrgency(header: string | string[] | undefined): number {
  if (header === undefined) return DEFAULT_URGENCY;
  // A comma within a string parts no members.
  const members = String(header)
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .split(",");
  const last = members.findLast((member) => /^\s*u\s*(?:[=;]|$)/.test(member));
  const digit = /^\s*u=([0-7])\s*(?:;.*)?$/.exec(last ?? "")?.[1];
  return digit === undefined ? DEFAULT_URGENCY : Number(digit);
}
