import { DEFAULT_URGENCY } from "../threads/index.ts";

/**
 * The urgency in a `Priority` header (RFC 9218), 0 (most urgent) to 7; 3 where the header has none. Never throws: unknown and malformed
 * members are ignored, and the last of several `u` counts, as in every structured-field dictionary.
 */
export function readUrgency(header: string | string[] | undefined): number {
  if (header === undefined) return DEFAULT_URGENCY;
  // A comma inside a quoted string separates no members.
  const members = String(header)
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .split(",");
  const last = members.findLast((member) => /^\s*u\s*(?:[=;]|$)/.test(member));
  const digit = /^\s*u=([0-7])\s*(?:;.*)?$/.exec(last ?? "")?.[1];
  return digit === undefined ? DEFAULT_URGENCY : Number(digit);
}
