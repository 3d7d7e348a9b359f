import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { type StandIn, startStandIn } from "../../load/stand-in/stand-in.ts";
import { perStepSetting, STEPS } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService } from "../support/service.ts";

const ORDER = { order_id: "mine", amount: 1200 };
const KEYED = { headers: { "idempotency-key": "my-key" } };
const OTHER_KEY = { headers: { "idempotency-key": "another-key" } };

let standIn: StandIn;
let directory: string;
let settings: Record<string, string>;
let held: PromiseWithResolvers<void>;
let waiting: number;
let refuses: boolean;
let lock: DatabaseSync | undefined;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "unstored-"));
  held = Promise.withResolvers();
  waiting = 0;
  refuses = false;
  standIn = await startStandIn({
    // The vendor answers the first attempt when the journal is locked.
    faultModeOf({ step, action, key }) {
      if (step !== "vendor" || action !== "perform" || !key.includes(":1:")) return undefined;
      waiting++;
      return { type: refuses ? "refuse" : "answer", after: held.promise };
    },
  });
  settings = {
    JOURNAL: join(directory, "orders.db"),
    ...perStepSetting("URL", () => standIn.url),
    ORDER_TIMEOUT_MS: "300000",
  };
});

afterEach(async () => {
  held.resolve();
  unlock();
  await standIn.close();
  rmSync(directory, { recursive: true, force: true });
});

function unlock(): void {
  lock?.close();
  lock = undefined;
}

const ended = (request: Promise<{ status: number }>) =>
  request.then(
    ({ status }) => status,
    () => "closed",
  );

/** Places the order twice, and has its steps end while the journal is locked by another program. Resolves with what the clients had. */
async function placeAndLock(port: number): Promise<unknown[]> {
  const first = ended(postOrder(port, ORDER, KEYED));
  await eventually("all steps but the vendor's", () => waiting === 1 && standIn.ledger.snapshot().counts.assignments === 1);
  using raw = await RawConnection.open(port);
  const body = JSON.stringify(ORDER);
  await raw.write(`POST /order HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: third\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const joined = ended(postOrder(port, ORDER, OTHER_KEY));
  lock = new DatabaseSync(settings.JOURNAL as string, { timeout: 5_000 });
  const keys = lock.prepare("SELECT count(*) AS count FROM idempotency_keys");
  await eventually("the others to join", () => keys.get()?.count === 3);
  lock.exec("BEGIN IMMEDIATE");
  held.resolve();
  const outcomes = await Promise.all([first, joined]);
  await eventually("the end of the connection", () => raw.closed);
  return [...outcomes, raw.received];
}

const view = async (port: number) => (await send(port, { path: "/order/mine" })).json;

describe("an answer that cannot be stored, for another program holds the journal's lock", () => {
  test("is sent to nobody who waits; the key gets the true answer once it is stored, and nothing is compensated", async () => {
    await using running = await startService(settings);
    expect(await placeAndLock(running.port)).toEqual(["closed", "closed", ""]);
    // Nobody knows anything else of it yet, and it is not run a second time.
    expect((await view(running.port)).status).toBe("running");
    const early = await postOrder(running.port, ORDER, KEYED);
    expect([early.status, early.json.error.kind]).toEqual([500, "internal"]);
    unlock();
    const again = await eventually(
      "the journal to work",
      () => postOrder(running.port, ORDER, KEYED),
      ({ status }) => status !== 500,
    );
    expect(again).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(await postOrder(running.port, ORDER, OTHER_KEY)).toMatchObject({ status: 200, text: again.text });
    expect(await postOrder(running.port, { ...ORDER, amount: 1 }, KEYED)).toMatchObject({ status: 422 });
    expect((await view(running.port)).attempts).toMatchObject([{ attempt: 1, status: "ok", compensations: [] }]);
    expect(balance(standIn.ledger.snapshot(), [{ orderId: "mine", attempt: 1, ok: true, amount: 1200 }])).toEqual([]);
    expect(standIn.ledger.snapshot().entries).toHaveLength(STEPS.length);
    expect(running.service.orderService.inFlight).toBe(0);
  });

  test("of an order that failed holds no key: who asks again gets a new attempt, and the first is compensated once", async () => {
    refuses = true;
    await using running = await startService(settings);
    expect(await placeAndLock(running.port)).toEqual(["closed", "closed", ""]);
    // Its rows are not durable, so no provider has been asked to take anything back.
    expect(standIn.ledger.snapshot().counts).toMatchObject({ refunds: 0, releases: 0 });
    unlock();
    const again = await eventually(
      "the journal to work",
      () => postOrder(running.port, ORDER, KEYED),
      ({ status }) => status !== 500,
    );
    expect(again).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(again.headers["idempotent-replayed"]).toBeUndefined();
    const { attempts } = await eventually(
      "the first attempt to be compensated",
      () => view(running.port),
      (seen) => seen.attempts[0].compensations.every(({ status }: { status: string }) => status === "done"),
    );
    // The true outcome, not that of the journal.
    expect(attempts).toMatchObject([{ status: "error", error: { kind: "vendor_unavailable" } }, { status: "ok" }]);
    expect(balance(standIn.ledger.snapshot(), [{ orderId: "mine", attempt: 2, ok: true, amount: 1200 }])).toEqual([]);
  });

  test.skipIf(process.platform === "win32")(
    "and kill -9: the same key is a new attempt, for nobody had an answer to the first",
    async () => {
      {
        await using server = new ChildServer(settings);
        const { port } = await server.ports();
        expect(await placeAndLock(port)).toEqual(["closed", "closed", ""]);
        server.signal("SIGKILL");
        await server.exited;
      }
      unlock();
      await using running = await startService(settings);
      const again = await postOrder(running.port, ORDER, KEYED);
      expect(again).toMatchObject({ status: 200, json: { status: "ok" } });
      await eventually(
        "the first attempt to be compensated",
        () => view(running.port),
        (seen) => seen.attempts[0].compensations.every(({ status }: { status: string }) => status === "done"),
      );
      await standIn.quiet();
      expect(balance(standIn.ledger.snapshot(), [{ orderId: "mine", attempt: 2, ok: true, amount: 1200 }])).toEqual([]);
      expect(await postOrder(running.port, ORDER, OTHER_KEY)).toMatchObject({ status: 200, text: again.text });
    },
  );
});
