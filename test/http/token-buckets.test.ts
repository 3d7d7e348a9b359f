import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ANYONE, type Client, clientAt } from "../../src/http/client.ts";
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
  test("is a client's own and counts as one does that adds and takes tokens, whatever the limit and the times", () => {
    let taken = 0;
    let refused = 0;
    const property = fc.property(
      // More in a second than at once, too.
      fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(1_000)),
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

  test("does not grow with half a million addresses, and still limits who sends on meanwhile", () => {
    const { time, buckets } = bucketsFor(1, 100);
    // One object for all of them, so that the heap says what the table does.
    const stranger = { ...BERT };
    const held = () => process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 100; n++) buckets.take(ANNA);
    const beforeBytes = held();
    const heapBefore = process.memoryUsage().heapUsed;
    for (let n = 0; n < 500_000; n++) {
      // Within the second, so that nothing comes in.
      if (n % 10_000 === 0) expect(buckets.take(ANNA)).toBe(-1);
      stranger.high = n;
      stranger.low = n * 7;
      buckets.take(stranger);
    }
    time.ms += 1_000;
    expect(buckets.take(ANNA)).toBe(0);
    expect(held() - beforeBytes).toBeLessThan(1024 * 1024);
    // A Map would hold far more by now.
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(16 * 1024 * 1024);
  });
});

const bitsOf = ({ high, low }: Client) => (BigInt(high) << 32n) | BigInt(low);

describe("the client at an address", () => {
  test.each([
    ["127.0.0.1", 0x7f000001n],
    ["0.0.0.0", 0n],
    ["255.255.255.255", 0xffffffffn],
    ["192.0.2.1", 0xc0000201n],
    ["::ffff:192.0.2.1", 0xc0000201n],
    ["2001:db8::1", 0x2001_0db8_0000_0000n],
    ["2001:db8:1:2:3:4:5:6", 0x2001_0db8_0001_0002n],
    ["2001:db8:0:2::", 0x2001_0db8_0000_0002n],
    ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0xffff_ffff_ffff_ffffn],
    ["::1", 0n],
    ["::2:3:4:5:6:7:8", 0x0000_0002_0003_0004n],
    ["1::5:6:7:8", 0x0001_0000_0000_0000n],
    ["1::3:4:5:6:7:8", 0x0001_0000_0003_0004n],
    ["fe80::1%eth0", 0xfe80_0000_0000_0000n],
    ["64:ff9b::192.0.2.1", 0x0064_ff9b_0000_0000n],
  ])("%s", (address, bits) => {
    const client = clientAt(address);
    expect(bitsOf(client).toString(16)).toBe(bits.toString(16));
    expect(client.name).toBe(ANYONE);
  });

  test("is the same for all of an IPv6 network of 64 bits, and another beside it", () => {
    expect(clientAt("2001:db8:1:2::1")).toEqual(clientAt("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    expect(clientAt("2001:db8:1:2::1")).not.toEqual(clientAt("2001:db8:1:3::1"));
    expect(clientAt("192.0.2.1")).not.toEqual(clientAt("192.0.2.2"));
  });

  test("that is gone already is one as well", () => {
    expect(clientAt(undefined)).toEqual({ name: ANYONE, high: 0, low: 0 });
  });
});
