import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { orderOf, postOrder, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

let server: TestService;
beforeAll(async () => {
  server = await startService();
});
afterAll(() => server.stop());

const pathOf = (id: string) => `/order/${encodeURIComponent(id)}`;

test.each(["plain", "with space", "a/b?c#d%", "...", "\u00e9\ud55c", "😀".repeat(128), "-"])(
  "an order can be looked up by its id: %s",
  async (id) => {
    expect((await postOrder(server.port, orderOf(id, 0))).status).toBe(200);
    expect(await send(server.port, { path: pathOf(id) })).toMatchObject({ status: 200, json: { order_id: id } });
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
  const looked = vi.spyOn(server.service.journal, "find");
  // As it stands: clients of their own accord take dots for steps in a path.
  expect(await send(server.port, { path: `/order/${encoded}` })).toMatchObject({ status: 404, json: { error: { kind: "not_found" } } });
  expect(await send(server.port, { method: "HEAD", path: `/order/${encoded}` })).toMatchObject({ status: 404 });
  expect(looked).not.toHaveBeenCalled();
  looked.mockRestore();
});

test.each([".", "..", "e\u0301", "a\u200b", " a", "a "])("and none can be placed with %j", async (id) => {
  const answer = await postOrder(server.port, orderOf(id, 0));
  expect(answer).toMatchObject({
    status: 400,
    json: { error: { kind: "bad_request", message: expect.stringMatching(/^order_id: must be/) } },
  });
});
