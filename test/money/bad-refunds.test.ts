import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { postOrder, send } from "../support/http-client.ts";
import { type OldRefund, OldRows } from "./old-rows.ts";
import { type Call, Provider, type Treatment } from "./provider.ts";

const BAD = 1_000;
const GOOD = 100;
// Retries that one provider gets at one time.
const LANES = 32;
const TIMEOUT_MS = 300;
// What the next pause begins at after a fourth failure: half of 200 ms, doubled three times.
const TRIED_OFTEN = 3;
const PAUSE_MS = 800;
// Every tenth bad one has been refused for so long that it is tried once an hour.
const TRIED_FOR_DAYS = 30;
const NEW_ORDERS = 150;
const EVERY_MS = 20;
const MINUTE_MS = 60_000;

const SETTINGS = { COURIER_CAPACITY: "128" };
const WAYS: readonly Treatment[] = [{ status: 500 }, "hang", "cut"];
const HANGING = Math.ceil((BAD - 1) / WAYS.length);

const TRIED_TOO_LITTLE = `
  SELECT 1 FROM compensations JOIN attempts a ON a.id = attempt_id
  WHERE order_id LIKE 'bad-%' AND tries < CASE WHEN tries < ${TRIED_FOR_DAYS} THEN ${TRIED_OFTEN + 2} ELSE ${TRIED_FOR_DAYS + 1} END
`;

const isHourly = (n: number) => n % 10 === 0;
const indexOf = ({ orderId }: Call) => Number(orderId.split("-")[1]);

/** The bad ones have been due for longer, so the good ones are behind all of them. */
function badAndGood(): OldRefund[] {
  const bad = Array.from({ length: BAD }, (_, n) => ({
    orderId: `bad-${n}`,
    tries: isHourly(n) ? TRIED_FOR_DAYS : TRIED_OFTEN,
    dueSinceMs: 60_000,
  }));
  const good = Array.from({ length: GOOD }, (_, n) => ({ orderId: `good-${n}`, tries: TRIED_OFTEN, dueSinceMs: 30_000 }));
  return [...bad, ...good];
}

/** New orders pay, and then fail at the vendor. Their refunds are answered with `status`. */
function treat(call: Call, status: number): Treatment {
  if (call.path === "/orders") return { status: 422, afterMs: 50 };
  if (call.path === "/refunds" && call.orderId.startsWith("bad-")) return WAYS[indexOf(call) % WAYS.length] as Treatment;
  return { status: call.path === "/refunds" && call.orderId.startsWith("new-") ? status : 200 };
}

test("1000 refunds that never succeed: the 100 due behind them are made when it is their turn, and before bad ones have a second one", async () => {
  await fastOnce("the last good refund, after its turn,", 2_000, async () => {
    using rows = await OldRows.make();
    await using provider = await Provider.listen((call) => treat(call, 200));
    const settings = { ...SETTINGS, ...provider.settings, COMPENSATION_TIMEOUT_MS: String(TIMEOUT_MS) };
    await using server = new ChildServer({ ...settings, JOURNAL: rows.file });
    const { adminPort } = await server.ports();
    const add = async (refunds: readonly OldRefund[]) => {
      const first = rows.addRefunds(refunds);
      // So that rows of another program are seen at once.
      await send(adminPort, { method: "POST", path: `/compensations/${first}/retry` });
    };
    const isDone = (prefix: string) =>
      rows.query(`SELECT 1 FROM compensations JOIN attempts a ON a.id = attempt_id WHERE order_id LIKE '${prefix}%' AND state <> 'done'`)
        .length === 0;

    // What so many calls cost on this machine now, where none of them hangs.
    const startedMs = performance.now();
    await add(Array.from({ length: BAD + GOOD }, (_, n) => ({ orderId: `well-${n}`, tries: TRIED_OFTEN, dueSinceMs: 60_000 })));
    await eventually("those that are all well", () => isDone("well-"));
    const wellMs = performance.now() - startedMs;

    await add(badAndGood());
    await eventually("the good refunds", () => isDone("good-"));
    const good = provider.to("/refunds", "good-");
    expect(new Set(good.map(({ orderId }) => orderId)).size).toBe(GOOD);
    const lastMs = Math.max(...good.map(({ beganMs }) => beganMs));
    const before = provider.to("/refunds", "bad-").filter(({ beganMs }) => beganMs < lastMs);
    // On a slow machine a good one may miss its deadline, and has a later turn.
    const twice = before.length - new Set(before.map(({ orderId }) => orderId)).size;

    // By their rows: a try that a slow machine did not send before its deadline never came to the provider.
    await eventually("each bad one to be tried again", () => rows.query(TRIED_TOO_LITTLE).length === 0);
    expectPauses(provider.to("/refunds", "bad-"));
    expectDates(rows);
    // What is done is not made again.
    expect(provider.to("/refunds", "good-")).toHaveLength(good.length);
    // What hangs holds its lane for the deadline of a call; all else costs what it costs where all is well.
    const turnMs = (before[0] as Call).beganMs + Math.ceil(HANGING / LANES) * TIMEOUT_MS + wellMs;
    return twice > LANES ? Number.POSITIVE_INFINITY : lastMs - turnMs;
  });
});

/** Never at once, and each pause of a row at least twice the least that the one before might have been. */
function expectPauses(calls: readonly Call[]): void {
  const byRow = Map.groupBy(calls, ({ orderId }) => orderId);
  for (const [orderId, tries] of byRow) {
    for (const [n, { beganMs }] of tries.entries()) {
      const next = tries[n + 1];
      // This process may have seen the first of the two late.
      if (next !== undefined)
        expect([orderId, n, next.beganMs - beganMs]).toEqual([orderId, n, expect.toSatisfy((ms) => ms > (PAUSE_MS * 2 ** n) / 2)]);
    }
  }
}

/** Those that were tried for days have one try an hour: in half an hour at the earliest, and in an hour at the latest. */
function expectDates(rows: OldRows): void {
  const hourly = rows.query<{ next: number }>(`SELECT next_try_ms AS next FROM compensations WHERE tries > ${TRIED_FOR_DAYS}`);
  expect(hourly).toHaveLength(BAD / 10);
  const nowMs = Date.now();
  const pauses = hourly.map(({ next }) => next - nowMs);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(60 * MINUTE_MS);
  expect(Math.min(...pauses)).toBeGreaterThan(29 * MINUTE_MS);
}

// Refused ones take the address down, whose retries wait then: first tries go on, because it answers.
test.each([200, 500])(
  "beside 1000 refunds that never succeed, first tries of new orders that are answered %i begin at once",
  async (status) => {
    await fastOnce("the first refund of 99 of 100 new orders, after the order's answer,", 1_000, async () => {
      using rows = await OldRows.make();
      rows.addRefunds(badAndGood().slice(0, BAD));
      await using provider = await Provider.listen((call) => treat(call, status));
      await using server = new ChildServer({ ...SETTINGS, ...provider.settings, JOURNAL: rows.file });
      const { port } = await server.ports();
      await eventually("bad ones to be tried", () => provider.to("/refunds", "bad-").length > LANES);
      const answered = new Map<string, number>();
      const order = async (n: number) => {
        await sleep(n * EVERY_MS);
        const { json } = await postOrder(port, { order_id: `new-${n}`, amount: 100 });
        // Of an order that was refused under load nothing has run.
        if (json.steps?.[0].status === "ok") answered.set(json.order_id, performance.now());
      };
      await Promise.all(Array.from({ length: NEW_ORDERS }, (_, n) => order(n)));
      expect(answered.size).toBeGreaterThan(NEW_ORDERS / 2);
      const first = () =>
        new Map(
          provider
            .to("/refunds", "new-")
            .toReversed()
            .map(({ orderId, beganMs }) => [orderId, beganMs]),
        );
      await eventually("the refund of each", () => answered.keys().every((orderId) => first().has(orderId)));
      const began = first();
      const lateMs = [...answered].map(([orderId, answeredMs]) => (began.get(orderId) as number) - answeredMs).sort((a, b) => a - b);
      return lateMs[Math.floor(lateMs.length * 0.99)] as number;
    });
  },
);
