import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { orderOf, postOrder } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

interface Event {
  readonly type: string;
  readonly data: { readonly order_id: string; readonly attempt: number; readonly error?: string };
}

/** A receiver on a port that stays the same, whether it is up or down. Throws away what is not signed well. */
class Receiver {
  readonly events: Event[] = [];
  readonly ids: string[] = [];
  badSignatures = 0;
  #server: Server | undefined;
  port = 0;

  async up(): Promise<void> {
    const server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      try {
        this.events.push(new Webhook(SECRET).verify(body, request.headers as Record<string, string>) as Event);
        this.ids.push(String(request.headers["webhook-id"]));
      } catch {
        this.badSignatures++;
      }
      response.writeHead(204).end();
    });
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async down(): Promise<void> {
    const server = this.#server;
    await new Promise((resolve) => {
      server?.close(resolve);
      server?.closeAllConnections();
    });
  }

  of(orderId: string): string[] {
    return this.events.filter(({ data }) => data.order_id === orderId).map(({ type }) => type);
  }
}

test("a receiver that is down, also while the service restarts, gets every event, signed and in order per order", async () => {
  const directory = mkdtempSync(join(tmpdir(), "webhooks-"));
  const secretFile = join(directory, "secret");
  writeFileSync(secretFile, `${SECRET}\n`);
  const receiver = new Receiver();
  await receiver.up();
  const settings = {
    JOURNAL: join(directory, "orders.db"),
    WEBHOOK_URL: `http://127.0.0.1:${receiver.port}/events`,
    WEBHOOK_SECRET_FILE: secretFile,
    COURIER_CAPACITY: "128",
    // On a busy machine no order may be refused as hopeless, nor time out.
    ORDER_TIMEOUT_MS: "60000",
  };
  const placed = Array.from({ length: 10 }, (_, n) => `placed ${n}`);
  const failed = Array.from({ length: 10 }, (_, n) => `failed ${n}`);
  const failing = (id: string) => ({ ...orderOf(id, 0), delay_ms: { payment: 0, vendor: 500, courier: 0 }, fail_step: "vendor" });
  try {
    {
      await using first = await startService(settings);
      await postOrder(first.port, orderOf("seen at once", 0));
      await eventually(
        "the first event",
        () => receiver.of("seen at once"),
        (types) => types.length > 0,
      );
      await receiver.down();
      const answers = await Promise.all(placed.map((id) => postOrder(first.port, orderOf(id, 0))));
      answers.push(...(await Promise.all(failed.map((id) => postOrder(first.port, failing(id))))));
      expect(answers.map(({ status }) => status)).toEqual([...placed.map(() => 200), ...failed.map(() => 503)]);
    }
    // What could not be delivered waits in the journal.
    expect(receiver.events).toHaveLength(1);
    await using second = await startService(settings);
    // The second attempt at one that failed: its events come after those of the first.
    await postOrder(second.port, orderOf("failed 0", 0));
    await receiver.up();
    await eventually(
      "all events",
      () => new Set(receiver.ids).size,
      (count) => count === 1 + 10 + 20 + 1,
      30_000,
    );
    for (const id of placed) expect(new Set(receiver.of(id))).toEqual(new Set(["order.placed"]));
    for (const id of failed.slice(1)) expect([...new Set(receiver.of(id))]).toEqual(["order.failed", "order.compensated"]);
    expect([...new Set(receiver.of("failed 0"))]).toEqual(["order.failed", "order.compensated", "order.placed"]);
    expect(receiver.events.find(({ type }) => type === "order.failed")?.data).toMatchObject({ attempt: 1, error: "vendor_unavailable" });
    expect(receiver.badSignatures).toBe(0);
  } finally {
    await receiver.down();
    rmSync(directory, { recursive: true, force: true });
  }
});
