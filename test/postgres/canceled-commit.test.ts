import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId, postOrder, send } from "../support/http-client.ts";
import { startPostgres } from "../support/postgres/index.ts";
import { startService } from "../support/service.ts";

const WAITING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'shop-1' AND wait_event = 'SyncRep'";

test("a commit whose wait for the standby is canceled is not taken for stored, until a later one has reached the standby", async () => {
  await using server = await startPostgres();
  const node = await startService({ JOURNAL: server.url, NODE_NAME: "shop-1", THREADS: "1", CPU_THREADS: "1" });
  const readiness = async () => (await send(node.port, { path: "/readyz" })).status;
  try {
    await server.query("ALTER SYSTEM SET synchronous_standby_names = 'none'");
    await server.query("SELECT pg_reload_conf()");
    let isAnswered = false;
    const answer = postOrder(node.port, { order_id: newId("waits"), amount: 1 }).finally(() => {
      isAnswered = true;
    });
    const waiting = () => server.query(WAITING);
    const [commit] = await eventually("the commit's wait", waiting, (rows) => rows.length === 1);
    await server.query("SELECT pg_cancel_backend($1)", [commit?.pid]);
    // The node has come back, and its first commit waits too.
    await eventually("the next wait", waiting, ([next]) => next !== undefined && next.pid !== commit?.pid);
    await sleep(200);
    expect([isAnswered, await readiness()]).toEqual([false, 503]);
    await server.query("ALTER SYSTEM RESET synchronous_standby_names");
    await server.query("SELECT pg_reload_conf()");
    expect(await answer).toMatchObject({ status: 200 });
    expect(await readiness()).toBe(200);
  } finally {
    await node.stop();
  }
});
