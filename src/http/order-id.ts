import { z } from "zod";

const MAX_LENGTH = 128;
// Nearly every id is visible ASCII, and then only `.` and `..` break a rule.
const PLAIN = /^[\x21-\x7e]+$/;
// No control or format characters, no lone surrogates, and no white space at either end. UTF-8 has no lone surrogates, so two different
// ids with one would become the same in storage.
const SPELLING = /^[^\s\p{Cc}\p{Cf}\p{Cs}](?:[^\p{Cc}\p{Cf}\p{Cs}]*[^\s\p{Cc}\p{Cf}\p{Cs}])?$/u;
// The control and format characters of the first 65 536 code points, as the OpenAPI document spells them. Clients check ids with regular
// expressions of their own: Python has no \p{Cc}, .NET would take a range of surrogates for a rule against emoji, and many have no look-around.
const INVISIBLE =
  "\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2064\\u2066-\\u206f\\ufeff\\ufff9-\\ufffb";
const PUBLISHED_SPELLING = `^[^\\s${INVISIBLE}](?:[^${INVISIBLE}]*[^\\s${INVISIBLE}])?$`;
// URL parsers resolve these two path segments away, so no client could look such an order up.
const RESOLVED_AWAY = [".", ".."];

const ORDER_ID_RULE = `must be a string of 1 to ${MAX_LENGTH} characters in Unicode NFC, without control or format characters, without white space at either end, and not . or ..`;

/** The published pattern lets some ids pass that the server's rule, `isOrderId`, refuses. */
export const ORDER_ID = z
  .string(ORDER_ID_RULE)
  .refine(isOrderId, ORDER_ID_RULE)
  .meta({
    description: `The order's identity: 1 to ${MAX_LENGTH} characters in Unicode NFC, without control or format characters, without white space at either end, and not \`.\` or \`..\`.`,
    minLength: 1,
    maxLength: MAX_LENGTH,
    pattern: PUBLISHED_SPELLING,
    not: { enum: RESOLVED_AWAY },
  });

/** Each id has one spelling: two that look the same, or become the same in a client or a URL, would be two orders. */
export function isOrderId(text: string): boolean {
  if (RESOLVED_AWAY.includes(text)) return false;
  if (text.length <= MAX_LENGTH && PLAIN.test(text)) return true;
  // A character is a code point; a string has at most as many code points as code units.
  if (text.length > MAX_LENGTH && [...text].length > MAX_LENGTH) return false;
  return SPELLING.test(text) && text === text.normalize("NFC");
}
