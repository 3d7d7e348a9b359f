import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BadRequest } from "../../src/http/answers.ts";
import { readOrder } from "../../src/http/order-body.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";

const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;

const read = (body: string | Uint8Array) => readOrder(Buffer.from(body as string));
/** An order whose fields are given as JSON text; `undefined` takes a field out. */
const withFields = (fields: Readonly<Record<string, string | undefined>>) => {
  const all = Object.entries({ order_id: '"a"', amount: "1", ...fields }).filter(([, text]) => text !== undefined);
  return `{${all.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
};
const messageFor = (body: string | Uint8Array): string => {
  try {
    read(body);
  } catch (error) {
    if (error instanceof BadRequest) return error.message;
    throw error;
  }
  throw new Error(`was taken: ${String(body).slice(0, 200)}`);
};

const isInvisible = (unit: string) => /[\p{Cc}\p{Cf}]/u.test(unit);
const idUnit = fc.string({ unit: "binary", minLength: 1, maxLength: 1 }).filter((unit) => !isInvisible(unit));
/** Characters of all kinds, put together as NFC has them, which may make them fewer. */
const idOf = (minLength: number, maxLength: number) =>
  fc
    .array(idUnit, { minLength, maxLength, size: "max" })
    .map((units) => units.join("").normalize("NFC"))
    .filter((id) => id === id.trim() && id !== "" && id !== "." && id !== "..");

const ONE_OF_THEM = new Intl.ListFormat("en-GB", { type: "disjunction" }).format(STEPS);

describe("what is taken", () => {
  const someSteps = fc.record(
    perStep(() => fc.nat(600_000)),
    { requiredKeys: [], noNullPrototype: true },
  );
  const order = fc.record(
    {
      order_id: idOf(1, 128).filter((id) => [...id].length <= 128),
      amount: fc.integer({ min: 1, max: MAX_AMOUNT }),
      fail_step: fc.constantFrom(...STEPS),
      delay_ms: someSteps,
      cpu_ms: someSteps,
    },
    { requiredKeys: ["order_id", "amount"], noNullPrototype: true },
  );

  test("every order that keeps the rules, as it was sent", () => {
    fc.assert(
      fc.property(order, fc.nat(3), (sent, indent) => {
        const { orderId, amount, simulation = {} } = read(JSON.stringify(sent, null, indent));
        const back = {
          order_id: orderId,
          amount,
          fail_step: simulation.failStep,
          delay_ms: simulation.delayMs,
          cpu_ms: simulation.cpuMs,
        };
        // JSON leaves out what is undefined, on both sides alike.
        expect(JSON.parse(JSON.stringify(back))).toEqual(sent);
      }),
    );
  });

  test("of a repeated field the last one, which must keep the rules", () => {
    expect(read('{"order_id":"a","amount":1,"amount":2}').amount).toBe(2);
    expect(messageFor('{"order_id":"a","amount":1,"amount":1.5}')).toMatch(/^amount: /);
  });
});

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

describe("fields", () => {
  test.each(["shipping", "Payment", "payment ", "", "__proto__"])("fail_step %j is no step", (step) => {
    expect(messageFor(withFields({ fail_step: JSON.stringify(step) }))).toBe(`fail_step: must be ${ONE_OF_THEM}`);
  });

  test.each(["null", "5", '"payment"', "[]", "true"])("delay_ms and cpu_ms are objects, not %s", (text) => {
    for (const field of ["delay_ms", "cpu_ms"]) {
      expect(messageFor(withFields({ [field]: text }))).toBe(`${field}: must be an object with keys ${ONE_OF_THEM}`);
    }
  });

  const strangers = ["note", "Amount", "orderId", "constructor", "toString", "hasOwnProperty", "__proto__", "__defineGetter__", "0"];

  test.each(strangers)("%s is not a known one", (name) => {
    for (const value of ["1", "null", "{}", '{"amount":5}']) {
      const body = `{"order_id":"a","amount":1,"${name}":${value}}`;
      expect(messageFor(body)).toMatch(new RegExp(`^${name}: is not a known field; known are order_id, amount`));
      const nested = `{"order_id":"a","amount":1,"delay_ms":{"${name}":${value}}}`;
      expect(messageFor(nested)).toMatch(new RegExp(`^delay_ms\\.${name}: is not a known field; known are payment`));
    }
  });

  test("whatever they hold, the answer is an order or a message that names field and rule", () => {
    const text = fc.json({ maxDepth: 3 });
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom("order_id", "amount", "fail_step", "delay_ms", "cpu_ms", "note"), text, { minKeys: 1 }),
        (given) => {
          const fields: Record<string, string | undefined> = { ...given };
          let message: string;
          try {
            read(withFields(fields));
            expect(fields.note).toBeUndefined();
            return;
          } catch (error) {
            expect(error).toBeInstanceOf(BadRequest);
            message = (error as BadRequest).message;
          }
          expect(message).toMatch(/^(order_id|amount|fail_step|delay_ms|cpu_ms|note)\b.*: (must be|is not a known field)/s);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe("the body", () => {
  test.each([
    ["nothing", ""],
    ["half an object", '{"order_id":'],
    ["two objects", '{"order_id":"a","amount":1}{"order_id":"b","amount":1}'],
    ["something after the object", '{"order_id":"a","amount":1}x'],
    ["a NUL after the object", '{"order_id":"a","amount":1}\0'],
    ["a byte order mark", '\ufeff{"order_id":"a","amount":1}'],
    ["a comment", '{"order_id":"a",/* */"amount":1}'],
    ["an array", "[]"],
    ["null", "null"],
    ["a number", "1.5"],
    ["a string", '"order"'],
  ])("is one JSON object, not %s", (_what, text) => {
    expect(messageFor(text)).toMatch(/^body: must be /);
  });

  test("is UTF-8", () => {
    const broken = {
      "a lone continuation byte": [0x80],
      "an overlong slash": [0xc0, 0xaf],
      "a surrogate as three bytes": [0xed, 0xa0, 0x80],
      "beyond U+10FFFF": [0xf4, 0x90, 0x80, 0x80],
      "a character cut short": [0xe2, 0x82],
      "Latin-1": [0xe9],
    };
    for (const bytes of Object.values(broken)) {
      const body = Buffer.concat([Buffer.from('{"order_id":"'), Buffer.from(bytes), Buffer.from('","amount":1}')]);
      expect(messageFor(body)).toBe("body: must be JSON in UTF-8");
    }
    expect(messageFor(Buffer.from('{"order_id":"a","amount":1}', "utf16le"))).toMatch(/^body: /);
  });

  test("may be nested as deep as it can be in 16 KiB without doing harm", () => {
    const depth = 8_000;
    const deep = (open: string, inside: string, close: string) => open.repeat(depth) + inside + close.repeat(depth);
    expect(messageFor(deep("[", "", "]"))).toMatch(/^body: /);
    expect(messageFor(withFields({ note: deep("[", "1", "]") }))).toMatch(/^note: /);
    // With a fraction in it every number is looked at, which may not go that deep; whatever it says, it says no.
    expect(messageFor(withFields({ note: deep("[", "1.0", "]") }))).toMatch(/^\w+: /);
    expect(messageFor(withFields({ delay_ms: `${'{"payment":'.repeat(1_400)}1.0${"}".repeat(1_400)}` }))).toMatch(/^\w+(\.payment)?: /);
  });

  test("may be any bytes: the answer is an order or a bad request, never anything else", () => {
    const valid = Buffer.from('{"order_id":"a","amount":1.0,"fail_step":"vendor","delay_ms":{"payment":1e2}}');
    const mutation = fc.record({ at: fc.nat(valid.length - 1), byte: fc.integer({ min: 0, max: 255 }) });
    let refused = 0;
    const readOrRefuse = (body: Uint8Array) => {
      try {
        read(body);
      } catch (error) {
        refused++;
        expect(error).toBeInstanceOf(BadRequest);
        expect((error as BadRequest).message).toMatch(/^.*: /s);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), readOrRefuse));
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        const body = Buffer.from(valid);
        for (const { at, byte } of mutations) body[at] = byte;
        readOrRefuse(body);
      }),
      { numRuns: 1_000 },
    );
    expect(refused).toBeGreaterThan(500);
  });
});
