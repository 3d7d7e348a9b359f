import { isUtf8 } from "node:buffer";
import { BadRequest } from "./answers.ts";

const RULE = "body: must be one JSON object and nothing after it";

/** The object that a body is in JSON. A number with a fraction that a double would round away is NaN in it. Throws `BadRequest`. */
export function readJsonObject(body: Buffer): object {
  if (body.length === 0) throw new BadRequest(`${RULE}, but it is empty`);
  if (!isUtf8(body)) throw new BadRequest("body: must be JSON in UTF-8");
  const value = parse(body.toString("utf8"));
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new BadRequest(RULE);
  return value;
}

function parse(text: string): unknown {
  try {
    // Parsing rounds 9007199254740990.9 to a whole number. Only text with a fraction or an exponent can fool it
    // like that, so only then is every number compared with its source.
    return /\d[.eE]/.test(text) ? JSON.parse(text, exactNumbers) : JSON.parse(text);
  } catch {
    throw new BadRequest(RULE);
  }
}

function exactNumbers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || context?.source === undefined) return value;
  // NaN fails every rule for a number, so the message names the field and its rule.
  return Number.isInteger(value) && !isWhole(context.source) ? Number.NaN : value;
}

/** Whether a JSON number, read as the decimal that is written there, has no fraction: 1.0 and 1e3 have none. */
function isWhole(source: string): boolean {
  const [mantissa = "", exponent = "0"] = source.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = whole + fraction;
  // Looked for at the beginning of a row of zeros only: from each of ten thousand zeros it would take half a second.
  const significant = digits.replace(/(?<!0)0+$/, "");
  if (significant === "" || significant === "-") return true;
  return Number(exponent) - fraction.length + (digits.length - significant.length) >= 0;
}
