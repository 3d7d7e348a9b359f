import type { KnownOrder, ReceivedEvent } from "./known-order.ts";

/**
 * Notes an event that the receiver got, whether it took it or not. Returns what is wrong with it: an older one after a newer, or two that
 * contradict each other. After a restore events that had been delivered come again, and one may contradict what the restore took back.
 */
export function noteEvent(order: KnownOrder, event: ReceivedEvent): string | undefined {
  const { events, rewound } = order;
  const at = events.findIndex(({ id }) => id === event.id);
  if (at >= 0) {
    const before = events[at] as ReceivedEvent;
    before.taken ||= event.taken;
    if (textOf(before) !== textOf(event)) return `the event ${event.id} was ${textOf(before)} before, and is ${textOf(event)}`;
    if (before.amount !== event.amount || before.error !== event.error) return `the event ${event.id} says something else than before`;
    if (at < events.length - 1 && !rewound) return `${textOf(event)} came again after ${textOf(events.at(-1) as ReceivedEvent)}`;
    return undefined;
  }
  events.push(event);
  if (rewound) return undefined;
  const others = events.slice(0, -1);
  const same = others.find(({ type, attempt }) => type === event.type && attempt === event.attempt);
  if (same !== undefined) return `${textOf(event)} has two ids, ${same.id} and ${event.id}`;
  const ended = others.filter(({ type }) => type !== "order.compensated");
  switch (event.type) {
    case "order.placed":
    case "order.failed": {
      const later = ended.find(({ attempt }) => attempt >= event.attempt);
      if (later !== undefined) return `${textOf(event)} came after ${textOf(later)}`;
      const placed = ended.find(({ type }) => type === "order.placed");
      return placed === undefined ? undefined : `${textOf(event)} came although the order was placed: ${textOf(placed)}`;
    }
    case "order.compensated":
      return ended.some(({ type, attempt }) => type === "order.failed" && attempt === event.attempt)
        ? undefined
        : `${textOf(event)} came before the attempt had failed`;
    default:
      return `there are no events ${event.type}`;
  }
}

function textOf({ type, attempt }: ReceivedEvent): string {
  return `${type} of attempt ${attempt}`;
}
