import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { MAX_AMOUNT, messageFor, read, withFields } from "./order-body-fixture.ts";

describe("whole numbers", () => {
  // What the property below does not write.
  test.each([
    "10000000000000000000000",
    "1e400",
    "1e99999999999999999999",
    "1e-400",
    "-1e-400",
    "5e-324",
    "0e99",
    "-0",
    "-0.0",
    "-1",
    "true",
    "null",
    '"12"',
    "[1]",
    "{}",
  ])("%s is no amount", (text) => {
    expect(messageFor(withFields({ amount: text }))).toBe("amount: must be a whole number from 1 to 9007199254740991, in minor units");
  });

  /** The value as written, in exact arithmetic; undefined where it has a fraction. */
  function exactly(whole: bigint, fraction: string, exponent: number): bigint | undefined {
    const digits = BigInt(`${whole}${fraction}`);
    const shift = exponent - fraction.length;
    if (shift >= 0) return digits * 10n ** BigInt(shift);
    const divisor = 10n ** BigInt(-shift);
    return digits % divisor === 0n ? digits / divisor : undefined;
  }

  const digitsOf = (digit: fc.Arbitrary<string>, maxLength: number) =>
    fc.array(digit, { maxLength, size: "max" }).map((digits) => digits.join(""));
  // Mostly zeros: numbers that are whole all the same, and those that miss it by very little.
  const fraction = fc.oneof(
    digitsOf(fc.constantFrom(..."0123456789"), 6),
    digitsOf(fc.constant("0"), 25),
    fc.tuple(digitsOf(fc.constantFrom("0", "0", "9"), 25), fc.constantFrom("", "1")).map((parts) => parts.join("")),
  );
  const decimal = fc.record({
    whole: fc.oneof(
      fc.bigInt(0n, 2n ** 64n),
      fc.bigInt(BigInt(MAX_AMOUNT) - 3n, BigInt(MAX_AMOUNT) + 3n),
      fc.nat(1_000_000).map((n) => BigInt(n)),
    ),
    fraction,
    exponent: fc.oneof(fc.constant(0), fc.integer({ min: -30, max: 30 })),
    spelling: fc.constantFrom("e", "E", "e+"),
  });
  const written = (number: { whole: bigint; fraction: string; exponent: number; spelling: string }) => {
    const spelling = number.exponent < 0 ? "e" : number.spelling;
    return `${number.whole}${number.fraction && `.${number.fraction}`}${number.exponent === 0 ? "" : spelling + number.exponent}`;
  };

  test("are taken exactly as written or not at all, whatever a double makes of them", () => {
    fc.assert(
      fc.property(decimal, (number) => {
        const value = exactly(number.whole, number.fraction, number.exponent);
        const body = withFields({ amount: written(number) });
        if (value !== undefined && value >= 1n && value <= BigInt(MAX_AMOUNT)) expect(read(body).amount).toBe(Number(value));
        else expect(messageFor(body)).toMatch(/^amount: must be a whole number/);
      }),
      { numRuns: 1_000 },
    );
  });

  test("the same for milliseconds", () => {
    fc.assert(
      fc.property(decimal, fc.constantFrom("delay_ms", "cpu_ms"), fc.constantFrom(...STEPS), (number, field, step) => {
        const value = exactly(number.whole, number.fraction, number.exponent);
        const body = withFields({ [field]: `{"${step}":${written(number)}}` });
        if (value !== undefined && value <= 600_000n) {
          const { delayMs, cpuMs } = read(body).simulation ?? {};
          expect((field === "delay_ms" ? delayMs : cpuMs)?.[step]).toBe(Number(value));
        } else expect(messageFor(body)).toBe(`${field}.${step}: must be a whole number of milliseconds from 0 to 600000`);
      }),
    );
  });

  test.each(["-1", "-0.5", "-1e-400", "1e400", '"5"', "null", "true"])("%s is no delay", (text) => {
    expect(messageFor(withFields({ delay_ms: `{"vendor":${text}}` }))).toMatch(/^delay_ms\.vendor: must be a whole number of milliseconds/);
  });

  test("-0 is 0", () => {
    expect(read(withFields({ delay_ms: '{"vendor":-0}' })).simulation?.delayMs?.vendor === 0).toBe(true);
  });
});

describe("order_id", () => {
  const RULE = "order_id: must be a string of 1 to 128 characters";

  test("counts characters, not bytes and not halves of surrogate pairs", () => {
    for (const character of ["x", "é", "漢", "😀"]) {
      expect(read(withFields({ order_id: JSON.stringify(character.repeat(128)) })).orderId).toBe(character.repeat(128));
      expect(messageFor(withFields({ order_id: JSON.stringify(character.repeat(129)) }))).toContain(RULE);
    }
    expect(messageFor(withFields({ order_id: '""' }))).toContain(RULE);
  });

  test("never holds a control character: C0, DEL or C1, escaped or as it stands", () => {
    const controls = [...Array(0x20).keys(), ...Array.from({ length: 0x21 }, (_, n) => 0x7f + n)];
    expect(controls).toHaveLength(65);
    for (const code of controls) {
      const escaped = `\\u${code.toString(16).padStart(4, "0")}`;
      for (const id of [escaped, `a${escaped}`, `${escaped}a`, `a${escaped}b`]) {
        expect(messageFor(withFields({ order_id: `"${id}"` }))).toContain("without control or format characters");
      }
      // JSON itself has no unescaped C0 in strings, so there it is the body that is wrong.
      expect(messageFor(withFields({ order_id: `"a${String.fromCharCode(code)}b"` }))).toMatch(code < 0x20 ? /^body: / : /^order_id: /);
    }
  });

  test.each([
    ["a soft hyphen", "\u00ad"],
    ["a zero width space", "\u200b"],
    ["a right-to-left override", "\u202e"],
    ["a byte order mark", "\ufeff"],
    ["a tag", "\u{e0041}"],
  ])("never holds %s, which nobody sees", (_what, character) => {
    for (const id of [character, `a${character}`, `${character}a`, `a${character}b`]) {
      expect(messageFor(withFields({ order_id: JSON.stringify(id) }))).toContain("without control or format characters");
    }
  });

  test.each([" ", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000"])("has no %j at either end, but in the middle", (space) => {
    for (const id of [space, `${space}a`, `a${space}`, `${space}a${space}`]) {
      expect(messageFor(withFields({ order_id: JSON.stringify(id) }))).toContain("without white space at either end");
    }
    const inside = `a${space}b`;
    if (inside === inside.normalize("NFC")) expect(read(withFields({ order_id: JSON.stringify(inside) })).orderId).toBe(inside);
  });

  test.each([
    ["e and an accent", "e\u0301", "\u00e9"],
    ["the Angstrom sign", "\u212b", "\u00c5"],
    ["two accents in the wrong order", "q\u0307\u0323", "q\u0323\u0307"],
  ])("is in NFC: not %s", (_what, decomposed, composed) => {
    expect(messageFor(withFields({ order_id: JSON.stringify(`a${decomposed}`) }))).toContain("in Unicode NFC");
    expect(read(withFields({ order_id: JSON.stringify(`a${composed}`) })).orderId).toBe(`a${composed}`);
  });

  test.each([".", ".."])("is not %s, which paths resolve away", (id) => {
    expect(messageFor(withFields({ order_id: JSON.stringify(id) }))).toContain("not . or ..");
  });

  test.each(["...", ".a", "a.", "-", "%2e", "../a", "a b", "\ue000", "\uffff", "\u{10ffff}"])("may be %j", (id) => {
    expect(read(withFields({ order_id: JSON.stringify(id) })).orderId).toBe(id);
  });

  test("never holds half a surrogate pair, which has no UTF-8", () => {
    for (const half of ["\\ud800", "\\udbff", "\\udc00", "\\udfff"]) {
      for (const id of [half, `a${half}`, `${half}a`, `${half}${half}`]) {
        expect(messageFor(withFields({ order_id: `"${id}"` }))).toMatch(/^order_id: /);
      }
    }
    expect(read(withFields({ order_id: '"\\ud83d\\ude00"' })).orderId).toBe("😀");
    expect(messageFor(withFields({ order_id: '"\\ude00\\ud83d"' }))).toMatch(/^order_id: /);
  });
});
