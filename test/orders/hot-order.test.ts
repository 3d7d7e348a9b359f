import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fillJournal } from "../../load/long-run/filled-journal.ts";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

const ATTEMPTS = 20_000;
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

test.each(["0", "-1", "1.5", "x", ""])("?before=%s is refused by name and rule", async (before) => {
  const { status, json } = await send(running.port, { path: `/order/hot?before=${before}` });
  expect([status, json.error]).toEqual([400, { kind: "bad_request", message: "before: must be the number of an attempt, 1 or more" }]);
});

test("a flood of look-ups is refused past a bound, and orders go on", async () => {
  const looks = Promise.all(Array.from({ length: 1_500 }, () => send(running.port, { path: "/order/hot" })));
  const order = await postOrder(running.port, orderOf("beside it", 0));
  expect(order.status).toBe(200);
  for (const { status, headers } of await looks) {
    expect([200, 503]).toContain(status);
    if (status === 503) expect(headers["retry-after"]).toBe("1");
  }
  expect((await send(running.port, { path: "/order/hot" })).status).toBe(200);
});
