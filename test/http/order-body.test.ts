import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BadRequest } from "../../src/http/answers.ts";
import { readIdempotencyKey } from "../../src/http/idempotency-key.ts";
import { perStep, STEPS } from "../../src/orders/steps.ts";
import { MAX_AMOUNT, messageFor, read, withFields } from "./order-body-fixture.ts";

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

test("an Idempotency-Key holds for a day, and for every field of its order: one that is not the same is another body", () => {
  const order = { order_id: "a", amount: 1, fail_step: "payment", delay_ms: { courier: 0, vendor: 5 }, cpu_ms: { vendor: 5 } };
  const keyOf = (fields: object) => readIdempotencyKey("k", read(JSON.stringify({ ...order, ...fields })), "", 1_000);
  const { bodyHash, expiresMs } = keyOf({}) ?? {};
  expect(expiresMs).toBe(1_000 + 86_400_000);
  expect(keyOf({ delay_ms: { vendor: 5, courier: 0 } })?.bodyHash).toBe(bodyHash);
  const others = [
    { order_id: "b" },
    { amount: 2 },
    { fail_step: "vendor" },
    { fail_step: undefined },
    { delay_ms: { courier: 5, vendor: 0 } },
    { delay_ms: { vendor: 5 } },
    { cpu_ms: { vendor: 6 } },
    { delay_ms: order.cpu_ms, cpu_ms: order.delay_ms },
  ];
  expect(new Set([bodyHash, ...others.map((fields) => keyOf(fields)?.bodyHash)]).size).toBe(1 + others.length);
});
