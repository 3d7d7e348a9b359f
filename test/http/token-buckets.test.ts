import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TokenBuckets } from "../../src/http/token-buckets.ts";

const ANNA = { name: "", high: 1, low: 1 };
const BERT = { name: "", high: 1, low: 2 };
const numbered = (n: number) => ({ name: "", high: 0x2001_0db8, low: n });

class Time {
  ms = 0;
  readonly now = (): number => this.ms;
}

function bucketsFor(perSecond: number, burst: number, capacity?: number): { time: Time; buckets: TokenBuckets } {
  const time = new Time();
  return { time, buckets: new TokenBuckets({ perSecond, burst }, { nowMs: time.now, ...(capacity !== undefined && { capacity }) }) };
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

describe("the table", () => {
  test("keeps 8 clients apart in 8 places; a ninth evicts the fullest bucket", () => {
    const { time, buckets } = bucketsFor(1, 10, 8);
    const takeOf = (n: number, times: number) => Array.from({ length: times }, () => buckets.take(numbered(n))).at(-1);
    for (let n = 1; n <= 8; n++) expect(takeOf(n, n === 3 ? 1 : 5)).toBe(n === 3 ? 9 : 5);
    expect(takeOf(9, 10)).toBe(0);
    for (const n of [1, 2, 4, 5, 6, 7, 8]) expect(takeOf(n, 1)).toBe(4);
    expect(takeOf(9, 1)).toBe(-1);
    // Whoever lost its bucket gets a full one, at the cost of the next.
    expect(takeOf(3, 1)).toBe(9);
    // All are full again: nobody loses anything.
    time.ms += 10_000;
    for (let n = 11; n <= 18; n++) expect(takeOf(n, 1)).toBe(9);
    for (let n = 11; n <= 18; n++) expect(takeOf(n, 1)).toBe(8);
  });

  test("remembers thousands of clients at a time, neighbors or not", () => {
    const { buckets } = bucketsFor(1, 1);
    const clients = Array.from({ length: 10_000 }, (_, n) => (n % 2 === 0 ? numbered(n) : { name: "", high: n * 65_536, low: 0 }));
    for (const client of clients) expect(buckets.take(client)).toBe(0);
    const forgotten = clients.filter((client) => buckets.take(client) >= 0).length;
    // Fair dice would let one or two sets run over.
    expect(forgotten).toBeLessThan(100);
  });

  test("does not grow with millions of addresses, and still limits who sends on meanwhile", () => {
    const { time, buckets } = bucketsFor(1, 100);
    // One object for all of them, so that the heap says what the table does.
    const stranger = { ...BERT };
    const held = () => process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 100; n++) buckets.take(ANNA);
    const beforeBytes = held();
    const heapBefore = process.memoryUsage().heapUsed;
    for (let n = 0; n < 2_000_000; n++) {
      // Within the second, so that nothing comes in.
      if (n % 10_000 === 0) expect(buckets.take(ANNA)).toBe(-1);
      stranger.high = n;
      stranger.low = n * 7;
      buckets.take(stranger);
    }
    time.ms += 1_000;
    expect(buckets.take(ANNA)).toBe(0);
    expect(held() - beforeBytes).toBeLessThan(1024 * 1024);
    // A Map would hold far more than 100 MB by now.
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(64 * 1024 * 1024);
  });
});
