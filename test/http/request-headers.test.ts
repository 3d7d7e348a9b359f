import { describe, expect, test } from "vitest";
import { readIdempotencyKey } from "../../src/http/idempotency-key.ts";
import { readPriority } from "../../src/http/priority.ts";
import { traceOf } from "../../src/http/trace-context.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";
const IDS = `${TRACE_ID}-${SPAN_ID}`;
/** With what is passed on of each. */
const VALID = [
  [`00-${IDS}-01`, `00-${IDS}-01`],
  [`00-${IDS}-00`, `00-${IDS}-00`],
  [`cc-${IDS}-01`, `00-${IDS}-01`],
  [`cc-${IDS}-00-what-comes-later-${"x".repeat(14_000)}`, `00-${IDS}-00`],
] as const;
const INVALID: [string, string | string[] | undefined][] = [
  ["of version 00 and longer than that has", `00-${IDS}-01-more`],
  ["of version 00 with a dash at its end", `00-${IDS}-01-`],
  ["of the version that is forbidden", `ff-${IDS}-01`],
  ["with a trace id of zeros", `00-${"0".repeat(32)}-b7ad6b7169203331-01`],
  ["with a parent id of zeros", `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`],
  ["in capitals", `00-${IDS.toUpperCase()}-01`],
  ["that is cut short", `00-${IDS}-0`],
  ["with something before it", ` 00-${IDS}-01`],
  ["of a later version whose flags run on", `cc-${IDS}-011`],
  ["that came twice", [`00-${IDS}-01`, `00-${IDS}-01`]],
  ["that is missing", undefined],
];

describe("a traceparent, where only the calls and the log have it", () => {
  test.each(VALID)("%.60s is passed on as %s", (header, traceparent) => {
    expect(traceOf(header, "calls")).toEqual({ traceparent });
    expect(traceOf(header, "log")).toEqual({ traceparent });
  });

  test.each(INVALID)("one %s starts a new trace for the calls, and none for the log", (_, header) => {
    const first = traceOf(header, "calls").traceparent;
    expect(first).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
    expect(first).not.toContain(IDS);
    expect(traceOf(header, "calls").traceparent).not.toBe(first);
    expect(traceOf(header, "log")).toEqual({});
  });
});

describe("a traceparent, where orders have spans", () => {
  test.each([`00-${IDS}-01`, `00-${IDS}-03`, `cc-${IDS}-01-what-comes-later`])("that of an order is the child of %s", (header) => {
    const { traceparent, parentSpanId } = traceOf(header, "spans");
    expect(parentSpanId).toBe(SPAN_ID);
    expect(traceparent).toMatch(new RegExp(`^00-${TRACE_ID}-[\\da-f]{16}-01$`));
    expect(traceparent).not.toContain(SPAN_ID);
    expect(traceOf(header, "spans").traceparent).not.toBe(traceparent);
  });

  test.each([`00-${IDS}-00`, `00-${IDS}-02`, `cc-${IDS}-02-what-comes-later`])("%s is not sampled, so there is none", (header) => {
    expect(traceOf(header, "spans")).toEqual({ traceparent: `00-${header.slice(3, 55)}` });
  });

  test.each(INVALID)("one %s makes it the root of a new trace", (_, header) => {
    const { traceparent, parentSpanId } = traceOf(header, "spans");
    expect(traceparent).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
    expect(parentSpanId).toBeUndefined();
  });
});

test.each([
  [undefined, 1],
  ["", 1],
  ["u=0", 0],
  ["u=2", 0],
  ["u=3", 1],
  ["u=4", 2],
  ["u=7", 2],
  ["u=5, i", 2],
  ["i, u=1", 0],
  ["  u=2  ", 0],
  ["u=4;q=1", 2],
  ["U=1", 1],
  ["u=8", 1],
  ["u=-1", 1],
  ["u=01", 1],
  ["u=1.0", 1],
  ['u="1"', 1],
  ["u", 1],
  ["u=?1", 1],
  ["u = 1", 1],
  ["urgency=1", 1],
  ["x=u=1", 1],
  ['note="a, u=0", u=6', 2],
  ['note="a, u=0"', 1],
  ['u=6, note="a, u=0', 2],
  ["u=1, u=6", 2],
  ["u=1, u=nonsense", 1],
  ["?, =, u=2, ;;", 0],
])("a Priority of %j is class %d", (header, priority) => {
  expect(readPriority(header)).toBe(priority);
});

test("an Idempotency-Key is kept for 24 hours", () => {
  const order = { orderId: "a", amount: 1 };
  expect(readIdempotencyKey("key", order, "client", 1_000)).toMatchObject({ client: "client", key: "key", expiresMs: 86_401_000 });
});
