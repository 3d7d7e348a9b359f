import { describe, expect, test } from "vitest";
import { noteAnswer, noteAsked } from "../../load/ledger/answers.ts";
import { noteEvent } from "../../load/ledger/events.ts";
import { KnownOrder } from "../../load/ledger/known-order.ts";

const OK = '{"status":"ok","order_id":"o1","steps":[]}';
const OTHER_OK = OK.replace("[]", "[1]");
const FAILED = '{"status":"error","order_id":"o1","steps":[],"error":{"kind":"internal"}}';
const CANCELED = FAILED.replace("internal", "canceled");
const REFUSED = '{"status":"error","error":{"kind":"overloaded"}}';

type Exchange = readonly [amount: number, key: string | undefined, status: number, text: string, replayed?: boolean];

/** What is wrong with each answer of a conversation, one after another. */
function wrongs(order: KnownOrder, exchanges: readonly Exchange[]): (string | undefined)[] {
  return exchanges.map(([amount, key, status, text, replayed = false], n) => {
    const asked = { amount, sentMs: 10 * n, ...(key !== undefined && { key }) };
    noteAsked(order, asked);
    return noteAnswer(order, asked, { status, text, replayed, atMs: 10 * n + 5 });
  });
}

const placed: Exchange = [1, "k", 200, OK];
const failed: Exchange = [1, "k", 500, FAILED];
const withoutKey: Exchange = [1, undefined, 200, OK];

test.each<[string, Exchange[]]>([
  ["a placed order is answered by the same bytes", [placed, [1, "k", 200, OK, true], withoutKey]],
  ["a failed order frees its id, and not its key", [failed, [1, "l", 200, OK], [1, "k", 500, FAILED, true]]],
  ["a refused request binds nothing", [[1, "k", 503, REFUSED], placed]],
  ["a canceled attempt binds nothing", [[1, "k", 408, CANCELED], placed]],
  ["a placed order may be refused for another reason", [placed, [1, "k", 503, REFUSED]]],
  ["another body is refused", [placed, [2, "k", 422, REFUSED], [2, undefined, 409, REFUSED]]],
  [
    "a key may hold an answer that never arrived",
    [
      [1, "l", 200, OK],
      [1, "k", 500, FAILED, true],
    ],
  ],
])("well answered: %s", (_what, exchanges) => {
  expect(wrongs(new KnownOrder("o1", 1), exchanges)).toEqual(exchanges.map(() => undefined));
});

test.each<[string, Exchange[], RegExp]>([
  ["another answer under the key", [failed, placed], /the key had another answer/],
  ["placed twice", [placed, [1, "l", 200, OTHER_OK]], /placed with another answer/],
  ["placed, then failed", [withoutKey, [1, undefined, 500, FAILED]], /^it is placed/],
  ["placed, then failed under a new key", [withoutKey, failed], /^it is placed/],
  ["placed with another amount", [withoutKey, [2, undefined, 200, OK]], /409 was due/],
  ["another body that is answered", [failed, [2, "k", 500, FAILED, true]], /422 was due/],
  ["422 for the very body", [failed, [2, "k", 422, REFUSED], [1, "k", 422, REFUSED]], /this very body/],
  ["422 without another body", [failed, [1, "k", 422, REFUSED]], /one body only/],
  ["409 without another amount", [withoutKey, [1, undefined, 409, REFUSED]], /one amount only/],
  ["409 for the very amount", [withoutKey, [2, undefined, 409, REFUSED], [1, undefined, 409, REFUSED]], /this very amount/],
  ["an answer to another order", [[1, undefined, 200, OK.replace("o1", "o2")]], /that of o2/],
  ["no JSON", [[1, undefined, 200, "<html>"]], /no JSON/],
])("badly answered: %s", (_what, exchanges, wrong) => {
  const found = wrongs(new KnownOrder("o1", 1), exchanges);
  expect(found).toEqual([...exchanges.slice(1).map(() => undefined), expect.stringMatching(wrong)]);
});

test("what a restore took back binds no more, and what it kept does", () => {
  const order = new KnownOrder("o1", 1);
  expect(wrongs(order, [failed, [1, "l", 200, OK]])).toEqual([undefined, undefined]);
  order.rewind(10, 1);
  expect(wrongs(order, [[1, "l", 200, OTHER_OK]])).toEqual([undefined]);
  expect(wrongs(order, [placed])).toEqual([expect.stringMatching(/another answer/)]);
  // Until the word an id may be refused.
  expect(wrongs(order, [[1, "n", 409, REFUSED]])).toEqual([undefined]);
});

describe("events", () => {
  const event = (id: string, type: string, attempt: number) => ({ id, type: `order.${type}`, attempt, taken: true });
  const wrongsOf = (events: readonly ReturnType<typeof event>[], order = new KnownOrder("o1", 1)) =>
    events.map((one) => noteEvent(order, one));
  const [failed, compensated, placed] = [event("a", "failed", 1), event("b", "compensated", 1), event("c", "placed", 2)];

  test("may come in their order, some twice in a row", () => {
    expect(wrongsOf([failed, failed, placed, placed, compensated])).toEqual(new Array(5).fill(undefined));
  });

  test.each([
    ["an older one after a newer", [failed, placed, failed], /came again after/],
    ["compensated before failed", [compensated], /before the attempt had failed/],
    ["an earlier attempt after a later", [placed, failed], /came after/],
    ["failed after placed", [event("a", "placed", 1), event("b", "failed", 2)], /although the order was placed/],
    ["both ends of one attempt", [failed, event("b", "placed", 1)], /came after/],
    ["two ids for one event", [failed, event("b", "failed", 1)], /two ids/],
    ["one id for two events", [failed, event("a", "compensated", 1)], /was order.failed/],
    ["an unknown type", [event("a", "strange", 1)], /no events/],
  ])("must not come: %s", (_what, events, wrong) => {
    expect(wrongsOf(events)).toEqual([...events.slice(1).map(() => undefined), expect.stringMatching(wrong)]);
  });

  test("come again after a restore, perhaps otherwise", () => {
    const order = new KnownOrder("o1", 1);
    expect(wrongsOf([failed, placed], order)).toEqual([undefined, undefined]);
    order.rewind(0, 1);
    expect(wrongsOf([failed, event("d", "failed", 2)], order)).toEqual([undefined, undefined]);
  });
});
