import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { Journal } from "../../src/journal/journal.ts";

/** Backs up the journal that it is given, says how that ended and what is in the directory then, and whether the journal still works. */
const [, , file = "", copy = ""] = process.argv;
const journal = await Journal.open(file);
const outcome = await journal.backup(copy).then(
  () => "done",
  (error: Error) => `${error.constructor.name}: ${error.message}`,
);
const { type } = await journal.accept({ orderId: "after", amount: 1, nowMs: 0 });
process.stdout.write(JSON.stringify({ outcome, files: readdirSync(dirname(copy)).sort(), type, healthy: journal.healthy }));
await journal.close();
