import { prettyFactory } from "pino-pretty";

interface OrderLine {
  readonly order_id: string;
  readonly attempt: number;
  readonly kind?: string;
  readonly duration_ms: number;
  readonly steps: readonly { readonly name: string; readonly status: string; readonly detail?: string; readonly duration_ms: number }[];
}

/** A line of the log as text. */
export interface ReadableLine {
  /** One line with its end; below it the stack of an error. */
  readonly text: string;
  /** Lines that have it in common tell a reader the same thing. */
  readonly alike: string;
  /** How to refer to it: an order's name, or the message. */
  readonly name: string;
}

const PINO_ERROR_LEVEL = 50;

/**
 * Turns the log's lines of JSON into text for a terminal. The line of an order says how the order and its steps ended; any other line has
 * its fields after its message. Orders that ended in the same way are alike, as are other lines with one message. Errors are alike only when
 * all their fields are equal.
 */
export function logForPeople({ colors }: { readonly colors: boolean }): (line: string) => ReadableLine {
  const prettify = prettyFactory({ colorize: colors, ignore: "pid,hostname,node", singleLine: true });
  return (line) => {
    const entry = JSON.parse(line);
    const { level, time, msg, ...fields } = entry;
    if (msg === "order ended")
      return { text: prettify({ level, time, msg: ofOrder(entry) }), alike: endOf(entry), name: `order ${entry.order_id}` };
    return { text: prettify(entry), alike: JSON.stringify(level < PINO_ERROR_LEVEL ? [msg] : [msg, fields]), name: `"${msg}"` };
  };
}

function ofOrder({ order_id, attempt, kind, duration_ms, steps }: OrderLine): string {
  const name = attempt === 1 ? order_id : `${order_id} (attempt ${attempt})`;
  const ended = steps.map((step) => `${step.name} ${step.detail ?? step.status} ${step.duration_ms} ms`);
  return `order ${name}: ${kind ?? "ok"} after ${duration_ms} ms (${ended.join(", ")})`;
}

function endOf({ kind, steps }: OrderLine): string {
  return JSON.stringify([kind, ...steps.map(({ detail, status }) => detail ?? status)]);
}
