import { appendFileSync } from "node:fs";
import { Journal } from "../../src/journal/journal.ts";

/** Backs up the journal that it is given, and adds a line to the record of `sync-recorder.ts` when it is told that this is done. */
const [, , file = "", copy = ""] = process.argv;
const journal = await Journal.open(file);
await journal.accept({ orderId: "o", amount: 1, nowMs: Date.now() });
await journal.backup(copy);
appendFileSync(process.env.SYNC_RECORD as string, `${JSON.stringify(["done"])}\n`);
await journal.close();
