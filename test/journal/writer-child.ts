import { openSync, writeSync } from "node:fs";
import { Journal } from "../../src/journal/journal.ts";
import { answerBefore, answerTo, keyOf } from "./journal-fixture.ts";

/**
 * Writes orders into the journal it is given until it is killed, and notes in a file what has been acknowledged, a line
 * each, at once: a line that is there is a promise. A file keeps what a killed process has written; a pipe may be full.
 */
const [, , file = "", prefix = "", clients = "1", acknowledged = ""] = process.argv;
const journal = await Journal.open(file, { events: true });
const nowMs = Date.now();
let next = 0;
const notes = openSync(acknowledged, "a");

const note = (...words: (string | number)[]) => void writeSync(notes, `${words.join(" ")}\n`);

async function client(): Promise<never> {
  for (;;) {
    const n = next++;
    const orderId = `${prefix}-${n}`;
    const { type } = await journal.accept({ orderId, amount: n + 1, nowMs, key: keyOf(orderId, "body", nowMs * 2) });
    note("accepted", orderId, n + 1, type);
    if (n % 3 === 0) {
      await journal.finish({ orderId, attempt: 1, answer: answerTo(orderId), answered: true, compensations: [], nowMs });
      note("placed", orderId);
    } else if (n % 3 === 1) {
      const attempt = { orderId, attempt: 1, nowMs };
      const compensations = (["vendor", "payment"] as const).map((step) => ({ step, trying: true }));
      const answer = answerBefore(orderId, "no_courier");
      const [vendor = 0, payment = 0] = await journal.finish({ ...attempt, answer, answered: false, compensations });
      note("ending", orderId);
      const { json } = answerTo(orderId, "no_courier");
      await journal.answer({ ...attempt, json, answered: true, tried: [{ id: vendor, step: "vendor" }] });
      note("failed", orderId);
      await journal.compensationTried({ id: payment, step: "payment" }, nowMs);
      note("compensated", orderId);
    }
  }
}

for (let n = 0; n < Number(clients); n++) void client();
process.stdout.write("writing\n");
