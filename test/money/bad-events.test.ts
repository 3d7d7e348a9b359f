import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { fastOnce } from "../support/fast-once.ts";
import { orderOf, postOrder } from "../support/http-client.ts";
import { OldRows } from "./old-rows.ts";

const BAD = 1_000;
const GOOD = 100;
const NEW_ORDERS = 60;
// What the first pause of an event is at least.
const PAUSE_MS = 500;

interface Arrival {
  readonly id: string;
  readonly orderId: string;
  readonly atMs: number;
}

let receiver: Server;
let arrivals: Arrival[];
/** How events of the bad order are answered. */
let badly: number | "hang";

beforeEach(async () => {
  arrivals = [];
  receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const orderId = JSON.parse(Buffer.concat(chunks).toString()).data.order_id;
    arrivals.push({ id: String(request.headers["webhook-id"]), orderId, atMs: performance.now() });
    if (orderId !== "bad") response.writeHead(204).end();
    else if (badly !== "hang") response.writeHead(badly).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  const closed = new Promise((resolve) => receiver.close(resolve));
  receiver.closeAllConnections();
  await closed;
});

const of = (prefix: string) => arrivals.filter(({ orderId }) => orderId.startsWith(prefix));

test.each([500, "hang"] as const)(
  "1000 events of one order, answered so: %s, keep those of others behind them waiting as little as those of new orders",
  async (how) => {
    badly = how;
    await fastOnce("an event of another order", 1_000, async () => {
      arrivals = [];
      using rows = await OldRows.make();
      rows.addEvents([
        ...Array.from({ length: BAD }, (_, n) => ({ id: `evt_bad_${n}`, orderId: "bad", dueSinceMs: 60_000 })),
        ...Array.from({ length: GOOD }, (_, n) => ({ id: `evt_good_${n}`, orderId: `good-${n}`, dueSinceMs: 30_000 })),
      ]);
      const secret = join(rows.directory, "secret");
      writeFileSync(secret, `whsec_${Buffer.alloc(32, 7).toString("base64")}\n`);
      const { port: receiverPort } = receiver.address() as AddressInfo;
      const settings = { WEBHOOK_URL: `http://127.0.0.1:${receiverPort}/`, WEBHOOK_SECRET_FILE: secret, COURIER_CAPACITY: "128" };
      await using server = new ChildServer({ ...settings, JOURNAL: rows.file });
      const { port } = await server.ports();
      await eventually("the events of others", () => new Set(of("good-").map(({ orderId }) => orderId)).size === GOOD);
      const goodMs = Math.max(...of("good-").map(({ atMs }) => atMs)) - (arrivals[0] as Arrival).atMs;

      const answered = new Map<string, number>();
      const order = async (n: number) => {
        await sleep(n * 30);
        const { status } = await postOrder(port, orderOf(`new-${n}`, 1));
        if (status === 200) answered.set(`new-${n}`, performance.now());
      };
      await Promise.all(Array.from({ length: NEW_ORDERS }, (_, n) => order(n)));
      expect(answered.size).toBeGreaterThan(NEW_ORDERS / 2);
      const arrived = () => new Map(of("new-").map(({ orderId, atMs }) => [orderId, atMs]));
      await eventually("the events of new orders", () => answered.keys().every((orderId) => arrived().has(orderId)));
      const late = arrived();
      const lateMs = [...answered].map(([orderId, atMs]) => (late.get(orderId) as number) - atMs);

      // The bad order has been tried, its first event alone, again unless it hangs, and after pauses that grow.
      if (how !== "hang") await eventually("further tries", () => of("bad").length > 2);
      expect(new Set(of("bad").map(({ id }) => id))).toEqual(new Set(["evt_bad_0"]));
      const tries = of("bad").map(({ atMs }) => atMs);
      // This process may have seen the first of the two late.
      for (const [n, atMs] of tries.slice(1).entries()) expect(atMs - (tries[n] as number)).toBeGreaterThan((PAUSE_MS * 2 ** n) / 2);
      const [waits] = rows.query<{ events: number }>("SELECT count(*) AS events FROM outbox WHERE order_id = 'bad'");
      expect(waits?.events).toBe(BAD);
      // None of the others came twice.
      expect(arrivals.length - tries.length).toBe(new Set(arrivals.map(({ id }) => id)).size - 1);
      return Math.max(goodMs, ...lateMs);
    });
  },
);
