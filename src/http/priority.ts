import { DEFAULT_PRIORITY } from "../threads/index.ts";

// By urgency: urgent, normal, background.
const PRIORITY_OF = [0, 0, 0, DEFAULT_PRIORITY, 2, 2, 2, 2];

/**
 * The priority of a `Priority` header (RFC 9218): 0 for `u=0` to `u=2`, 1 for `u=3` and without one, 2 for `u=4` to `u=7`. Unknown and
 * malformed members are ignored, and the last of several `u` counts, as in every structured-field dictionary.
 */
export function readPriority(header: string | string[] | undefined): number {
  if (header === undefined) return DEFAULT_PRIORITY;
  // A comma inside a quoted string separates no members. One that does not end goes to the end of the header: if it did not match, each of its
  // characters would be tried again, a quarter of a second for a header of 16 KB.
  const members = String(header)
    .replace(/"(?:[^"\\]|\\.)*(?:"|\\?$)/g, '""')
    .split(",");
  const last = members.findLast((member) => /^\s*u\s*(?:[=;]|$)/.test(member));
  const digit = /^\s*u=([0-7])\s*(?:;.*)?$/.exec(last ?? "")?.[1];
  return PRIORITY_OF[Number(digit ?? "3")] as number;
}
