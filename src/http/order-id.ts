const MAX_LENGTH = 128;
// White space, which has no place at either end, is the one thing in ASCII that could be wrong here, but for `.` and `..`.
const PLAIN = /^[\x21-\x7e]+$/;
const INVISIBLE = /[\p{Cc}\p{Cf}]/u;
const SPACE_AT_AN_END = /^\s|\s$/u;

export const ORDER_ID_RULE = `must be a string of 1 to ${MAX_LENGTH} characters in Unicode NFC, without control or format characters, without white space at either end, and not . or ..`;

/**
 * Whether a text may be an order's id. Two ids that look the same, or that a client, a file system or a URL makes the same, would be
 * two orders here and one for a human; so there is one way to write each, and those that paths resolve away are none.
 */
export function isOrderId(text: string): boolean {
  // In a path these two stand for other paths, so nobody could ask for such an order.
  if (text === "." || text === "..") return false;
  if (text.length <= MAX_LENGTH && PLAIN.test(text)) return true;
  // Characters are counted as people see code points, of which a string has at most as many as code units.
  if (text === "" || (text.length > MAX_LENGTH && [...text].length > MAX_LENGTH)) return false;
  // A lone surrogate cannot be written as UTF-8, so two different ids would become one in storage and on the wire.
  return text.isWellFormed() && !INVISIBLE.test(text) && !SPACE_AT_AN_END.test(text) && text === text.normalize("NFC");
}
