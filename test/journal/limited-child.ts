import { setTimeout as pause } from "node:timers/promises";
import { SqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";

/** Takes orders in until the disk does not, says so, and goes on once it does again. Prints the story. */
const journal = await SqliteJournal.open(process.argv[2] ?? "", { probeMs: 20 });
const accept = (n: number) => journal.accept({ orderId: `o${n}`, amount: 1, nowMs: 0 });

let n = 0;
try {
  for (; ; n++) await accept(n);
} catch (error) {
  if (!(error instanceof JournalUnavailable)) throw error;
  process.stdout.write(`${JSON.stringify({ accepted: n, reason: error.message, healthy: journal.healthy })}\n`);
}
while (!journal.healthy) await pause(5);
const { type } = await accept(n);
const closed = await journal.closeInterrupted(100_000, 0);
process.stdout.write(`${JSON.stringify({ type, closed })}\n`);
await journal.close();
