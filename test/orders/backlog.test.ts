import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startStandIn } from "../../load/stand-in/stand-in.ts";
import { Journal } from "../../src/journal/journal.ts";
import { perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { fillJournal } from "../support/filled-journal.ts";
import { postOrder, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

const MANY = { pendingOrders: 2_000, events: 1_500 };
// Rows tried at one time, for each provider and for events.
const RETRIES = 32;
const DELIVERIES = 16;
// As many as may be tried at one time of the kind that is tried most.
const PAGE = 64;

let directory: string;
let receiver: Server;
const pages: number[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "backlog-"));
  writeFileSync(join(directory, "secret"), `whsec_${Buffer.alloc(32, 7).toString("base64")}\n`);
  // It never answers.
  receiver = createServer(() => {});
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  pages.length = 0;
  for (const take of ["takeCompensations", "takeEvents"] as const) {
    const original = Journal.prototype[take] as (...args: unknown[]) => Promise<{ items: readonly unknown[] }>;
    vi.spyOn(Journal.prototype, take).mockImplementation(async function (this: Journal, ...args: unknown[]) {
      const page = await original.apply(this, args);
      pages.push(page.items.length);
      return page as never;
    });
  }
});

afterEach(async () => {
  vi.restoreAllMocks();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

const settings = () => ({
  // Beside a backlog, on a busy machine, an order may take longer than the usual two seconds.
  ORDER_TIMEOUT_MS: "60000",
  JOURNAL: join(directory, "orders.db"),
  WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
  WEBHOOK_SECRET_FILE: join(directory, "secret"),
});

test("a start with 6000 compensations and 1500 events that nobody takes: ready at once, and nothing in memory for what waits", async () => {
  await fillJournal(join(directory, "orders.db"), MANY);
  const standIn = await startStandIn({ rates: { compensate: { hang: 1 } } });
  const timersBefore = timers();
  const urls = { ...perStepSetting("URL", () => standIn.url) };
  const running = await startService({ ...settings(), ...urls, COMPENSATION_TIMEOUT_MS: "300000" });
  try {
    expect(await send(running.port, { path: "/readyz" })).toMatchObject({ status: 200 });
    const { service } = running;
    await eventually("as many tries as there may be", () => service.compensator.inFlight === STEPS.length * RETRIES);
    expect(await postOrder(running.port, { order_id: "new", amount: 1 })).toMatchObject({ status: 200 });
    const { compensations, events } = await service.journal.backlog();
    expect(STEPS.map((step) => compensations[step].count)).toEqual(STEPS.map(() => MANY.pendingOrders));
    expect(events.count).toBe(MANY.events + 1);
    // A deadline for each try, and a few of the service's own.
    expect(timers() - timersBefore).toBeLessThan(2 * (STEPS.length * RETRIES + DELIVERIES) + 50);
    expect(Math.max(...pages)).toBeLessThanOrEqual(PAGE);
    expect(pages.reduce((sum, rows) => sum + rows, 0)).toBeLessThan((STEPS.length + 1) * 2 * PAGE);
    expect(service.threads.counters().groups).toBe(STEPS.length * RETRIES);
  } finally {
    await running.stop();
    await standIn.close();
  }
});
