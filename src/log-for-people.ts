import { prettyFactory } from "pino-pretty";

interface OrderLine {
  readonly order_id: string;
  readonly attempt: number;
  readonly kind?: string;
  readonly duration_ms: number;
  readonly steps: readonly { readonly name: string; readonly status: string; readonly detail?: string; readonly duration_ms: number }[];
}

/**
 * Turns the log's lines of JSON into text for a terminal: one line each, and the stack of an error. The line of an order says how the order and
 * its steps ended; any other line has its fields after its message.
 */
export function logForPeople({ colors }: { readonly colors: boolean }): (line: string) => string {
  const prettify = prettyFactory({ colorize: colors, ignore: "pid,hostname,node", singleLine: true });
  return (line) => {
    const entry = JSON.parse(line);
    if (entry.msg !== "order ended") return prettify(entry);
    const { level, time } = entry;
    return prettify({ level, time, msg: ofOrder(entry) });
  };
}

function ofOrder({ order_id, attempt, kind, duration_ms, steps }: OrderLine): string {
  const name = attempt === 1 ? order_id : `${order_id} (attempt ${attempt})`;
  const ended = steps.map((step) => `${step.name} ${step.detail ?? step.status} ${step.duration_ms}`);
  return `order ${name}: ${kind ?? "ok"} after ${duration_ms} ms (${ended.join(", ")})`;
}
