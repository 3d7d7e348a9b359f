import { setTimeout as pause } from "node:timers/promises";

/**
 * A simulated step as a plain Piscina worker has it: takes its time, then succeeds or fails. Plain JavaScript on
 * purpose: a thread that has to strip types first starts more slowly, and this baseline lives on starting threads.
 */
export default async function step({ ms, fails }) {
  await pause(ms);
  if (fails) throw new Error("payment_declined");
}
