import { perStep, STEPS } from "../../src/orders/steps.ts";
import { type Random, words } from "./random.ts";

/** A body for `POST /order`. */
export interface FuzzBody {
  readonly bytes: Buffer;
  /** It breaks no rule and its order, which no other case has, takes no time. */
  readonly good: boolean;
}

const NUMBERS = [
  ...words`
    0 -0 1 -1 1.0 1.5 1e3 1E+2 1e-1 1e400 -1e400 1e-400 100e-2 1.00000000000000000001 9007199254740991 9007199254740992 9007199254740993
    9007199254740990.9 18446744073709551616 600001 0.0 01 +1 0x10 1_000 .5 5. NaN Infinity - 1e --1
  `,
  `${"9".repeat(400)}`,
  `0.${"0".repeat(400)}1`,
];
const STEP_STRINGS = STEPS.map((step) => `"${step}"`);
const STRINGS = [
  ...words`
    "" "." ".." "a\u0000b" "\ud800" "\udc00\ud800" "\ud83d\ude00" "a\u202eb" "e\u0301" "\u00e9" "\x41" 'a' "unterminated "\u12" "Payment"
    "__proto__" "constructor" "/../x" "%2e%2e" "a/b?c#d" "\uFEFFa"
  `,
  '" a"',
  '"a "',
  `"${"x".repeat(128)}"`,
  `"${"x".repeat(129)}"`,
  '"\u{1f600}"',
  '"a\nb"',
  '"\t"',
  ...STEP_STRINGS,
];
const OTHERS = [...words`null true false [] {} [1] undefined nul tru //x /**/1`, `[{"${STEPS[0]}":1}]`, `{"${STEPS[0]}":null}`, ""];
const KEYS = [
  ...words`
    "order_id" "amount" "fail_step" "delay_ms" "cpu_ms" "__proto__" "constructor" "toString" "" "Amount" "\u0061mount" "order_id\u0000"
    amount "steps" "error" "\ud800"
  `,
  '"amount "',
];
// Of UTF-8: overlong forms, halves of surrogates, bytes that never occur, characters cut off, past the last code point.
const BAD_UTF8 = ["c0af", "c080", "eda080", "edb080", "ff", "fe", "80", "c3", "e282", "f09f98", "f4908080", "f8888080", "00"];

/** A body of some kind, from a good one to one that is no JSON. `n` names the case and `k` the request within it. */
export function fuzzBody(random: Random, n: string): FuzzBody {
  const dice = random.below(100);
  if (dice < 35) return { bytes: Buffer.from(goodOrder(n, random)), good: true };
  if (dice < 50) return bad(slowOrder(random, n));
  if (dice < 75) return bad(object(random, n));
  if (dice < 80) return bad(nested(random));
  if (dice < 90) return bad(around(random, dice % 2 === 0 ? goodOrder(n, random) : object(random, n)));
  if (dice < 95) return { bytes: encoded(random, goodOrder(n, random)), good: false };
  return bad(value(random));
}

/**
 * The order that nobody else places. With the number twice, the second time backwards: one wrong byte must not make the order of one case that
 * of another, which would then be in conflict.
 */
export function ownOrderId(n: string): string {
  return `fuzz-${n}-${[...n].reverse().join("")}`;
}

/** An order whose steps take no time. */
function goodOrder(n: string, random: Random): string {
  const order = { order_id: ownOrderId(n), amount: 1 + random.below(1000), delay_ms: perStep(() => 0) };
  return JSON.stringify(order, undefined, random.chance(0.2) ? 1 : undefined);
}

/** An order that breaks no rule and takes a while, or for ever, or fails; whose id others have, too. */
function slowOrder(random: Random, n: string): string {
  const ms = () => (random.chance(0.9) ? random.below(60) : 600_000);
  return JSON.stringify({
    order_id: random.chance(0.5) ? `shared-${random.below(50)}` : `slow-${n}`,
    amount: 1 + random.below(2),
    ...(random.chance(0.3) && { fail_step: random.pick(STEPS) }),
    delay_ms: perStep(ms),
    ...(random.chance(0.05) && { cpu_ms: { [random.pick(STEPS)]: random.below(4) } }),
  });
}

function bad(text: string): FuzzBody {
  return { bytes: Buffer.from(text), good: false };
}

function value(random: Random): string {
  return random.pick(random.pick([NUMBERS, STRINGS, OTHERS]));
}

/** Steps that take a while now and then, so that deadlines, failures and hang-ups meet orders that run. */
function someSteps(random: Random): string {
  const steps = [...STEPS, "paymen"];
  const one = () => `"${random.pick(steps)}":${random.chance(0.7) ? random.below(40) : random.chance(0.3) ? 600_000 : value(random)}`;
  return `{${Array.from({ length: random.below(4) }, one).join(",")}}`;
}

/** Mostly an order, in which some field is missing, doubled, of a wrong type or unknown. */
function object(random: Random, n: string): string {
  // Few ids, so that orders meet: conflicts, repeats, joined ones.
  const id = random.chance(0.5) ? `"shared-${random.below(50)}"` : `"own-${n}"`;
  const fields = [
    `"order_id":${random.chance(0.8) ? id : value(random)}`,
    `"amount":${random.chance(0.7) ? random.below(3) : value(random)}`,
  ];
  if (random.chance(0.4)) fields.push(`"delay_ms":${random.chance(0.8) ? someSteps(random) : value(random)}`);
  if (random.chance(0.2)) fields.push(`"fail_step":${random.chance(0.7) ? random.pick(STEP_STRINGS) : value(random)}`);
  if (random.chance(0.15)) fields.push(`${random.pick(KEYS)}:${value(random)}`);
  if (random.chance(0.1)) fields.splice(random.below(fields.length), 1);
  if (random.chance(0.1)) fields.push(random.pick(fields.length === 0 ? ['"a":1'] : fields));
  const separator = random.chance(0.95) ? "," : random.pick([",,", ";", "", ",\n\t ", ", \u00a0"]);
  return `{${fields.join(separator)}${random.chance(0.97) ? "}" : random.pick(["", ",}", "]", "}}"])}`;
}

function nested(random: Random): string {
  const depth = random.pick([2, 30, 500, 3_000, 8_000]);
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"a":', "}"],
  ] as const);
  const levels = Math.min(depth, Math.floor(16_000 / (open.length + close.length)));
  const inside = `${open.repeat(levels)}${random.pick(["1", "1.5", "{}", ""])}${random.chance(0.8) ? close.repeat(levels) : ""}`;
  return random.chance(0.5) ? inside : `{"order_id":"deep","amount":1,"delay_ms":${inside}}`;
}

/** Something before or behind it that has no place there, or nothing at all. */
function around(random: Random, text: string): string {
  const spaces = " ".repeat(random.below(20_000));
  return random.pick([
    `\ufeff${text}`,
    `${text}${text}`,
    `${text} null`,
    `${text}\0`,
    `[${text}]`,
    `${text}//`,
    `)]}',\n${text}`,
    text.slice(0, random.below(text.length)),
    text.replaceAll('"', "'"),
    `${spaces}${text}`,
    `${text}${spaces}`,
    `\u00a0${text}`,
    `\u2028${text}`,
    "",
    " ",
    `order_id=a&amount=1`,
    `--x\r\nContent-Disposition: form-data; name="order_id"\r\n\r\na\r\n--x--`,
  ]);
}

/** Bytes that are no UTF-8, or another encoding. */
function encoded(random: Random, text: string): Buffer {
  if (random.chance(0.2)) return Buffer.from(text, "utf16le");
  const bytes = Buffer.from(text);
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(BAD_UTF8), "hex"), bytes.subarray(at)]);
}
