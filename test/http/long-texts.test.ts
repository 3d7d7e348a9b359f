import { expect, test } from "vitest";
import { readIdempotencyKey } from "../../src/http/idempotency-key.ts";
import { knownHosts } from "../../src/http/known-hosts.ts";
import { basicPassword, bearerToken } from "../../src/http/needs-key.ts";
import { readOrder } from "../../src/http/order-body.ts";
import { isOrderId } from "../../src/http/order-id.ts";
import { readPriority } from "../../src/http/priority.ts";
import { requestIdOf } from "../../src/http/request-id.ts";
import { traceOf } from "../../src/http/trace-context.ts";

const LENGTH = 8_000;
const TIMES = 8;
// Linear work grows 8 times, quadratic work 64 times.
const MOST = 30;
const CLOCK_MS = 1;

const ORDER = { orderId: "a", amount: 1 };
const isKnownHost = knownHosts(true, [], false);
const body = (amount: string) => readOrder(Buffer.from(`{"order_id":"a","amount":${amount}}`));

/** The shortest of three runs: others may need the machine. */
function bestMs(run: () => unknown): number {
  const runs = [1, 2, 3].map(() => {
    const startMs = performance.now();
    try {
      run();
    } catch {
      // A refusal is an answer as well.
    }
    return performance.now() - startMs;
  });
  return Math.min(...runs);
}

// One request must not hold up all others, so what is read of it must cost no more than its length.
test.each<[string, (text: string) => unknown, begin: string, middle: string, end: string]>([
  ["an amount with zeros before its last digit", body, "1.", "0", "1"],
  ["an amount of nothing but zeros after the point", body, "1.", "0", ""],
  ["an amount of ones and zeros", body, "1.", "10", "1"],
  ["an amount with a long exponent", body, "1e", "0", "1"],
  ["an amount deep in lists", body, "1.5,", "[", "]"],
  ["a Priority with a quoted string that does not end", readPriority, 'u=1, a="', '\\"', ""],
  ["a Priority that ends in the middle of an escape", readPriority, 'u=1, a="', '\\"', "\\"],
  ["a Priority of quotes", readPriority, "u=1, a=", '"', ""],
  ["a Priority of spaces", readPriority, "u=1", " ", "x"],
  ["a Priority of members", readPriority, "u=1", ", u", ""],
  ["a traceparent", (text) => traceOf(text, "spans"), `00-${"1".repeat(32)}-${"1".repeat(16)}-01`, "-", "x"],
  ["an Idempotency-Key", (text) => readIdempotencyKey(text, ORDER, "", 0), '"', "a", " "],
  ["an id of spaces", isOrderId, "a", " ", ""],
  ["an id of accents", isOrderId, "a", "\u0301", ""],
  ["an X-Request-Id", requestIdOf, "a", "a", " "],
  ["a Bearer token", bearerToken, "Bearer ", " ", ""],
  ["a Basic password", basicPassword, "Basic ", "a ", ""],
  ["a Host", isKnownHost, "a", "a", "]"],
])("%s takes time by its length, and not by the square of that", (_what, read, begin, middle, end) => {
  const run = (length: number) => bestMs(() => read(begin + middle.repeat(length / middle.length) + end));
  run(LENGTH);
  expect(run(TIMES * LENGTH)).toBeLessThan(MOST * Math.max(CLOCK_MS, run(LENGTH)));
});
