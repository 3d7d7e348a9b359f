// biome-ignore lint/suspicious/noExplicitAny: whatever somebody else wrote, until it has been checked.
type Unchecked = any;

/** An event that has passed the check of its phase. */
export interface CheckedEvent {
  readonly ph: "M" | "X" | "b" | "e" | "i" | "s" | "f";
  readonly name: string;
  readonly cat: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly id: string;
  readonly args: Readonly<Record<string, Unchecked>>;
}

/**
 * Checks a trace as Perfetto reads it. Returns what breaks Chrome's trace-event format, one line each:
 * every event has the fields that its phase demands, times are whole and not negative, slices of one track are nested or apart, every
 * "b" has its "e" and every "s" its "f", not before it, each of them within a slice of its track, and every track has a name.
 */
export function offencesIn(trace: Unchecked): string[] {
  if (typeof trace !== "object" || trace === null || !Array.isArray(trace.traceEvents)) return ["traceEvents: must be an array"];
  const events: Unchecked[] = trace.traceEvents;
  const fields = events.flatMap((event, index) =>
    fieldOffences(event).map((offence) => `event ${index} ${JSON.stringify(event)}: ${offence}`),
  );
  if (fields.length > 0) return fields;
  return [...nameOffences(events), ...draw(events).offences, ...pairOffences(events), ...flowOffences(events)];
}

const isTime = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber = (value: unknown) => Number.isSafeInteger(value);
const isText = (value: unknown) => typeof value === "string" && value !== "";
const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
const isId = (value: unknown) => typeof value === "string" && /^0x[0-9a-f]+$/.test(value);
const isUnsigned32 = (value: unknown) => isNumber(value) && (value as number) > 0 && (value as number) < 2 ** 32;

type Rules = Readonly<Record<string, (value: unknown) => boolean>>;
const TRACK: Rules = { pid: isUnsigned32, tid: isUnsigned32, name: isText };
const TIMED: Rules = { ...TRACK, cat: isText, ts: isTime };
const PHASES: Readonly<Record<string, Rules>> = {
  M: { ...TRACK, args: isObject },
  X: { ...TIMED, dur: isTime },
  b: { ...TIMED, id: isId },
  e: { ...TIMED, id: isId },
  i: { ...TIMED, s: (value) => value === "t" || value === "g" || value === "p" },
  s: { ...TIMED, id: isId },
  f: { ...TIMED, id: isId, bp: (value) => value === "e" },
};
const METADATA: Readonly<Record<string, (args: Unchecked) => boolean>> = {
  process_name: ({ name }) => isText(name),
  thread_name: ({ name }) => isText(name),
  thread_sort_index: ({ sort_index }) => isNumber(sort_index),
};

function fieldOffences(event: Unchecked): string[] {
  const rules = PHASES[event?.ph];
  if (rules === undefined) return ["ph: no such phase"];
  const offences = Object.entries(rules).flatMap(([field, holds]) => (holds(event[field]) ? [] : [`${field}: breaks its rule`]));
  if (event.args !== undefined && !isObject(event.args)) offences.push("args: must be an object");
  if (offences.length === 0 && event.ph === "M" && !METADATA[event.name]?.(event.args)) offences.push("args: do not fit the name");
  return offences;
}

function nameOffences(events: readonly CheckedEvent[]): string[] {
  const named = new Set(events.filter(({ ph, name }) => ph === "M" && name === "thread_name").map(trackOf));
  const offences = [...new Set(events.map(trackOf))].filter((track) => !named.has(track)).map((track) => `track ${track}: has no name`);
  if (!events.some(({ name }) => name === "process_name")) offences.push("the process has no name");
  return offences;
}

/** What Perfetto makes of slices, moments and arrows: which slice each end of an arrow is bound to, and what it cannot place. */
export interface Drawn {
  readonly offences: readonly string[];
  readonly boundTo: ReadonlyMap<CheckedEvent, CheckedEvent>;
}

/**
 * As Perfetto's importer does it: all events by time, those of one time as they stand in the file; a stack of open slices for each track,
 * which only the next slice closes. A slice that overlaps an open one without being nested is dropped. A moment is a slice without
 * length. An end of an arrow is bound to the slice that is on top.
 */
export function draw(events: readonly CheckedEvent[]): Drawn {
  const offences: string[] = [];
  const boundTo = new Map<CheckedEvent, CheckedEvent>();
  const stacks = new Map<string, CheckedEvent[]>();
  for (const event of events.filter(({ ph }) => "Xisf".includes(ph)).sort(byTime)) {
    const track = trackOf(event);
    const stack = stacks.get(track) ?? [];
    stacks.set(track, stack);
    if (event.ph === "s" || event.ph === "f") {
      const top = stack.at(-1);
      // One that is over by then would be a coincidence of this order.
      if (top === undefined || endOf(top) < event.ts)
        offences.push(`flow ${event.cat}/${event.name}/${event.id}: ${event.ph} is in no slice`);
      else boundTo.set(event, top);
      continue;
    }
    while (stack.length > 0 && isClosedBy(stack.at(-1) as CheckedEvent, event)) stack.pop();
    const open = stack.at(-1);
    if (open !== undefined && endOf(open) < endOf(event))
      offences.push(`track ${track}: ${JSON.stringify(event)} overlaps ${JSON.stringify(open)}`);
    else stack.push(event);
  }
  return { offences, boundTo };
}

function isClosedBy(open: CheckedEvent, next: CheckedEvent): boolean {
  return endOf(open) < next.ts || (endOf(open) === next.ts && !(lengthOf(open) === 0 && lengthOf(next) === 0));
}

function pairOffences(events: readonly CheckedEvent[]): string[] {
  const offences: string[] = [];
  const open = new Map<string, CheckedEvent>();
  for (const event of events.filter(({ ph }) => ph === "b" || ph === "e").sort(byTime)) {
    const key = `${event.cat}/${event.name}/${event.id}`;
    const begun = open.get(key);
    if (event.ph === "b") {
      if (begun !== undefined) offences.push(`async ${key}: begins twice`);
      open.set(key, event);
    } else if (begun === undefined || begun.pid !== event.pid) offences.push(`async ${key}: ends and has not begun`);
    else open.delete(key);
  }
  return [...offences, ...[...open.keys()].map((key) => `async ${key}: has no end`)];
}

function flowOffences(events: readonly CheckedEvent[]): string[] {
  const ends = Map.groupBy(
    events.filter(({ ph }) => ph === "s" || ph === "f"),
    ({ cat, name, id }) => `${cat}/${name}/${id}`,
  );
  return [...ends].flatMap(([key, flow]) => {
    const [from, to] = [flow.find(({ ph }) => ph === "s"), flow.find(({ ph }) => ph === "f")];
    if (flow.length !== 2 || from === undefined || to === undefined) return [`flow ${key}: must have one begin and one end`];
    return to.ts < from.ts ? [`flow ${key}: ends before it begins`] : [];
  });
}

function trackOf({ pid, tid }: CheckedEvent): string {
  return `${pid}/${tid}`;
}

function lengthOf({ ph, dur }: CheckedEvent): number {
  return ph === "X" ? dur : 0;
}

function endOf(slice: CheckedEvent): number {
  return slice.ts + lengthOf(slice);
}

function byTime(a: CheckedEvent, b: CheckedEvent): number {
  return a.ts - b.ts;
}
