import { expect, test, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";
import { fail } from "./fixture.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

test("once a minute a running service deletes what is older than RETENTION_DAYS and warns of what is stuck", async () => {
  const { setTimeout: real } = globalThis;
  // Only these pauses are that long, and they alone pass at once.
  const shortened = (work: () => void, ms?: number) => real(work, ms === MINUTE_MS ? 1 : ms);
  const spy = vi.spyOn(globalThis, "setTimeout").mockImplementation(shortened as typeof setTimeout);
  try {
    await using server = await startService({ RETENTION_DAYS: "1" });
    const { journal } = server.service;
    await fail(journal, "old", [], Date.now() - 2 * DAY_MS);
    await fail(journal, "stuck", ["payment"], Date.now() - 10 * MINUTE_MS);
    const statusOf = async (order: string) => (await send(server.port, { path: `/order/${order}` })).status;
    await eventually("the old one to be gone", async () => (await statusOf("old")) === 404);
    const warning = /^compensations or events have waited for more than 5 minutes$/;
    const line = await eventually("a warning", () => server.logged.find(({ msg }) => warning.test(msg)));
    expect(line).toMatchObject({ level: 40, compensations: { payment: { pending: 1 } } });
    expect(await statusOf("stuck")).toBe(200);
  } finally {
    spy.mockRestore();
  }
});
