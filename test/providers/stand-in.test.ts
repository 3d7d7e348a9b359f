import { afterEach, describe, expect, test } from "vitest";
import type { Call } from "../../load/stand-in/call.ts";
import { drawFaultMode } from "../../load/stand-in/fault-mode.ts";
import { CALM, checkFaultRates, FAULT_MODES, faultRatesFor } from "../../load/stand-in/fault-rates.ts";
import { type SpawnedStandIn, spawnStandIn } from "../../load/stand-in/spawn.ts";
import { type StandIn, type StandInOptions, startStandIn } from "../../load/stand-in/stand-in.ts";
import { eventually } from "../support/eventually.ts";

// What the stand-in is to do after this time has to find things as a call has left them, so it is longer than a busy machine stalls.
const STALL_MS = 1_000;
const opened: Array<StandIn | SpawnedStandIn> = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((standIn) => standIn.close()));
});

async function open(options: StandInOptions = {}): Promise<StandIn> {
  const standIn = await startStandIn(options);
  opened.push(standIn);
  return standIn;
}

function send(url: string, path: string, key: string, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Calls, and hangs up as soon as the call has arrived: before that there is nobody whose client could leave. */
async function leaveOnArrival(hasArrived: () => boolean | Promise<boolean>, call: (signal: AbortSignal) => Promise<Response>) {
  const client = new AbortController();
  const left = expect(call(client.signal)).rejects.toThrow("aborted");
  await eventually("the call to arrive", hasArrived);
  client.abort();
  await left;
}

const pay = (url: string, id: string, signal?: AbortSignal) =>
  send(url, "payments", `${id}:1:payment`, { order_id: id, amount: 5 }, signal);
const refund = (url: string, id: string, signal?: AbortSignal) =>
  send(url, "refunds", `${id}:1:payment:undo`, { order_id: id, amount: 5, undoes: `${id}:1:payment` }, signal);

describe("rates", () => {
  test("are drawn in their shares, and the same for the same seed, key and repetition", () => {
    const rates = faultRatesFor(Object.fromEntries(FAULT_MODES.map((faultMode) => [faultMode, 0.09])), "payment", "perform");
    const draw = (seed: string) =>
      Array.from({ length: 5000 }, (_, n) => drawFaultMode(rates, seed, { key: `o-${n}:1:payment`, nth: 1 }).type);
    const drawn = draw("7");
    for (const type of [...FAULT_MODES, "answer"]) {
      const share = drawn.filter((other) => other === type).length / drawn.length;
      expect(share, type).toBeGreaterThan(0.07);
      expect(share, type).toBeLessThan(0.12);
    }
    expect(draw("7")).toEqual(drawn);
    expect(draw("8")).not.toEqual(drawn);
    expect(drawFaultMode(rates, "7", { key: "o-1:1:payment", nth: 2 })).not.toEqual(
      drawFaultMode(rates, "7", { key: "o-1:1:payment", nth: 1 }),
    );
  });

  test("of a step go before those of all, and those of compensations before both", () => {
    const settings = { refuse: 0.1, slow: 0.5, payment: { refuse: 0.2 }, compensate: { refuse: 0 } };
    expect(faultRatesFor(settings, "vendor", "perform")).toMatchObject({ ...CALM, refuse: 0.1, slow: 0.5 });
    expect(faultRatesFor(settings, "payment", "perform").refuse).toBe(0.2);
    expect(faultRatesFor(settings, "payment", "compensate").refuse).toBe(0);
    const vendorHangs = { vendor: { hang: 1, compensate: { hang: 0, late: 1 } }, compensate: { hang: 0.5 } };
    expect(faultRatesFor(vendorHangs, "vendor", "perform")).toMatchObject({ ...CALM, hang: 1 });
    expect(faultRatesFor(vendorHangs, "vendor", "compensate")).toMatchObject({ ...CALM, late: 1 });
    expect(faultRatesFor(vendorHangs, "payment", "compensate")).toMatchObject({ ...CALM, hang: 0.5 });
  });

  test.each([
    [{ refused: 1 }, "refused is not a rate"],
    [{ refuse: 1.1 }, "refuse must be 0 to 1"],
    [{ refuse: 0.6, late: 0.6 }, "add up to"],
    [{ lateMs: 5 }, "lateMs must be"],
    [{ payment: { hangup: 1 } }, "payment.hangup is not a rate"],
    [{ payment: { compensate: { compensate: {} } } }, "payment.compensate.compensate is not a rate"],
    [{ payment: { compensate: { hang: 2 } } }, "payment.compensate.hang must be 0 to 1"],
    [{ failStatus: 200 }, "failStatus must be 300 to 599"],
    [{ toString: 1 }, "toString is not a rate"],
    [[], "rates must be an object"],
  ])("%j are refused", (rates, message) => {
    expect(() => checkFaultRates(rates)).toThrow(message);
  });
});

describe("the fault modes over HTTP", () => {
  const charged = (standIn: StandIn) => standIn.ledger.snapshot().counts.charges;
  /** The keys of the calls that have arrived, and of those whose client has left, where the stand-in has these options. */
  const watch = () => {
    const arrived: string[] = [];
    const gone: string[] = [];
    const faultModeOf = ({ key }: Call) => void arrived.push(key);
    return { arrived, gone, watching: { faultModeOf, onGone: ({ key }: Call) => void gone.push(key) } };
  };

  test("hang: takes the request, does nothing, and says so when its client leaves", async () => {
    const { arrived, gone, watching } = watch();
    const standIn = await open({ rates: { payment: { hang: 1 } }, ...watching });
    expect((await send(standIn.url, "assignments", "a:1:courier", { order_id: "a" })).status).toBe(200);
    for (const [key, call] of [
      ["a:1:payment", pay],
      ["a:1:payment:undo", refund],
    ] as const) {
      await leaveOnArrival(
        () => arrived.includes(key),
        (signal) => call(standIn.url, "a", signal),
      );
      await eventually("its client is gone", () => gone.includes(key));
    }
    expect(gone).not.toContain("a:1:courier");
    expect(standIn.ledger.find("payment", "a:1:payment")).toBeUndefined();
    standIn.setFaultRates({});
    expect((await pay(standIn.url, "a")).status).toBe(200);
  });

  test("late: acts though the client has gone, unless a compensation came first", async () => {
    const gone: string[] = [];
    const standIn = await open({
      rates: { late: 1, lateMs: [STALL_MS, STALL_MS], compensate: { late: 0 } },
      onGone: ({ key }) => void gone.push(key),
    });
    const clients = new AbortController();
    const answers = ["a", "b"].map((id) => pay(standIn.url, id, clients.signal));
    await eventually("both have arrived", () => standIn.ledger.pending === 2);
    clients.abort();
    for (const answer of answers) await expect(answer).rejects.toThrow();
    await eventually("both clients have gone", () => gone.length === 2);
    expect(charged(standIn)).toBe(0);
    expect((await refund(standIn.url, "b")).status).toBe(200);
    await standIn.quiet();
    expect(standIn.ledger.snapshot().counts).toMatchObject({ charges: 1, refunds: 0, tooLate: 1 });
  });

  test("slow: does nothing when the client leaves meanwhile", async () => {
    const { arrived, gone, watching } = watch();
    const standIn = await open({ rates: { slow: 1, slowMs: [STALL_MS, STALL_MS] }, ...watching });
    await leaveOnArrival(
      () => arrived.includes("a:1:payment"),
      (signal) => pay(standIn.url, "a", signal),
    );
    await eventually("its client is gone", () => gone.includes("a:1:payment"));
    // It comes later and takes as long, so the time of the first one has passed.
    expect((await pay(standIn.url, "b")).status).toBe(200);
    expect(charged(standIn)).toBe(1);
    expect(standIn.ledger.find("payment", "a:1:payment")).toBeUndefined();
    expect(gone).toEqual(["a:1:payment"]);
  });

  test("down: for a while, with its ledger kept", async () => {
    const standIn = await open({ rates: { down: 1, downMs: [STALL_MS, STALL_MS], compensate: { down: 0 } } });
    await expect(pay(standIn.url, "a")).rejects.toThrow("fetch failed");
    await expect(refund(standIn.url, "a")).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
    await eventually("it is up again", () => !standIn.isDown);
    expect((await refund(standIn.url, "a")).status).toBe(200);
    expect(charged(standIn)).toBe(0);
  });
});

test.each(["refuse", "reset"] as const)("one step's address goes down alone, until it is ordered to come up (%s)", async (mode) => {
  const standIn = await open();
  const { payment, courier } = standIn.urls;
  expect((await pay(payment, "a")).status).toBe(200);
  const up = standIn.down(undefined, mode, "payment");
  await expect(pay(payment, "b")).rejects.toThrow("fetch failed");
  expect((await send(courier, "assignments", "b:1:courier", { order_id: "b" })).status).toBe(200);
  expect((await pay(standIn.url, "b")).status).toBe(200);
  await standIn.up("payment");
  await up;
  expect((await pay(payment, "c")).status).toBe(200);
  expect(standIn.ledger.counts).toMatchObject({ charges: 3, assignments: 1 });
});

test("malformed requests are refused and remembered", async () => {
  const standIn = await open();
  const requests = [
    ["payments", "a:1:vendor", { order_id: "a", amount: 5 }],
    ["payments", "a:payment", { order_id: "a", amount: 5 }],
    ["payments", "a:0:payment", { order_id: "a", amount: 5 }],
    ["payments", "a:1:payment:undo", { order_id: "a", amount: 5 }],
    ["payments", "a:1:payment", { order_id: "a" }],
    ["payments", "a:1:payment", { order_id: "a", amount: "5" }],
    ["assignments", "a:1:courier", { order_id: "a", amount: 5 }],
    ["refunds", "a:1:payment:undo", { order_id: "a", amount: 5 }],
    ["refunds", "a:1:payment:undo", { order_id: "a", amount: 5, undoes: "a:2:payment" }],
    ["refunds", "a:1:payment:undo", { order_id: "a", amount: 5, undoes: "a:1:vendor" }],
    ["refunds", "a:1:payment", { order_id: "a", amount: 5, undoes: "a:1:payment" }],
    ["elsewhere", "a:1:payment", { order_id: "a", amount: 5 }],
  ] as const;
  for (const [path, key, body] of requests) expect((await send(standIn.url, path, key, body)).status, `${path} ${key}`).toBe(400);
  const { malformed, entries } = standIn.ledger.snapshot();
  expect(malformed).toHaveLength(requests.length);
  expect(entries).toEqual([]);
});

describe("in a process of its own", () => {
  async function spawned(options: Parameters<typeof spawnStandIn>[0] = {}): Promise<SpawnedStandIn> {
    const standIn = await spawnStandIn(options);
    opened.push(standIn);
    return standIn;
  }

  test("hangs for one step's calls and compensations while it is ordered to, and counts what it does for the others", async () => {
    const standIn = await spawned();
    await standIn.setFaultRates({ vendor: { hang: 1 } });
    const accept = (id: string, signal?: AbortSignal) =>
      send(standIn.urls.vendor, "orders", `${id}:1:vendor`, { order_id: id, amount: 5 }, signal);
    await leaveOnArrival(
      async () => (await standIn.underWay()).vendor === 1,
      (signal) => accept("a", signal),
    );
    expect((await pay(standIn.urls.payment, "a")).status).toBe(200);
    expect((await refund(standIn.urls.payment, "a")).status).toBe(200);
    await standIn.setFaultRates({});
    expect((await accept("b")).status).toBe(200);
    await standIn.down(undefined, "refuse", "vendor");
    await expect(accept("c")).rejects.toThrow("fetch failed");
    await standIn.up("vendor");
    expect((await accept("c")).status).toBe(200);
    expect(await standIn.counts()).toMatchObject({ charges: 1, refunds: 1, acceptances: 2, pending: 0 });
  });

  test("ends when its stdin does, so it does not outlive a killed test", async () => {
    const standIn = await spawned();
    standIn.process.stdin?.end();
    await eventually("it has ended", () => standIn.process.exitCode !== null);
    expect(standIn.process.exitCode).toBe(0);
  });
});
