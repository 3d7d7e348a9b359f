import { z } from "zod";

const MAX_LENGTH = 128;
// White space, which has no place at either end, is the one thing in ASCII that could be wrong here, but for `.` and `..`.
const PLAIN = /^[\x21-\x7e]+$/;
// Without control and format characters and lone surrogates, which cannot be written as UTF-8, so that two different ids would
// become one in storage and on the wire; and without white space at either end. No look-around: not every client's regular
// expressions have it.
const SPELLING = /^[^\s\p{Cc}\p{Cf}\p{Cs}](?:[^\p{Cc}\p{Cf}\p{Cs}]*[^\s\p{Cc}\p{Cf}\p{Cs}])?$/u;
// In a path these two stand for other paths, so nobody could ask for such an order.
const RESOLVED_AWAY = [".", ".."];

const ORDER_ID_RULE = `must be a string of 1 to ${MAX_LENGTH} characters in Unicode NFC, without control or format characters, without white space at either end, and not . or ..`;

/** An order's id, as `isOrderId` has it. */
export const ORDER_ID = z
  .string(ORDER_ID_RULE)
  .refine(isOrderId, ORDER_ID_RULE)
  .meta({
    description: `The order's identity: 1 to ${MAX_LENGTH} characters in Unicode NFC, without control or format characters, without white space at either end, and not \`.\` or \`..\`.`,
    minLength: 1,
    maxLength: MAX_LENGTH,
    pattern: SPELLING.source,
    not: { enum: RESOLVED_AWAY },
  });

/**
 * Whether a text may be an order's id. Two ids that look the same, or that a client, a file system or a URL makes the same, would be
 * two orders here and one for a human; so there is one way to write each, and those that paths resolve away are none.
 */
export function isOrderId(text: string): boolean {
  if (RESOLVED_AWAY.includes(text)) return false;
  if (text.length <= MAX_LENGTH && PLAIN.test(text)) return true;
  // Characters are counted as people see code points, of which a string has at most as many as code units.
  if (text.length > MAX_LENGTH && [...text].length > MAX_LENGTH) return false;
  return SPELLING.test(text) && text === text.normalize("NFC");
}
