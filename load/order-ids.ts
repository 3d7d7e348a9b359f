import { randomUUID } from "node:crypto";

/** Makes ids that no other run makes: the same id again would be answered from the journal and measure nothing. */
export function orderIds(): () => string {
  const run = randomUUID().slice(0, 8);
  let n = 0;
  return () => `load-${run}-${n++}`;
}
