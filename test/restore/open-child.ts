import { mkdirSync } from "node:fs";
import { Journal } from "../../src/journal/journal.ts";

/** Opens the journal it is given, says so and closes it. Where a second path is given, it makes a backup there, and a directory beside it when it is told that this is done. */
const [, , file = "", copy] = process.argv;
const journal = await Journal.open(file);
process.stdout.write("open\n");
if (copy !== undefined) {
  await journal.backup(copy);
  mkdirSync(`${copy}.told`);
}
await journal.close();
