import { Journal } from "../../src/journal/journal.ts";

/** Takes orders in until that is fatal, says how many it had acknowledged, and ends as the service does. */
let accepted = 0;
const journal = await Journal.open(process.argv[2] ?? "", {
  onFatal(fatal) {
    process.stdout.write(`${JSON.stringify({ fatal, accepted })}\n`, () => process.exit(1));
  },
});
for (; ; accepted++) await journal.accept({ orderId: `o${accepted}`, amount: 1, nowMs: 0 });
