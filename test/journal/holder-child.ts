import { Journal } from "../../src/journal/journal.ts";

/** Opens the journal that it is given, says so, and closes it when its input ends. */
const journal = await Journal.open(process.argv[2] ?? "");
process.stdout.write("open\n");
process.stdin.on("end", () => void journal.close()).resume();
