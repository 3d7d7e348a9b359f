import { setImmediate as turn } from "node:timers/promises";
import { randomFrom } from "../../load/stand-in/random.ts";
import { type CallEnd, type CallFailure, EndpointHealth, type Lane } from "../../src/resilience/endpoint-health.ts";
import { Pace } from "../../src/resilience/pace.ts";
import { type DueRequest, RetryQueue } from "../../src/resilience/retry-queue.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeRows, type Row } from "./fake-rows.ts";

export type Kind = "first" | "again";

const MAX = { first: 4, again: 3 };

/**
 * Two queues of one endpoint, beside calls that ask for room and calls that do not: compensations, whose rows are marked. Or one queue of
 * rows that are only read, which can be paused: events. Notes whatever is wrong with what they ask the journal for and with what they try.
 */
export class QueueRun {
  readonly wrong: string[] = [];
  readonly clock = new FakeClock();
  readonly marks: boolean;
  readonly rows: FakeRows;
  readonly health: EndpointHealth;
  readonly lanes: Readonly<Record<Kind, Lane>>;
  readonly queues: readonly RetryQueue<Row>[];
  readonly maxPerSecond: number | undefined;
  readonly pace: Pace | undefined;
  /** Tries until their outcome is stored, of the queues. */
  readonly running: Record<Kind, Set<number>> = { first: new Set(), again: new Set() };
  /** Who hands in the row that begins to be tried in this turn. An order that fails now has a place for it, an operator needs none. */
  handedInBy: "order" | "operator" | undefined;
  /** Tries of rows that were handed in, each until its outcome is stored. */
  readonly handedIn: Record<Kind, { order: number; operator: number }> = {
    first: { order: 0, operator: 0 },
    again: { order: 0, operator: 0 },
  };
  /** When the tries of the queues began, on a clock that does not jump. */
  readonly starts: number[] = [];
  readonly lateMs: number[] = [];
  paused = false;
  stopped = false;
  /** Share of calls that fail, how they do, and share of tries that are a bug. */
  failing = 0;
  how: CallFailure["how"] = "answered";
  faulty = 0;
  tries = 0;
  probes = 0;
  readonly #random: () => number;
  /** Rows that are being called, or whose tries are not stored yet where rows are not marked. */
  readonly #underWay = new Set<number>();
  readonly #calls: Record<Kind, number> = { first: 0, again: 0 };
  #latestMs = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    const random = this.#random;
    const { clock } = this;
    this.marks = this.chance(0.6);
    this.rows = new FakeRows({ turns: () => this.below(4), marks: this.marks });
    this.maxPerSecond = this.chance(0.3) ? 20 + this.below(200) : undefined;
    this.pace = this.maxPerSecond === undefined ? undefined : new Pace(this.maxPerSecond, clock);
    this.health = new EndpointHealth({ maxInFlight: MAX.first + MAX.again, clock, random });
    this.lanes = { first: this.health.lane(MAX.first, "first"), again: this.health.lane(MAX.again, "again") };
    const kinds: readonly Kind[] = this.marks ? ["first", "again"] : ["again"];
    this.queues = kinds.map(
      (kind) =>
        new RetryQueue<Row>({
          idOf: ({ id }) => id,
          take: (request) => this.#take(request, kind),
          tryOnce: (row) => this.#tryOnce(row, kind),
          lane: this.lanes[kind],
          ...(this.pace !== undefined && { pace: this.pace }),
          clock,
          random,
        }),
    );
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  expect(holds: boolean, otherwise: string): void {
    if (!holds) this.wrong.push(otherwise);
  }

  get isIdle(): boolean {
    return this.rows.busy === 0 && this.health.inFlight === 0 && this.running.first.size + this.running.again.size === 0;
  }

  notify(): void {
    for (const queue of this.queues) queue.notify();
  }

  /** An order fails: its row is tried at once where there is room, else it is left to the queue. */
  async orderFails(): Promise<void> {
    const { first } = this.lanes;
    const hasRoom = this.marks && first.room > 0;
    if (hasRoom) first.reserve(1);
    for (let turns = this.below(5); turns > 0; turns--) await turn();
    const row = this.rows.add(this.clock.nowMs());
    if (!hasRoom) return this.notify();
    this.rows.mark(row.id);
    first.reserve(-1);
    await this.#handIn(row, "order", this.queues[0]);
  }

  /** An operator wants a row to be tried now. */
  async tryNow(row: Row): Promise<void> {
    this.rows.mark(row.id);
    await this.#handIn(row, "operator", this.queues.at(-1));
  }

  #handIn(row: Row, by: "order" | "operator", queue: RetryQueue<Row> | undefined): Promise<void> | undefined {
    this.handedInBy = by;
    const ended = queue?.tryNow(row);
    this.handedInBy = undefined;
    return ended;
  }

  async callFromOutside(): Promise<void> {
    const call = this.health.begin();
    for (let turns = this.below(20); turns > 0; turns--) await turn();
    this.health.end(call, this.#end(0));
  }

  #take(request: DueRequest, kind: Kind) {
    const lane = this.lanes[kind];
    const { nowMs, limit, leastTried, underWay } = request;
    this.#latestMs = Math.max(this.#latestMs, nowMs);
    // As it was before the calls of these rows were reserved.
    lane.reserve(-limit);
    this.expect(limit >= 1 && limit <= lane.room, `${limit} rows were taken where there was room for ${lane.room}`);
    lane.reserve(limit);
    this.expect(lane.room <= MAX[kind] - limit, "what is being taken was not reserved");
    this.expect(!this.paused && !this.stopped && !this.health.isAskedToWait, "rows were taken during a pause, a hold or after the stop");
    this.expect(leastTried === lane.probing && (!leastTried || limit === 1), "a probe was not one row, that tried least");
    const missing = [...this.running[kind]].filter((id) => !underWay.includes(id));
    this.expect(missing.length === 0, `the rows ${missing} under way were not named`);
    const { order, operator } = this.handedIn[kind];
    const taken = this.running[kind].size - order - operator;
    this.expect(taken + limit <= lane.maxOfQueue, "more were taken than may run until they are stored");
    return this.rows.take(request, this.marks ? kind : undefined);
  }

  async #tryOnce(row: Row, kind: Kind): Promise<void> {
    const { id, tries } = row;
    const { handedInBy } = this;
    const now = this.rows.get(id);
    this.tries++;
    this.expect(!this.#underWay.has(id), `row ${id} was tried twice at once`);
    this.expect(!this.stopped, "a try began after the stop");
    this.expect(now?.tries === tries, `row ${id} was tried from a page that was out of date`);
    if (handedInBy === undefined) {
      this.starts.push(this.clock.passedMs);
      this.lateMs.push(this.clock.nowMs() - row.nextTryMs);
      this.expect(row.nextTryMs <= this.#latestMs, `row ${id} was tried too early`);
      this.expect(!this.paused, "a try began during a pause");
      if (this.lanes[kind].probing) this.probes++;
    }
    this.running[kind].add(id);
    if (handedInBy !== undefined) this.handedIn[kind][handedInBy]++;
    try {
      await this.#try(row, kind);
    } finally {
      this.running[kind].delete(id);
      if (!this.marks) this.#underWay.delete(id);
      if (handedInBy !== undefined) this.handedIn[kind][handedInBy]--;
    }
  }

  async #try({ id, tries }: Row, kind: Kind): Promise<void> {
    const lane = this.lanes[kind];
    const call = lane.begin();
    this.#underWay.add(id);
    const calls = ++this.#calls[kind];
    this.expect(calls <= lane.max + this.handedIn[kind].operator, `${calls} calls in a lane for ${lane.max}`);
    for (let turns = this.below(10); turns > 0; turns--) await turn();
    const end = this.#end(tries);
    this.#calls[kind]--;
    lane.end(call, end);
    if (this.marks) this.#underWay.delete(id);
    if (this.chance(this.faulty)) {
      this.rows.unmark(id);
      throw new Error("bug");
    }
    await this.#write(() => (end === "ok" ? this.rows.done(id) : this.rows.failed(id, this.clock.nowMs() + this.#pauseMs())));
    if (end !== "ok") this.queues.at(-1)?.postponed();
  }

  #pauseMs(): number {
    return this.health.down ? 0 : this.below(4_000);
  }

  /** As often as it takes, like a real try; a turn stands for the pause. */
  async #write(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write();
      } catch {
        await turn();
      }
    }
  }

  #end(tries: number): CallEnd {
    if (!this.chance(this.failing)) return "ok";
    const overloaded = this.chance(0.2);
    const retryAfterMs = overloaded && this.chance(0.5) ? 1 + this.below(5_000) : 0;
    return { again: tries > 0, how: this.how, overloaded, retryAfterMs };
  }
}
