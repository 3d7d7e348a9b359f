import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId } from "../support/http-client.ts";
import type { NodeProcess } from "./node-process.ts";
import { Site } from "./site.ts";

// Longer than a poll of those that wait, many times over.
const GOES_ON_MS = 600;

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("an order goes on while a client at any node waits for it, and is canceled when the last one has hung up", async () => {
  await using site = await Site.open();
  const [one, two] = [await site.start("one", { ORDER_TIMEOUT_MS: "40000" }), await site.start("two", { ORDER_TIMEOUT_MS: "40000" })];
  const id = newId("hung-up");
  site.providers.hold(id);
  const clients: { readonly answer: ReturnType<NodeProcess["order"]>; readonly hangUp: () => void }[] = [];
  for (const node of [one, two, two]) {
    const { signal, abort } = abortable();
    clients.push({ answer: node.order(id, { signal }), hangUp: abort });
    // The first one has it run at its node.
    await eventually(`the courier call of ${id}`, () => site.providers.waiting.has(`${id}:1:courier`));
  }
  const waiters = (count: number) =>
    eventually(
      `${count} that wait at another node`,
      () => site.count("waiters", `order_id = '${id}'`),
      (found) => found === count,
    );
  // A node has one row for all that wait there.
  await waiters(1);
  const goesOn = async () => {
    await pause(GOES_ON_MS);
    expect(await two.shown(id)).toMatchObject({ status: "running", attempts_total: 1 });
    expect(site.providers.waiting).toContain(`${id}:1:courier`);
    expect(site.providers.of(id, 1).filter((call) => call.startsWith("undo"))).toEqual([]);
  };
  // That of the node that runs it; then one of two at the other.
  for (const client of clients.slice(0, 2)) {
    client.hangUp();
    expect(await client.answer).toBeUndefined();
    await goesOn();
  }
  await waiters(1);
  clients[2]?.hangUp();
  await waiters(0);
  const { attempts } = await eventually(
    "its end",
    () => one.shown(id),
    ({ status }) => status === "error",
  );
  expect(attempts).toMatchObject([{ status: "error", error: { kind: "canceled" } }]);
  await eventually("its compensations", () => site.providers.of(id, 1).filter((call) => call.startsWith("undo")).length === 3);
  expect(site.providers.waiting).not.toContain(`${id}:1:courier`);
  // Nobody had an answer, so it may be sent again.
  site.providers.letGo(id);
  expect(await two.order(id)).toMatchObject({ status: 200 });
  expect(await one.shown(id)).toMatchObject({ status: "ok", attempts_total: 2 });
});
