import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Journal } from "../src/journal/journal.ts";
import { median } from "./quantile.ts";
import { runBench } from "./run-bench.ts";
import { table } from "./table.ts";
import { atMost } from "./target.ts";

const USAGE = `Fills a journal with finished orders and compares it with one of ${1_000}: size on disk, time to open and recover, time of a
duplicate and of a look-up.

usage: npm run bench:journal-scale -- [--orders N] [--keys]

  --orders N  finished orders in the large journal (default: 1000000)
  --keys      each order was sent with an Idempotency-Key of its own that has not expired
`;

const FEW = 1_000;
const AT_ONCE = 2_000;
const LOOKS = 3_000;
const AMOUNT = 1_200;
const DAY_MS = 86_400_000;
const MAX_OPEN_MS = 2_000;
const MAX_RATIO = 2;

interface Filled {
  readonly orders: number;
  readonly file: string;
  readonly bytesPerOrder: number;
  readonly perSecond: number;
  /** Some of its orders, evenly from first to last. */
  readonly sample: readonly string[];
}

interface Measured {
  readonly openMs: number;
  readonly duplicateMs: number;
  readonly findMs: number;
}

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

const COMPENSATED = (["payment", "courier"] as const).map((step) => ({ step, trying: true }));

async function fill(file: string, orders: number, keys: boolean): Promise<Filled> {
  const journal = await Journal.open(file);
  const sample: string[] = [];
  const startMs = performance.now();
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
  const seconds = (performance.now() - startMs) / 1_000;
  await journal.close();
  return { orders, file, bytesPerOrder: statSync(file).size / orders, perSecond: orders / seconds, sample };
}

/** Opens and recovers the journal as a start does, then asks for one order at a time. */
async function measure({ file, sample }: Filled): Promise<Measured> {
  const startMs = performance.now();
  const journal = await Journal.open(file);
  const interrupted = await journal.closeInterrupted(1_000, Date.now());
  const { compensations, events } = await journal.backlog();
  const openMs = performance.now() - startMs;
  if (interrupted + compensations.payment.count + events.count > 0) throw new Error("something was left to recover");

  const duplicates: number[] = [];
  const finds: number[] = [];
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
  return { openMs, duplicateMs: median(duplicates), findMs: median(finds) };
}

runBench(async () => {
  const options = {
    orders: { type: "string", default: "1000000" },
    keys: { type: "boolean", default: false },
    help: { type: "boolean", short: "h" },
  } as const;
  const { values } = parseArgs({ options });
  if (values.help) {
    process.stdout.write(USAGE);
    return [];
  }
  const orders = Number(values.orders);
  if (!Number.isSafeInteger(orders) || orders < FEW) throw new Error(`--orders ${values.orders}: must be a whole number from ${FEW}`);
  const directory = mkdtempSync(join(tmpdir(), "journal-scale-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));

  const few = await fill(join(directory, "few.db"), FEW, values.keys);
  const many = await fill(join(directory, "many.db"), orders, values.keys);
  // Each is measured twice, in turn, and the better time counts: other load on the machine can only add time.
  const rounds = [await measure(few), await measure(many), await measure(few), await measure(many)] as const;
  const best = ([a, b]: readonly [Measured, Measured]): Measured => ({
    openMs: Math.min(a.openMs, b.openMs),
    duplicateMs: Math.min(a.duplicateMs, b.duplicateMs),
    findMs: Math.min(a.findMs, b.findMs),
  });
  const [small, large] = [best([rounds[0], rounds[2]]), best([rounds[1], rounds[3]])];

  const row = ({ orders, bytesPerOrder, perSecond }: Filled, { openMs, duplicateMs, findMs }: Measured) => [
    String(orders),
    bytesPerOrder.toFixed(0),
    perSecond.toFixed(0),
    openMs.toFixed(0),
    (duplicateMs * 1_000).toFixed(0),
    (findMs * 1_000).toFixed(0),
  ];
  const head = ["finished orders", "bytes/order", "filled, orders/s", "open and recover, ms", "duplicate, us p50", "look-up, us p50"];
  process.stdout.write(table(head, [row(few, small), row(many, large)]));
  return [
    atMost("open and recover", large.openMs, MAX_OPEN_MS, " ms"),
    atMost(`duplicate, over that with ${FEW} orders`, large.duplicateMs / small.duplicateMs, MAX_RATIO),
    atMost(`look-up, over that with ${FEW} orders`, large.findMs / small.findMs, MAX_RATIO),
  ];
});
