import { z } from "zod";
import { BadRequest } from "../http/answers.ts";
import type { Cursor, Page } from "../orders/operator-journal.ts";

const MAX_LIMIT = 500;
const DEFAULT_LIMIT = 50;
const LIMIT_RULE = `must be a whole number from 1 to ${MAX_LIMIT}`;
const CURSOR_RULE = "must be the next_cursor of a page of the same list";

/** The parameters of every list. */
export const PAGE = {
  limit: z
    .string(LIMIT_RULE)
    .regex(/^[1-9]\d{0,2}$/, LIMIT_RULE)
    .transform(Number)
    .refine((limit) => limit <= MAX_LIMIT, LIMIT_RULE)
    .default(DEFAULT_LIMIT),
  cursor: z.string(CURSOR_RULE).optional(),
};

/** Reads a cursor that `pageJson` wrote for a list of that name. Throws `BadRequest` for any other. */
export function readCursor(list: string, text: string | undefined): Cursor | undefined {
  if (text === undefined) return undefined;
  try {
    const [name, ...cursor] = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as unknown[];
    if (name === list && cursor.every(isPart)) return cursor;
  } catch {
    // Neither JSON nor a list: refused below.
  }
  throw new BadRequest(`cursor: ${CURSOR_RULE}`);
}

function isPart(part: unknown): part is number | string {
  return typeof part === "number" || typeof part === "string";
}

/** A page: its items under `name`, and `next_cursor` unless it is the last. `list`: the list and its filters, for the cursor. */
export function pageJson<Item>(name: string, list: string, page: Page<Item>, show: (item: Item) => object): string {
  return JSON.stringify(pageFields(name, list, page, show));
}

/** The same as fields, for an answer that has others. */
export function pageFields<Item>(name: string, list: string, { items, next }: Page<Item>, show: (item: Item) => object): object {
  const cursor = next === undefined ? undefined : Buffer.from(JSON.stringify([list, ...next])).toString("base64url");
  return { [name]: items.map(show), ...(cursor !== undefined && { next_cursor: cursor }) };
}
