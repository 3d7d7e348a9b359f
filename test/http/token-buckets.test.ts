import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TokenBuckets } from "../../src/http/rate-limit.ts";

const ANNA = "anna";
const BERT = "bert";
const numbered = (n: number) => `192.0.2.${n}`;

class Time {
  ms = 0;
  readonly now = (): number => this.ms;
}

function bucketsFor(perSecond: number, burst: number, generation?: number): { time: Time; buckets: TokenBuckets } {
  const time = new Time();
  return { time, buckets: new TokenBuckets({ perSecond, burst }, time.now, generation) };
}

describe("a token bucket", () => {
  test("gives its burst at once, then one token in each interval", () => {
    const { time, buckets } = bucketsFor(10, 3);
    expect([1, 2, 3, 4, 5].map(() => buckets.take(ANNA))).toEqual([2, 1, 0, -1, -1]);
    time.ms += 99;
    expect(buckets.take(ANNA)).toBe(-1);
    time.ms += 1;
    expect([buckets.take(ANNA), buckets.take(ANNA)]).toEqual([0, -1]);
    time.ms += 250;
    expect([1, 2, 3].map(() => buckets.take(ANNA))).toEqual([1, 0, -1]);
    // What was left of an interval counts.
    time.ms += 50;
    expect([buckets.take(ANNA), buckets.take(ANNA)]).toEqual([0, -1]);
  });

  test("holds no more than its burst, however long nobody asks", () => {
    const { time, buckets } = bucketsFor(10, 3);
    time.ms += 1e9;
    expect([1, 2, 3, 4].map(() => buckets.take(ANNA))).toEqual([2, 1, 0, -1]);
  });

  test("is a client's own", () => {
    const { buckets } = bucketsFor(1, 1);
    expect([buckets.take(ANNA), buckets.take(ANNA), buckets.take(BERT), buckets.take(BERT)]).toEqual([0, -1, 0, -1]);
  });

  test("is not emptied by asking in vain", () => {
    const { time, buckets } = bucketsFor(1, 1);
    buckets.take(ANNA);
    for (let n = 0; n < 999; n++) {
      time.ms += 1;
      expect(buckets.take(ANNA)).toBe(-1);
    }
    time.ms += 1;
    expect(buckets.take(ANNA)).toBe(0);
  });

  test("may be smaller than what comes in a second", () => {
    const { time, buckets } = bucketsFor(1_000, 1);
    for (let n = 0; n < 5; n++) {
      expect([buckets.take(ANNA), buckets.take(ANNA)]).toEqual([0, -1]);
      time.ms += 1;
    }
  });

  test("counts as one does that adds and takes tokens, whatever the limit and the times", () => {
    let taken = 0;
    let refused = 0;
    const property = fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      // Of a start long after that of the process, too.
      fc.constantFrom(0, 123_456, 3e10),
      fc.array(fc.record({ client: fc.nat(2), waitMs: fc.oneof(fc.constant(0), fc.nat(300)) }), { maxLength: 100, size: "max" }),
      (perSecond, burst, startMs, asks) => {
        const { time, buckets } = bucketsFor(perSecond, burst);
        time.ms = startMs;
        // In thousandths of a token, so that sums are exact.
        const tokens = [0, 1, 2].map(() => burst * 1_000);
        for (const { client, waitMs } of asks) {
          time.ms += waitMs;
          for (const other of tokens.keys()) tokens[other] = Math.min(burst * 1_000, (tokens[other] ?? 0) + waitMs * perSecond);
          const before = tokens[client] ?? 0;
          const left = buckets.take(numbered(client));
          if (before >= 1_000) {
            tokens[client] = before - 1_000;
            expect(left).toBe(Math.floor((before - 1_000) / 1_000));
            taken++;
          } else {
            expect(left).toBe(-1);
            refused++;
          }
        }
      },
    );
    fc.assert(property, { numRuns: 300 });
    expect(Math.min(taken, refused)).toBeGreaterThan(100);
  });
});

describe("the buckets of many", () => {
  test("are each kept until a whole generation of others has come since, and no longer", () => {
    const { buckets } = bucketsFor(1, 10, 8);
    const others = (count: number) => {
      for (let n = 0; n < count; n++) buckets.take(numbered(next++));
    };
    let next = 0;
    expect(buckets.take(ANNA)).toBe(9);
    others(8);
    expect(buckets.take(ANNA)).toBe(8);
    // Also one that asks in vain stays known.
    for (let n = 0; n < 8; n++) buckets.take(ANNA);
    for (let n = 0; n < 5; n++) {
      others(8);
      expect(buckets.take(ANNA)).toBe(-1);
    }
    others(16);
    expect(buckets.take(ANNA)).toBe(9);
  });

  test("are remembered for thousands of clients at a time, neighbors or not", () => {
    const { buckets } = bucketsFor(1, 1);
    const clients = Array.from({ length: 30_000 }, (_, n) => numbered(n));
    for (const client of clients) expect(buckets.take(client)).toBe(0);
    expect(clients.filter((client) => buckets.take(client) >= 0)).toEqual([]);
  });

  test("do not grow with millions of addresses, and still limit who sends on meanwhile", () => {
    const { time, buckets } = bucketsFor(1, 100);
    for (let n = 0; n < 100; n++) buckets.take(ANNA);
    const heapBefore = process.memoryUsage().heapUsed;
    for (let n = 0; n < 2_000_000; n++) {
      // Within the second, so that nothing comes in.
      if (n % 10_000 === 0) expect(buckets.take(ANNA)).toBe(-1);
      buckets.take(numbered(n));
    }
    time.ms += 1_000;
    expect(buckets.take(ANNA)).toBe(0);
    // One map of all of them would hold far more than 100 MB by now.
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(64 * 1024 * 1024);
  });
});
