import { expect, test } from "vitest";
import { RetryBudget } from "../../src/resilience/retry-budget.ts";

test("from the first call on there are at most 1.2 times as many calls as first calls", () => {
  const budget = new RetryBudget();
  expect(budget.withdraw()).toBe(false);
  let retries = 0;
  for (let first = 1; first <= 10_000; first++) {
    budget.deposit();
    while (budget.withdraw()) retries++;
    expect(first + retries).toBeLessThanOrEqual(1.2 * first);
  }
  expect(retries).toBe(2_000);
});

test("what is saved while all is well is a blip's worth", () => {
  const budget = new RetryBudget();
  for (let first = 0; first < 10_000; first++) budget.deposit();
  let saved = 0;
  while (budget.withdraw()) saved++;
  expect(saved).toBe(10);
});
