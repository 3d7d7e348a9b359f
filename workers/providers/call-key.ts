import type { StepName } from "../../src/orders/steps.ts";

const PLAIN = /^[!-$&-~]*$/;

/**
 * The `Idempotency-Key` of a provider call: what is not visible ASCII in the id, and `%` itself, is percent-encoded. Step and attempt hold
 * no colon, so read from its end it has only one meaning.
 */
export function callKey(orderId: string, attempt: number, step: StepName): string {
  return `${encoded(orderId)}:${attempt}:${step}`;
}

/** The key of the call that compensates. No other call's key ends like this, because no step is named `undo`. */
export function compensationKey(orderId: string, attempt: number, step: StepName): string {
  return `${callKey(orderId, attempt, step)}:undo`;
}

function encoded(orderId: string): string {
  if (PLAIN.test(orderId)) return orderId;
  let key = "";
  for (const character of orderId) {
    // "%" too: otherwise the ids "é" and "%C3%A9" would make one key, and the second order would never be charged.
    if (PLAIN.test(character)) key += character;
    else for (const byte of bytesOf(character)) key += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return key;
}

function bytesOf(character: string): Iterable<number> {
  const code = character.codePointAt(0) as number;
  const isLoneSurrogate = code >= 0xd800 && code <= 0xdfff;
  // UTF-8 proper turns every lone surrogate into the same three bytes, so ids that differ in one would make one key.
  return isLoneSurrogate ? [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)] : Buffer.from(character);
}
