import fc from "fast-check";
import { expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { neverSent } from "../../src/resilience/post.ts";
import { callKey, compensationKey } from "../../workers/providers/call-key.ts";

test("is the id, the attempt and the step", () => {
  expect(callKey("order-1", 1, "payment")).toBe("order-1:1:payment");
  expect(compensationKey("order-1", 12, "courier")).toBe("order-1:12:courier:undo");
});

test.each([
  ["é", "%C3%A9:1:payment"],
  ["%C3%A9", "%25C3%25A9:1:payment"],
  ["a b", "a%20b:1:payment"],
  ["a%20b", "a%2520b:1:payment"],
  ["a:1:payment", "a:1:payment:1:payment"],
  ["\ud83d\ude80", "%F0%9F%9A%80:1:payment"],
  ["\ud83d", "%ED%A0%BD:1:payment"],
  ["\ufffd", "%EF%BF%BD:1:payment"],
  ["\u007f\u0080", "%7F%C2%80:1:payment"],
  ["!~", "!~:1:payment"],
])("of %j is %s", (id, key) => {
  expect(callKey(id, 1, "payment")).toBe(key);
});

// Units rather than characters, so that lone surrogates come up; few of them, so that near misses do.
const orderId = fc
  .array(fc.constantFrom("a", "%", ":", "1", "2", "5", "C", "3", " ", "é", "\ud83d", "\ude80", "\ufffd", "payment", ":1:payment"), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => parts.join(""));
const call = fc.record({
  id: orderId,
  attempt: fc.integer({ min: 1, max: 12 }),
  step: fc.constantFrom(...STEPS),
  compensate: fc.boolean(),
});

test("is legal in a header, and different calls have different keys", () => {
  const keyOf = ({ id, attempt, step, compensate }: typeof call extends fc.Arbitrary<infer T> ? T : never) =>
    compensate ? compensationKey(id, attempt, step) : callKey(id, attempt, step);
  const calls = new Map<string, string>();
  fc.assert(
    fc.property(call, (one) => {
      const key = keyOf(one);
      expect(key).toMatch(/^[!-~]+$/);
      expect(new Headers({ "idempotency-key": key }).get("idempotency-key")).toBe(key);
      const same = JSON.stringify([one.id, one.attempt, one.step, one.compensate]);
      expect(calls.get(key) ?? same).toBe(same);
      calls.set(key, same);
    }),
    { numRuns: 5_000 },
  );
});

test("of plain UTF-16 text decodes back to it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (id) => {
      const key = callKey(id, 3, "vendor");
      expect(decodeURIComponent(key.slice(0, -":3:vendor".length))).toBe(id);
    }),
  );
});

const system = (code: string, syscall?: string) => Object.assign(new Error(code), syscall === undefined ? { code } : { code, syscall });
const refused = system("ECONNREFUSED", "connect");
const brokenLater = system("ECONNRESET", "read");

test.each<[string, unknown]>([
  ["a refused connection", refused],
  ["an unknown name", system("ENOTFOUND", "getaddrinfo")],
  ["a name server that does not answer", system("EAI_AGAIN", "getaddrinfo")],
  ["an unreachable host", system("EHOSTUNREACH", "connect")],
  ["a connection that takes too long", system("ETIMEDOUT", "connect")],
  ["every address refused", new AggregateError([refused, system("ENETUNREACH", "connect")])],
])("after %s nothing was sent", (_what, error) => {
  expect(neverSent(error)).toBe(true);
});

test.each<[string, unknown]>([
  ["a reset", brokenLater],
  ["a write into a closed connection", system("EPIPE", "write")],
  ["a timeout of a connection in use", system("ETIMEDOUT", "read")],
  ["a host that became unreachable", system("EHOSTUNREACH", "read")],
  ["the other side closed", system("ECONNRESET")],
  ["no HTTP", system("HPE_INVALID_CONSTANT")],
  ["one address of two broke later", new AggregateError([refused, brokenLater])],
  ["an aggregate of nothing", new AggregateError([])],
  ["nothing thrown", undefined],
  ["something that is no error", "ECONNREFUSED"],
])("after %s nobody knows whether it was sent", (_what, error) => {
  expect(neverSent(error)).toBe(false);
});
