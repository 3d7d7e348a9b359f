import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { MAX_READS } from "../../src/journal/read-limit.ts";
import { fillJournal } from "../support/filled-journal.ts";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

const ATTEMPTS = 2_000;
const PAGE = 20;

interface View {
  readonly status: string;
  readonly attempts_total: number;
  readonly attempts: readonly { readonly attempt: number; readonly status: string }[];
}

let directory: string;
let running: TestService;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "hot-order-"));
  const journal = join(directory, "orders.db");
  await fillJournal(journal, { hotAttempts: ATTEMPTS });
  running = await startService({ JOURNAL: journal });
});

afterAll(async () => {
  await running.stop();
  rmSync(directory, { recursive: true, force: true });
});

const numbers = ({ attempts }: View) => attempts.map(({ attempt }) => attempt);
const range = (from: number, count: number) => Array.from({ length: count }, (_, n) => from + n);

test("an order with very many attempts is answered with the newest ones and their number, the others in pages", async () => {
  const first = await send(running.port, { path: "/order/hot" });
  const view: View = first.json;
  expect([first.status, view.status, view.attempts_total]).toEqual([200, "error", ATTEMPTS]);
  expect(numbers(view)).toEqual(range(ATTEMPTS - PAGE + 1, PAGE));
  // Whatever their number, the answer is as long as twenty of them.
  expect(first.text.length).toBeLessThan(16_384);

  const next: View = (await send(running.port, { path: `/order/hot?before=${numbers(view)[0]}` })).json;
  expect([next.attempts_total, numbers(next)]).toEqual([ATTEMPTS, range(ATTEMPTS - 2 * PAGE + 1, PAGE)]);
  expect(numbers((await send(running.port, { path: "/order/hot?before=4" })).json)).toEqual([1, 2, 3]);
  expect(numbers((await send(running.port, { path: "/order/hot?before=1" })).json)).toEqual([]);
});

test.each(["0", "1.5", "x", ""])("?before=%s is refused by name and rule", async (before) => {
  const { status, json } = await send(running.port, { path: `/order/hot?before=${before}` });
  expect([status, json.error]).toEqual([400, { kind: "bad_request", message: "before: must be the number of an attempt, 1 or more" }]);
});

test("look-ups past the bound are refused, and orders go on", async () => {
  const { journal } = running.service;
  const find = journal.find.bind(journal);
  const others: Promise<unknown>[] = [];
  const spy = vi.spyOn(journal, "find").mockImplementationOnce((...look) => {
    // As many as may wait, and in the turn of the request's own, so that none has ended before it.
    for (let n = 0; n < MAX_READS; n++) others.push(find("hot"));
    return find(...look);
  });
  try {
    const [look, order] = await Promise.all([send(running.port, { path: "/order/hot" }), postOrder(running.port, orderOf("beside it", 0))]);
    expect([look.status, look.json.error.kind, look.headers["retry-after"]]).toEqual([503, "overloaded", "1"]);
    expect(order.status).toBe(200);
    await Promise.all(others);
    expect((await send(running.port, { path: "/order/hot" })).status).toBe(200);
  } finally {
    spy.mockRestore();
  }
});

const pathOf = (id: string) => `/order/${encodeURIComponent(id)}`;

test.each(["plain", "with space", "a/b?c#d%", "...", "\u00e9\ud55c", "😀".repeat(128), "-"])(
  "an order can be looked up by its id: %s",
  async (id) => {
    expect((await postOrder(running.port, orderOf(id, 0))).status).toBe(200);
    expect(await send(running.port, { path: pathOf(id) })).toMatchObject({ status: 200, json: { order_id: id } });
  },
);

test.each([
  ["a dot", "."],
  ["two dots", ".."],
  ["two dots, encoded", "%2e%2e"],
  ["a space at the end", "plain%20"],
  ["another way to write an accent", encodeURIComponent("e\u0301\ud55c")],
  ["a zero width space", encodeURIComponent("pl\u200bain")],
  ["a line break", "plain%0a"],
  ["too many characters", "x".repeat(129)],
])("no order has %s in its id: not found, without a look into the journal", async (_what, encoded) => {
  const looked = vi.spyOn(running.service.journal, "find");
  // As it stands: clients of their own accord take dots for steps in a path.
  expect(await send(running.port, { path: `/order/${encoded}` })).toMatchObject({ status: 404, json: { error: { kind: "not_found" } } });
  expect(await send(running.port, { method: "HEAD", path: `/order/${encoded}` })).toMatchObject({ status: 404 });
  expect(looked).not.toHaveBeenCalled();
  looked.mockRestore();
});

test.each([".", "..", "e\u0301", "a\u200b", " a", "a "])("and none can be placed with %j", async (id) => {
  const answer = await postOrder(running.port, orderOf(id, 0));
  expect(answer).toMatchObject({
    status: 400,
    json: { error: { kind: "bad_request", message: expect.stringMatching(/^order_id: must be/) } },
  });
});
