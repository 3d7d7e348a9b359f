import type { Worker } from "node:worker_threads";
import { CancelScope } from "../../src/threads/index.ts";
import { CancelBoard } from "../../src/threads/cancel-board.ts";
import type { DispatchedStep } from "../../src/threads/dispatched-step.ts";
import { Layout, type LayoutHandle } from "../../src/threads/layout.ts";
import { PoolThread } from "../../src/threads/pool-thread.ts";
import type { OutcomeEntry } from "../../src/threads/protocol.ts";
import { Slots } from "../../src/threads/slots.ts";
import { DispatchedGroup, type GroupParts } from "../../src/threads/step-group.ts";
import { Tracker } from "../../src/threads/tracker.ts";
import { EXPLORED, MAIN, MAX_THREADS } from "./control-words.ts";
import type { GatedAtomics } from "./gated-atomics.ts";
import { Order } from "./order.ts";
import type { Role } from "./role.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";
import type { SharedControl } from "./shared-control.ts";
import type { Behavior } from "./step-role.ts";

const SLOTS = 3;
const ROWS = MAX_THREADS;
/** So few cancels that the log can overflow. */
const LOG_SIZE = 4;

/** Where a step goes, and whether it comes there when the set-up is over. */
interface Sent {
  readonly to: number;
  readonly later: boolean;
}

/** The service's main thread: the real board, tracker and runs, with the pools' part of it played. */
export class MainRole implements Role {
  readonly layout: LayoutHandle;
  readonly #layout: Layout;
  readonly #control: SharedControl;
  readonly #gate: GatedAtomics;
  readonly #atFirst: Int32Array;
  readonly #board: CancelBoard;
  #slots: Slots;
  #tracker: Tracker;
  #parts: GroupParts;
  #threads: PoolThread[] = [];
  #orders: Order[] = [];
  #sent: Sent = { to: MAIN, later: false };
  #unsettled = 0;
  readonly #exits = new Set<number>();

  constructor(control: SharedControl, gate: GatedAtomics) {
    this.#control = control;
    this.#gate = gate;
    this.#layout = Layout.allocate({ slots: SLOTS, rows: ROWS, logSize: LOG_SIZE });
    this.layout = this.#layout.handle;
    this.#board = CancelBoard.create(this.#layout);
    this.#atFirst = new Int32Array(this.layout.buffer).slice();
    this.#slots = new Slots(this.#board, SLOTS);
    this.#tracker = new Tracker(this.#layout);
    this.#parts = this.#makeParts();
  }

  get scenario(): Scenario {
    return SCENARIOS[this.#control.scenario] as Scenario;
  }

  begin(): void {
    new Int32Array(this.layout.buffer).set(this.#atFirst);
    this.#slots = new Slots(this.#board, SLOTS);
    this.#tracker = new Tracker(this.#layout);
    this.#parts = this.#makeParts();
    this.#threads = Array.from({ length: MAX_THREADS }, (_, id) => new PoolThread({ threadId: id } as Worker));
    this.#orders = [];
    this.#unsettled = 0;
    this.#exits.clear();
    this.scenario.begin(this);
  }

  take(message: string): void {
    const [what = "", thread = "", ...rest] = message.split(" ");
    if (what === "judge") {
      this.#judge();
      this.#control.finish(MAIN);
    } else if (what === "ready") this.#ready(Number(thread), Number(rest[0]));
    else if (what === "exit") this.#exited(Number(thread));
    else if (what === "outcomes") {
      for (const [id, slot, startedAtMs, endedAtMs, outcome] of JSON.parse(rest.join(" ")) as OutcomeEntry[]) {
        this.#slots.step(slot, id)?.settle(outcome ?? { status: "ok" }, endedAtMs, startedAtMs);
      }
    } else this.scenario.take?.(this, message);
    if (this.scenario.counts === true && this.#control.phase === EXPLORED) this.#checkCounts();
  }

  // --- What scenarios do. ---

  /** `later`: when the set-up is over. */
  start(thread: number, later = false): void {
    if (later) this.#control.mail.postLater(thread, "start");
    else this.#gate.post(thread, "start");
  }

  /** To this thread itself. */
  post(message: string): void {
    this.#gate.post(MAIN, message);
  }

  open(): Order {
    const scope = new CancelScope();
    const order = new Order(this.#board, scope, new DispatchedGroup(this.#parts, scope, 0));
    this.#orders.push(order);
    return order;
  }

  /** Sends a step to a thread; `later`: it comes there when the set-up is over. */
  send(order: Order, behavior: Behavior, to: number, later = false): void {
    this.#sent = { to, later };
    this.#unsettled++;
    void order.dispatch(behavior, to).then(() => this.#unsettled--);
  }

  /** To this thread itself, for when the set-up is over. */
  later(message: string): void {
    this.#control.mail.postLater(MAIN, message);
  }

  /** Has a step "fails on request" fail when the set-up is over. */
  failLater(thread: number): void {
    this.#control.mail.postLater(thread, "fail");
  }

  /** At the end: a thread that had a step of an order when that was canceled has acted on it and said so. */
  expectAcknowledged(thread: number, head: number): void {
    const { row } = this.#threads[thread] as PoolThread;
    if (row === undefined || !this.#board.hasAcknowledged(row, head)) this.accuse(`thread ${thread} has not acknowledged the cancel`);
  }

  /** Up to where the log goes, for `acknowledged`. */
  head(): number {
    return this.#board.head();
  }

  accuse(text: string): void {
    this.#control.accuse(text);
  }

  /** As the watch that ends threads does: a thread that has acknowledged a cancel must have ended its steps. */
  judgeGrace(order: Order, thread: number, head: number): void {
    const { row } = this.#threads[thread] as PoolThread;
    if (row === undefined || !this.#board.hasAcknowledged(row, head)) return;
    if (order.isOpenOn(thread) && !this.#control.mail.holds(MAIN, `outcomes ${thread} `)) {
      this.accuse(`thread ${thread} has acknowledged a cancel before its step's outcome was posted`);
    }
  }

  #makeParts(): GroupParts {
    const pool = {
      enqueue: (step: DispatchedStep) => {
        const { to, later } = this.#sent;
        step.moveTo(this.#threads[to]);
        const text = JSON.stringify([step.message()]);
        if (later) this.#control.mail.postLater(to, text);
        else this.#gate.post(to, text);
      },
      lookAtWaiting() {},
    };
    return {
      board: this.#board,
      slots: this.#slots,
      watchdog: { watch: () => () => {} },
      shared: pool,
      exclusive: pool,
    } as unknown as GroupParts;
  }

  #ready(thread: number, row: number): void {
    (this.#threads[thread] as PoolThread).row = row;
    this.scenario.ready?.(this, thread);
  }

  /** What a pool does at the exit of a thread. */
  #exited(thread: number): void {
    this.#exits.add(thread);
    const row = (this.#threads[thread] as PoolThread).row ?? this.#tracker.rowOf(thread);
    if (row !== undefined) this.#tracker.settle(row);
    for (const step of this.#slots.unsettled()) {
      if (step.thread?.id !== thread) continue;
      const { slot, generation, cause } = step.owner;
      if (cause !== undefined) step.settle({ status: "canceled", cause, effect: "unknown" });
      else {
        if (this.#board.causeOf(slot, generation) !== undefined) this.#board.notify(slot);
        step.settle({ status: "lost", reason: "exit", effect: "unknown" });
      }
    }
  }

  /** At every moment: a step that has been answered is not counted any more, and nothing is counted twice. */
  #checkCounts(): void {
    const { running, started, finished } = this.#tracker.totals();
    if (started > running + finished) this.accuse(`${started} steps have started, but ${running} run and ${finished} have finished`);
    if (finished > started) this.accuse(`${finished} steps have finished, but ${started} have started`);
    if (running < 0 || running > this.#unsettled)
      this.accuse(`${running} steps are counted as running, ${this.#unsettled} have not been answered`);
  }

  /** Everything has come to rest. */
  #judge(): void {
    let open = 0;
    for (const [n, order] of this.#orders.entries()) {
      const fault = order.fault((thread) => this.#control.isGone(thread));
      if (fault !== undefined) this.accuse(`order ${n}: ${fault}`);
      if (order.open > 0) open++;
    }
    const { running, started, finished } = this.#tracker.totals();
    const isStalled = this.#threads.some(({ id }) => this.#control.isGone(id) && !this.#exits.has(id));
    if (isStalled) return;
    if (running !== this.#unsettled || started !== finished + running) {
      this.accuse(`${this.#unsettled} steps run, but running, started, finished are counted as ${running}, ${started}, ${finished}`);
    }
    // A thread may die between the count and the body.
    const { bodies } = this.#control;
    if (started < bodies || started > bodies + this.#exits.size) this.accuse(`${bodies} steps ran, ${started} are counted`);
    if (this.#slots.inUse !== open) this.accuse(`${this.#slots.inUse} slots are taken for ${open} open orders`);
    this.scenario.judge?.(this);
  }
}

export function makeRole(control: SharedControl, gate: GatedAtomics): Role {
  return new MainRole(control, gate);
}
