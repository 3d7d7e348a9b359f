import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { logForPeople } from "../src/terminal-log.ts";

const HEAD = { level: 30, time: 0, pid: 1, hostname: "shop-1", node: "shop-1" };
const forReading = (line: string) => logForPeople({ colors: false })(line).text;

test("the line of an order says in words how it and its steps ended", () => {
  const order = {
    ...HEAD,
    order_id: "second",
    attempt: 1,
    request_id: "9f0c",
    status: "error",
    kind: "payment_declined",
    canceled: "sibling_failed",
    duration_ms: 154,
    steps: [
      { name: "payment", status: "error", detail: "payment_declined", duration_ms: 153, thread: 2 },
      { name: "courier", status: "ok", duration_ms: 102, thread: 2 },
    ],
    msg: "order ended",
  };
  const words = "payment_declined after 154 ms (payment payment_declined 153 ms, courier ok 102 ms)";
  expect(forReading(JSON.stringify(order))).toMatch(/^\[[\d:.]+\] INFO: /);
  expect(forReading(JSON.stringify(order))).toContain(`INFO: order second: ${words}\n`);
  const again = { ...order, attempt: 3 };
  expect(forReading(JSON.stringify(again))).toContain(`INFO: order second (attempt 3): ${words}\n`);
  const { kind: _, ...placed } = { ...order, duration_ms: 200, steps: order.steps.slice(1) };
  expect(forReading(JSON.stringify(placed))).toContain("INFO: order second: ok after 200 ms (courier ok 102 ms)\n");
});

test("any other line is one line too, with all its fields but those of the process", () => {
  const line = forReading(JSON.stringify({ ...HEAD, level: 40, thread: 3, nested: { step: "vendor" }, msg: "a thread was replaced" }));
  expect(line).toMatch(/^\[[\d:.]+\] WARN: a thread was replaced \{"thread":3,"nested":\{"step":"vendor"\}\}\n$/);
});

test("colors change nothing but the looks", () => {
  const line = JSON.stringify({ ...HEAD, signal: "SIGINT", msg: "draining" });
  const { text: colored } = logForPeople({ colors: true })(line);
  expect(colored).toContain("\u001b[");
  expect(stripVTControlCharacters(colored)).toBe(forReading(line));
});
