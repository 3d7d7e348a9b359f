import { expect, test } from "vitest";

type NextTry = (at: string | undefined, heldBackBy: string | undefined, nowMs: number) => string;

const { nextTry }: { nextTry: NextTry } = await import(String(new URL("../../../src/web/live/stuck/rows.js", import.meta.url)));
const NOW_MS = Date.parse("2026-11-24T03:00:00Z");
const inSeconds = (seconds: number) => new Date(NOW_MS + 1_000 * seconds).toISOString();

test.each([
  ["due", inSeconds(-5), undefined, "now"],
  ["due within a second", inSeconds(0.5), undefined, "now"],
  ["due later", inSeconds(12), "backoff", "in 12 s"],
  ["due, but the provider is being probed with another", inSeconds(-5), "probing", "after a probe of the provider"],
  ["due, but no place is free", inSeconds(-5), "bulkhead", "when a place is free"],
  ["being tried", undefined, undefined, "–"],
])("a compensation that is %s", (_what, at, heldBackBy, words) => {
  expect(nextTry(at, heldBackBy, NOW_MS)).toBe(words);
});
