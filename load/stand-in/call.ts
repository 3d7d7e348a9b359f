import type { IncomingHttpHeaders } from "node:http";
import { STEP_TABLE, STEPS, type StepName } from "../../src/orders/steps.ts";

export type Action = "perform" | "compensate";

/** One request as it reached the stand-in. */
export interface Call {
  readonly step: StepName;
  readonly action: Action;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Its `Idempotency-Key`. */
  readonly key: string;
  readonly body: CallBody;
  /** 1 for the first request with this key. */
  readonly nth: number;
}

export interface CallBody {
  readonly order_id: string;
  readonly amount?: number;
  /** Compensations only: the key of the call to be compensated. */
  readonly undoes?: string;
}

const ENDPOINTS: Readonly<Record<string, { step: StepName; action: Action; fields: readonly string[] }>> = Object.fromEntries(
  STEPS.flatMap((step) =>
    (["perform", "compensate"] as const).map((action) => {
      const { path, hasAmount } = STEP_TABLE[step][action];
      return [
        path,
        { step, action, fields: ["order_id", ...(hasAmount ? ["amount"] : []), ...(action === "compensate" ? ["undoes"] : [])] },
      ];
    }),
  ),
);

const KEY = new RegExp(`^[!-~]+:[1-9]\\d*:(${STEPS.join("|")})$`);

/** Reads a request as strictly as the contract is written. Returns what is wrong with it as text. */
export function readCall(path: string, headers: IncomingHttpHeaders, text: string): Omit<Call, "nth"> | string {
  const endpoint = ENDPOINTS[path.slice(path.lastIndexOf("/") + 1)];
  if (endpoint === undefined) return `no such path: ${path}`;
  const { step, action, fields } = endpoint;
  if (headers["content-type"] !== "application/json") return `content-type is ${headers["content-type"]}`;
  const key = headers["idempotency-key"];
  if (typeof key !== "string") return "no idempotency-key";
  let body: CallBody;
  try {
    body = JSON.parse(text) as CallBody;
  } catch {
    return "the body is not JSON";
  }
  if (typeof body !== "object" || body === null) return "the body is not an object";
  if (Object.keys(body).sort().join() !== [...fields].sort().join()) return `fields are ${Object.keys(body)}, not ${fields}`;
  if (typeof body.order_id !== "string") return "order_id is not a string";
  if (body.amount !== undefined && !Number.isSafeInteger(body.amount)) return "amount is not a whole number";
  const callKey = action === "perform" ? key : body.undoes;
  if (typeof callKey !== "string" || KEY.exec(callKey)?.[1] !== step) return `${callKey} is no key of a ${step} call`;
  if (action === "compensate" && key !== `${callKey}:undo`) return `${key} does not compensate ${callKey}`;
  return { step, action, path, headers, key, body };
}
