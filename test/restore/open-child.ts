import { Journal } from "../../src/journal/journal.ts";

/** Opens the journal it is given, says so and closes it. Where a second path is given, it makes a backup there. */
const [, , file = "", copy] = process.argv;
const journal = await Journal.open(file);
process.stdout.write("open\n");
if (copy !== undefined) await journal.backup(copy);
await journal.close();
