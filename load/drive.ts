import autocannon from "autocannon";
import { orderIds } from "./order-ids.ts";
import { writeOrders } from "./request-writer.ts";

export interface Drive {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** The order without its id; each request gets one of its own. */
  readonly order: Readonly<Record<string, unknown>>;
  /** Each id in so many requests, one after the other; 1 by default. */
  readonly repeats?: number;
  /** Each request has an `Idempotency-Key`: the id of its order. */
  readonly keyed?: boolean;
  /** A piece of text that every answer must contain. */
  readonly answerHas: string;
  /** Or this one: a service may refuse what it cannot do before the deadline, as it does on a slow machine. */
  readonly refusalHas?: string;
  readonly onAnswer?: () => void;
}

export interface DriveResult {
  readonly answers: number;
  readonly perSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly p999: number; readonly max: number };
  readonly statuses: ReadonlyMap<number, number>;
  readonly wrongBodies: number;
  /** Answers with `refusalHas`. */
  readonly refused: number;
  /** Broken connections; timeouts are counted apart. */
  readonly socketErrors: number;
  readonly timeouts: number;
}

// Otherwise autocannon would call a dead server as fast as possible until the time is over.
const GIVE_UP_AFTER_ERRORS = 1_000;

const nextId = orderIds();

/** Sends orders from so many connections, one after the other on each, for so long. */
export async function drive(options: Drive): Promise<DriveResult> {
  const { url, connections, seconds, order, repeats = 1, keyed = false, answerHas, refusalHas, onAnswer } = options;
  const { promise, resolve, reject } = Promise.withResolvers<autocannon.Result>();
  let refused = 0;
  const isRight = (body: string): boolean => {
    if (body.includes(answerHas)) return true;
    if (refusalHas === undefined || !body.includes(refusalHas)) return false;
    refused++;
    return true;
  };
  const instance = autocannon(
    {
      url,
      connections,
      duration: seconds,
      bailout: GIVE_UP_AFTER_ERRORS,
      setupClient: (client) => writeOrders(url, order, repeated(nextId, repeats), keyed)(client),
      verifyBody: (body) => isRight(String(body)),
    },
    (error, result) => (error ? reject(error) : resolve(result)),
  );
  if (onAnswer !== undefined) instance.on("response", onAnswer);
  const result = await promise;

  const statuses = new Map(Object.entries(result.statusCodeStats ?? {}).map(([status, { count }]) => [Number(status), count ?? 0]));
  const answers = [...statuses.values()].reduce((sum, count) => sum + count, 0);
  const { p50, p90, p99, p99_9: p999, max } = result.latency;
  return {
    answers,
    perSecond: answers / result.duration,
    latencyMs: { p50, p90, p99, p999, max },
    statuses,
    wrongBodies: result.mismatches,
    refused,
    socketErrors: result.errors - result.timeouts,
    timeouts: result.timeouts,
  };
}

/** Gives each value so many times. */
function repeated(next: () => string, times: number): () => string {
  let value = "";
  let left = 0;
  return () => {
    if (left === 0) {
      value = next();
      left = times;
    }
    left--;
    return value;
  };
}
