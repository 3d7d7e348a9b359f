import { createHash } from "node:crypto";
import { z } from "zod";
import type { IdempotencyKey } from "../orders/order-journal.ts";
import type { Order } from "../orders/step.ts";
import { STEPS, type StepName } from "../orders/steps.ts";
import { BadRequest } from "./answers.ts";

const KEPT_MS = 24 * 60 * 60 * 1000;
// As the first version has it. An order that says nothing of a step has the hash that it had before there was the step.
const STEPS_IN_EVERY_HASH = 3;
const RULE = "must be 1 to 255 visible ASCII characters";
// A key may stand in double quotes; two quotes with nothing between them are no key.
const SPELLING = /^(?!""$)(?:"[!-~]{1,255}"|[!-~]{1,255})$/;

/** The schema of the header, for documents. `readIdempotencyKey` uses the same pattern. */
export const IDEMPOTENCY_KEY = z.string().regex(SPELLING, RULE);

/** Undefined where the header is absent. The quotes of the IETF draft are not part of the key. Throws `BadRequest`. */
export function readIdempotencyKey(
  header: string | string[] | undefined,
  order: Order,
  client: string,
  nowMs: number,
): IdempotencyKey | undefined {
  if (header === undefined) return undefined;
  // Node joins a repeated header with a comma and a space, and the rule refuses the space.
  const text = String(header);
  if (!SPELLING.test(text)) throw new BadRequest(`Idempotency-Key: ${RULE}`);
  const key = text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
  return { client, key, bodyHash: hashOf(order), expiresMs: nowMs + KEPT_MS };
}

/** The hash covers the parsed content in one fixed order, so white space and the order of fields do not matter. */
function hashOf({ orderId, amount, simulation }: Order): string {
  const content = [orderId, amount, simulation?.failStep ?? null, timesOf(simulation?.delayMs), timesOf(simulation?.cpuMs)];
  return createHash("sha256").update(JSON.stringify(content)).digest("base64url");
}

function timesOf(ms: Partial<Record<StepName, number>> | undefined): readonly (number | null)[] {
  const times = STEPS.map((step) => ms?.[step] ?? null);
  while (times.length > STEPS_IN_EVERY_HASH && times.at(-1) === null) times.pop();
  return times;
}
