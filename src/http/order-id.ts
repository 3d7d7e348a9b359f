import { z } from "zod";

const MAX_LENGTH = 128;
// Nearly every id is visible ASCII, and then only `.` and `..` break a rule.
const PLAIN = /^[\x21-\x7e]+$/;
// No control or format characters, no lone surrogates, and no white space at either end. UTF-8 has no lone surrogates, so two different
// ids with one would become the same in storage. The pattern has no look-around: the OpenAPI document shows it, and not every client's regular
// expressions support look-around.
const SPELLING = /^[^\s\p{Cc}\p{Cf}\p{Cs}](?:[^\p{Cc}\p{Cf}\p{Cs}]*[^\s\p{Cc}\p{Cf}\p{Cs}])?$/u;
// URL parsers resolve these two path segments away, so no client could look such an order up.
const RESOLVED_AWAY = [".", ".."];

const ORDER_ID_RULE = `must be a string of 1 to ${MAX_LENGTH} characters in Unicode NFC, without control or format characters, without white space at either end, and not . or ..`;

/** The schema of an order's id: the rule of `isOrderId`. */
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
 * Whether a text may be an order's id. Two different ids that look the same to a human, or become the same in a client or a URL, would be two
 * orders; so each id has only one spelling.
 */
export function isOrderId(text: string): boolean {
  if (RESOLVED_AWAY.includes(text)) return false;
  if (text.length <= MAX_LENGTH && PLAIN.test(text)) return true;
  // A character is a code point; a string has at most as many code points as code units.
  if (text.length > MAX_LENGTH && [...text].length > MAX_LENGTH) return false;
  return SPELLING.test(text) && text === text.normalize("NFC");
}
