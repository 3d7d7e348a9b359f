import { BadRequest } from "../../src/http/answers.ts";
import { readOrder } from "../../src/http/order-body.ts";

export const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;

export const read = (body: string | Uint8Array) => readOrder(Buffer.from(body as string));
/** An order whose fields are given as JSON text; `undefined` takes a field out. */
export const withFields = (fields: Readonly<Record<string, string | undefined>>) => {
  const all = Object.entries({ order_id: '"a"', amount: "1", ...fields }).filter(([, text]) => text !== undefined);
  return `{${all.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
};
export const messageFor = (body: string | Uint8Array): string => {
  try {
    read(body);
  } catch (error) {
    if (error instanceof BadRequest) return error.message;
    throw error;
  }
  throw new Error(`was taken: ${String(body).slice(0, 200)}`);
};
