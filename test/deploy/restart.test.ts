import { mkdtempSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { orderOf, postOrder, send, threadsPage } from "../support/http-client.ts";
import { freePort } from "../support/postgres/free-port.ts";
import { RetryingProxy } from "../support/retrying-proxy.ts";

const RESTARTS = Number(process.env.RESTARTS ?? 1);
// Only a proxy that never meets what it is there for should ever need them.
const MAX_RESTARTS = RESTARTS + 9;
const CLIENTS = 16;
const ANSWERS_BETWEEN = 150;
const STEP_MS = 10;

interface Answered {
  readonly orderId: string;
  readonly status: number;
  readonly text: string;
}

// What a new version goes out by: SIGTERM, a new process on the same journal and port. Half of the clients are behind a proxy that
// keeps its connections to the server, half behind one that opens one for each request.
test.skipIf(process.platform === "win32")(
  `restarts under load behind a proxy that retries on 503 and refused connections: no request fails, no order is lost or runs twice`,
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "restart-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const port = await freePort();
    const settings = {
      PORT: String(port),
      JOURNAL: join(directory, "orders.db"),
      COURIER_CAPACITY: "128",
      ORDER_TIMEOUT_MS: "60000",
      SHUTDOWN_TIMEOUT_MS: "60000",
    };
    await using keeping = await RetryingProxy.start({ upstreamPort: port, keepsConnections: true });
    await using opening = await RetryingProxy.start({ upstreamPort: port, keepsConnections: false });
    const answered: Answered[] = [];
    let next = 0;
    let over = false;
    let inFlightAtSignals = 0;
    const agent = new Agent({ keepAlive: true });
    const client = async (proxy: RetryingProxy) => {
      while (!over) {
        const orderId = `order-${next++}`;
        const headers = { "idempotency-key": `key-of-${orderId}` };
        const { status, text } = await postOrder(proxy.port, orderOf(orderId, STEP_MS), { headers, agent });
        answered.push({ orderId, status, text });
      }
    };
    /** What a restart may bring, each of which one of them brings sooner or later. */
    const sights = () => [inFlightAtSignals, keeping.refused + opening.refused, keeping.unavailable, opening.unavailable];
    const hasSeenAll = () => sights().every((count) => count > 0);
    const clients = Array.from({ length: CLIENTS }, (_, n) => client(n % 2 === 0 ? keeping : opening));
    const all = Promise.all(clients);
    try {
      for (let restart = 0, isLast = false; !isLast; restart++) {
        await using server = new ChildServer(settings);
        const { adminPort } = await server.ports();
        const enough = answered.length + ANSWERS_BETWEEN;
        await Promise.race([
          all,
          eventually(
            "answers",
            () => answered.length,
            (count) => count >= enough,
          ),
        ]);
        isLast = (restart >= RESTARTS && hasSeenAll()) || restart === MAX_RESTARTS;
        if (isLast) {
          over = true;
          await all;
          expect([...keeping.broken, ...opening.broken]).toEqual([]);
          expect(answered.filter(({ status }) => status !== 200)).toEqual([]);
          await expectAsAnswered(port, answered);
          const { running, started, finished, orders_in_flight } = await threadsPage(adminPort);
          expect({ running, unfinished: started - finished, orders_in_flight }).toEqual({ running: 0, unfinished: 0, orders_in_flight: 0 });
        }
        server.signal("SIGTERM");
        expect(await server.exited).toEqual({ code: 0, signal: null });
        expect(server.stderr).toBe("");
        inFlightAtSignals += Number(/"orders_in_flight":(\d+),"msg":"draining"/.exec(server.stdout)?.[1]);
      }
    } finally {
      over = true;
      agent.destroy();
    }
    expect(answered.length).toBe(next);
    for (const count of sights()) expect(count).toBeGreaterThan(0);
    console.info(`${answered.length} orders, ${inFlightAtSignals} in flight at the signals; sent again`, {
      after503: keeping.unavailable + opening.unavailable,
      afterRefusal: keeping.refused + opening.refused,
      afterStall: keeping.stalled + opening.stalled,
    });
  },
);

/** Every order ran once, and its answer is the one in the journal. */
async function expectAsAnswered(port: number, answered: readonly Answered[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  await Promise.all(
    answered.map(async ({ orderId, status, text }) => {
      const { json } = await send(port, { path: `/order/${orderId}`, agent });
      const { status: outcome, order_id, steps } = json;
      expect([orderId, json.attempts_total, status]).toEqual([orderId, 1, 200]);
      expect({ status: outcome, order_id, steps }).toEqual(JSON.parse(text));
    }),
  );
  agent.destroy();
}
