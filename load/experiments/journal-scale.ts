import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { Journal } from "../../src/journal/journal.ts";
import { defineExperiment, type Variant } from "../lab/experiment.ts";
import { median } from "../quantile.ts";
import { atMost } from "../target.ts";

const FEW = 1_000;
const AT_ONCE = 2_000;
const LOOKS = 3_000;
const AMOUNT = 1_200;
const DAY_MS = 86_400_000;
const COMPENSATED = (["payment", "courier"] as const).map((step) => ({ step, trying: true }));
const nameOf = (orders: number) => `${orders} orders`;

/** An answer as the service gives it: three steps with times, one order in ten failed with something compensated. */
function answerTo(orderId: string, failed: boolean) {
  const ok = { payment: 152, vendor: 203, courier: 101 };
  const steps = Object.entries(ok).map(([name, duration_ms]) =>
    failed && name === "vendor"
      ? { name, status: "error", duration_ms, detail: "vendor_unavailable" }
      : { name, status: "ok", duration_ms, ...(failed && { compensation: "done" }) },
  );
  if (!failed) return { json: JSON.stringify({ status: "ok", order_id: orderId, steps }) };
  const error = { kind: "vendor_unavailable", message: "order failed" };
  return { error: "vendor_unavailable", json: JSON.stringify({ status: "error", order_id: orderId, steps, error }) } as const;
}

/** Gives some of its placed orders, evenly from first to last. */
async function fill(file: string, orders: number, keys: boolean): Promise<readonly string[]> {
  const journal = await Journal.open(file);
  const sample: string[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < orders) {
      const n = next++;
      const orderId = randomUUID();
      const failed = n % 10 === 9;
      if (!failed && n % Math.ceil(orders / LOOKS) === 0) sample.push(orderId);
      const nowMs = Date.now();
      const key = { client: "", key: randomUUID(), bodyHash: randomUUID(), expiresMs: nowMs + DAY_MS };
      const accepted = await journal.accept({ orderId, amount: AMOUNT, nowMs, ...(keys && { key }) });
      if (accepted.type !== "accepted") throw new Error(`${orderId}: ${accepted.type}`);
      const answer = answerTo(orderId, failed);
      const compensations = failed ? COMPENSATED : [];
      const ids = await journal.finish({ orderId, attempt: 1, answer, answered: !failed, compensations, nowMs });
      if (!failed) continue;
      const tried = compensations.map(({ step }, index) => ({ id: ids[index] as number, step }));
      await journal.answer({ orderId, attempt: 1, json: answer.json, answered: true, tried, nowMs });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  await journal.close();
  return sample;
}

/** Opens and recovers the journal as a start does, then asks for one order at a time. */
async function measure(file: string, sample: readonly string[]) {
  const startMs = performance.now();
  const journal = await Journal.open(file);
  const interrupted = await journal.closeInterrupted(1_000, Date.now());
  const { compensations, events } = await journal.backlog();
  const openMs = performance.now() - startMs;
  if (interrupted + compensations.payment.count + events.count > 0) throw new Error("something was left to recover");
  const [duplicates, finds]: [number[], number[]] = [[], []];
  for (let look = 0; look < LOOKS; look++) {
    const orderId = sample[(look * 7_919) % sample.length] ?? "";
    const beforeMs = performance.now();
    const { type } = await journal.accept({ orderId, amount: AMOUNT, nowMs: Date.now() });
    const betweenMs = performance.now();
    const found = await journal.find(orderId);
    finds.push(performance.now() - betweenMs);
    duplicates.push(betweenMs - beforeMs);
    if (type !== "replayed" || found === undefined) throw new Error(`${orderId}: ${type}`);
  }
  await journal.close();
  return { openMs, duplicateUs: median(duplicates) * 1_000, findUs: median(finds) * 1_000 };
}

function variant(orders: number, keys: boolean): Variant {
  return {
    name: nameOf(orders),
    async open({ directory }) {
      const file = join(directory, "orders.db");
      const startMs = performance.now();
      const sample = await fill(file, orders, keys);
      const filledPerSecond = (orders * 1_000) / (performance.now() - startMs);
      const bytes = statSync(file).size / orders;
      return async () => {
        const { openMs, duplicateUs, findUs } = await measure(file, sample);
        return {
          figures: {
            "bytes per order": [bytes, "bytes"],
            filled: [filledPerSecond, "orders/s"],
            "open and recover": [openMs, "ms"],
            "duplicate, p50": [duplicateUs, "us"],
            "look-up, p50": [findUs, "us"],
          },
        };
      };
    },
  };
}

export const experiment = defineExperiment({
  question: "What does a journal of a million finished orders take on disk, at a start and for a look-up, beside one of a thousand?",
  defaults: { rounds: 3, orders: 1_000_000, keys: 0 },
  about: { orders: "finished ones in the large journal", keys: "1: each was sent with an Idempotency-Key that has not expired" },
  lab: { rounds: 2, orders: 200_000 },
  variants: ({ orders, keys }) => [variant(FEW, keys > 0), variant(orders, keys > 0)],
  targets: (seen, { orders }) => [
    atMost("open and recover", seen.median(nameOf(orders), "open and recover"), 2_000, " ms"),
    ...["duplicate, p50", "look-up, p50"].map((figure) =>
      atMost(`${figure}, over that with ${FEW} orders`, seen.ratio(figure, nameOf(orders), nameOf(FEW)), 2),
    ),
  ],
});
