import { Admission } from "../../src/admission/admission.ts";
import { CancelScope, Capacity, type Permit } from "../../src/threads/index.ts";

const LOOK_MS = 100;
const JOURNAL_MS = 2;

/** One order of a simulation: when it comes, its priority, and how long it holds its permit, or each of them. */
export interface Arrival {
  readonly atMs: number;
  readonly priority: number;
  readonly holdMs: number;
  /** Its steps that compute, where they are not those of all orders. */
  readonly computing?: readonly string[];
}

export interface SimulationOptions {
  /** Of couriers; of threads, where steps compute. */
  readonly limit: number;
  /** The steps of an order that compute, each for as long as the order's hold. Their orders wait for threads, and for nothing else. */
  readonly computing?: readonly string[];
  readonly timeoutMs: number;
  /** Changes the limit at some moment. */
  readonly resize?: { readonly atMs: number; readonly limit: number };
}

/** What has become of the orders, each by its index among the arrivals. */
export interface Simulated {
  readonly refused: readonly boolean[];
  /** Of those that were done before their deadline. */
  readonly doneAtMs: readonly (number | undefined)[];
  /** Of those that got their permit, or all of them. */
  readonly waitMs: readonly (number | undefined)[];
}

class VirtualScope extends CancelScope {
  readonly #deadlineMs: number;

  constructor(deadlineMs: number) {
    super();
    this.#deadlineMs = deadlineMs;
  }

  override get deadlineMs(): number {
    return this.#deadlineMs;
  }
}

/** Events of virtual time, the earliest first; of those at one time the one that was added first. */
class Agenda {
  readonly #heap: { readonly atMs: number; readonly number: number; readonly run: () => void }[] = [];
  #added = 0;

  add(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const event = { atMs, number: this.#added++, run };
    let at = heap.length;
    for (let parent = (at - 1) >> 1; at > 0 && this.#isBefore(event, heap[parent]); parent = (at - 1) >> 1) {
      heap[at] = heap[parent] as typeof event;
      at = parent;
    }
    heap[at] = event;
  }

  take() {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1] as typeof last, heap[child])) child++;
      if (child >= heap.length || !this.#isBefore(heap[child] as typeof last, last)) break;
      heap[at] = heap[child] as typeof last;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  #isBefore(a: { atMs: number; number: number }, b: { atMs: number; number: number } | undefined): boolean {
    return b !== undefined && (a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number));
  }
}

/** Lets orders come to the real admission and a real capacity, in virtual time: hours of load in a second. */
export async function simulate(arrivals: readonly Arrival[], options: SimulationOptions): Promise<Simulated> {
  const { limit, computing = [], timeoutMs, resize } = options;
  let nowMs = 0;
  const clock = () => nowMs;
  const waiting = { endsHopelessWaits: true, patienceMs: timeoutMs, nowMs: clock };
  const capacity = new Capacity(limit, waiting);
  const computes = computing.length > 0;
  let inFlight = 0;
  const admission = new Admission({
    capacities: computes ? [] : [capacity],
    exclusive: computes ? capacity : new Capacity(1, waiting),
    computingBehind: () => [0, 0, 0],
    inFlight: () => inFlight,
    maxInFlight: Number.MAX_SAFE_INTEGER,
    orderTimeoutMs: timeoutMs,
    nowMs: clock,
  });
  const agenda = new Agenda();
  const refused: boolean[] = arrivals.map(() => false);
  const doneAtMs: (number | undefined)[] = arrivals.map(() => undefined);
  const waitMs: (number | undefined)[] = arrivals.map(() => undefined);
  const lastMs = (arrivals.at(-1)?.atMs ?? 0) + 2 * timeoutMs;
  for (let atMs = 0; atMs < lastMs; atMs += LOOK_MS) agenda.add(atMs, () => admission.tick());
  if (resize !== undefined) agenda.add(resize.atMs, () => capacity.resize(resize.limit));
  const stepsOf = (arrival: Arrival) => arrival.computing ?? computing;
  const run = (index: number, arrival: Arrival) => {
    const { priority, holdMs } = arrival;
    const steps = stepsOf(arrival);
    const cameMs = nowMs;
    const scope = new VirtualScope(nowMs + timeoutMs);
    const permits = new Set<Permit>();
    let left = Math.max(1, steps.length);
    let ended = false;
    const end = (inTime: boolean) => {
      if (ended) return;
      ended = true;
      inFlight--;
      if (inTime) doneAtMs[index] = nowMs;
      for (const permit of permits) permit.release(!inTime);
    };
    const hold = (permit: Permit) => {
      permits.add(permit);
      if (permits.size === left) waitMs[index] = nowMs - cameMs;
      agenda.add(nowMs + holdMs, () => {
        if (ended) return;
        if (--left === 0) return end(true);
        permits.delete(permit);
        permit.release();
      });
    };
    agenda.add(scope.deadlineMs, () => {
      if (!ended) scope.cancel("deadline");
      end(false);
    });
    for (const kind of computes ? steps : [undefined]) capacity.acquire(scope, priority, kind).then(hold, () => end(false));
  };
  const arrive = (index: number) => {
    const arrival = arrivals[index];
    if (arrival === undefined) return;
    agenda.add(arrival.atMs, () => {
      arrive(index + 1);
      if (admission.admit(arrival.priority, stepsOf(arrival)) !== undefined) {
        refused[index] = true;
        return;
      }
      inFlight++;
      agenda.add(nowMs + JOURNAL_MS, () => {
        admission.arrived(arrival.priority, stepsOf(arrival));
        run(index, arrival);
      });
    });
  };
  arrive(0);
  let granted = 0;
  for (let event = agenda.take(); event !== undefined; event = agenda.take()) {
    nowMs = event.atMs;
    event.run();
    // A grant takes some turns of the microtask queue.
    if (capacity.granted === granted) continue;
    granted = capacity.granted;
    for (let turn = 0; turn < 6; turn++) await null;
  }
  return { refused, doneAtMs, waitMs };
}
