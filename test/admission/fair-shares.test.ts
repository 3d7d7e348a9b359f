import fc from "fast-check";
import { expect, test } from "vitest";
import { Demand, fairWeights } from "../../src/admission/fair-shares.ts";

const asked = fc.tuple(fc.nat(100_000), fc.nat(100_000), fc.nat(100_000));

test("in any mix an order gets half as much again as one of the next priority, and the weights are only handed round", () => {
  fc.assert(
    fc.property(asked, (counts) => {
      const weights = fairWeights(counts);
      const each = weights.map((weight, priority) => weight / Math.max(1, counts[priority] as number));
      for (const lower of [1, 2]) expect((each[lower - 1] as number) / (each[lower] as number)).toBeGreaterThanOrEqual(1.5 - 1e-9);
      expect(weights.reduce((sum, weight) => sum + weight)).toBeCloseTo(13, 6);
      expect(Math.min(...weights)).toBeGreaterThan(0);
    }),
    { numRuns: 1_000 },
  );
});

test("most orders are urgent: they share the weights of all, in proportion", () => {
  const [urgent, normal, background] = fairWeights([900, 90, 10]);
  // 900 * 2.25, 90 * 1.5 and 10 parts of 13.
  expect(urgent).toBeCloseTo((13 * 2_025) / 2_170);
  expect(normal).toBeCloseTo((13 * 135) / 2_170);
  expect(background).toBeCloseTo((13 * 10) / 2_170);
});

test("what came longer ago than a deadline hardly counts", () => {
  const demand = new Demand(2_000);
  for (let n = 0; n < 200; n++) {
    demand.ask(0, 1);
    demand.pass(100);
  }
  demand.asked[1] = 1_000;
  expect(demand.arriving(1, 20)).toBeCloseTo(10);
  for (let n = 0; n < 100; n++) demand.pass(100);
  expect(demand.asked[1]).toBeLessThan(10);
});

test.each(["start", "pause"])("after a %s a tenth of a second shows how many come, and no more is made of a single one", (after) => {
  const demand = new Demand(2_000);
  if (after === "pause") {
    demand.ask(1, 1_000);
    for (let n = 0; n < 300; n++) demand.pass(100);
  }
  demand.ask(1, 1);
  expect(demand.arriving(1, 1_000)).toBeCloseTo(10);
  demand.ask(1, 19);
  demand.pass(100);
  expect(demand.arriving(1, 1_000)).toBeGreaterThan(180);
  expect(demand.arriving(1, 1_000)).toBeLessThanOrEqual(200);
});
