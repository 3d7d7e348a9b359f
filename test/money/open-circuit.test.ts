import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { postOrder, send } from "../support/http-client.ts";
import { OldRows } from "./old-rows.ts";
import { Provider } from "./provider.ts";

const REFUNDS = 600;
// The least that a well address gets.
const PER_SECOND = 50;
const RETRY_AFTER_S = 5;
const OPEN = 2;

test("600 refunds are made at an address that is well while payments at another one are refused, and payments get probes only", async () => {
  await fastOnce("to make them", (REFUNDS / PER_SECOND) * 1_000, async () => {
    using rows = await OldRows.make();
    await using provider = await Provider.listen(({ path }) => {
      if (path === "/payments") return { status: 503, headers: { "retry-after": String(RETRY_AFTER_S) } };
      return { status: 200, afterMs: path === "/refunds" ? 20 : 0 };
    });
    await using server = new ChildServer({ ...provider.settings, JOURNAL: rows.file, COURIER_CAPACITY: "128" });
    const { port, adminPort } = await server.ports();
    const circuit = async () =>
      Number(/^circuit_state\{step="payment"\} (\d)$/m.exec((await send(adminPort, { path: "/metrics" })).text)?.[1]);

    let stopped = false;
    let orders = 0;
    const customer = async () => {
      while (!stopped) {
        await postOrder(port, { order_id: `new-${orders++}`, amount: 100 });
        await sleep(20);
      }
    };
    const customers = Promise.all([customer(), customer()]);
    const states = new Set<number>();
    try {
      await eventually("the circuit to open", circuit, (state) => state === OPEN);
      const [openMs, ordersBefore] = [performance.now(), orders];
      const first = rows.addRefunds(Array.from({ length: REFUNDS }, (_, n) => ({ orderId: `old-${n}`, tries: 3, dueSinceMs: 60_000 - n })));
      // So that rows of another program are seen at once.
      expect((await send(adminPort, { method: "POST", path: `/compensations/${first}/retry` })).status).toBe(200);
      await eventually("the refunds", async () => {
        states.add(await circuit());
        return rows.query("SELECT 1 FROM compensations WHERE tries >= 3 AND state <> 'done'").length === 0;
      });
      const made = provider.to("/refunds", "old-");
      expect(new Set(made.map(({ orderId }) => orderId)).size).toBe(REFUNDS);
      expect(made).toHaveLength(REFUNDS);

      // Until payments have been probed once and refused again.
      const probes = () => provider.to("/payments").filter(({ beganMs }) => beganMs > openMs + 1_000).length;
      await eventually("a probe", () => probes() > 0);
      states.add(await circuit());
      expect([...states]).toEqual([OPEN]);
      expect(orders).toBeGreaterThan(ordersBefore);
      const elapsedMs = performance.now() - openMs;
      // After each time for which the provider asks: three in a row that are asked to wait hold all others back again.
      expect(probes()).toBeLessThanOrEqual(3 * (1 + elapsedMs / (RETRY_AFTER_S * 1_000)));
      const [begin, end] = [made[0]?.beganMs, made.at(-1)?.endedMs] as [number, number];
      return end - begin;
    } finally {
      stopped = true;
      await customers;
    }
  });
});
