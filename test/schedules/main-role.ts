import { CancelBoard } from "../../src/threads/cancel-board.ts";
import { BUILT_IN_CAUSES } from "../../src/threads/canceled.ts";
import type { TaskRunOptions } from "../../src/threads/dispatched-task.ts";
import type { WatchClock } from "../../src/threads/grace-watch.ts";
import { Layout, type LayoutHandle } from "../../src/threads/layout.ts";
import { EXPLORED, MAIN, MAX_TASKS, MAX_THREADS } from "./control-words.ts";
import { countsFault, crowdFault, faultAtRest } from "./judge.ts";
import type { Ledger } from "./ledger.ts";
import type { Role, Stage } from "./role.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";
import type { SharedControl } from "./shared-control.ts";
import { type Ground, portOf, standOn, workerExited } from "./stand-ins.ts";
import { type Behavior, REQUEST, START } from "./task-role.ts";
import { TestedGroup, type TestedTask, type Truth } from "./tested-group.ts";
import { TestedThreads } from "./tested-threads.ts";
import { Timers } from "./timers.ts";

const SLOTS = 3;
const ROWS = MAX_THREADS;
/** So few cancels that the log can overflow. */
const LOG_SIZE = 4;

// Messages to the main thread: these, or the number of a thread and what that has posted.
const SCENARIO = "scenario ";
const READ = "read ";
const JUDGE = "judge";

/** The main thread of a program: the library's own parts, on threads, ports and a clock of the schedule. */
export class MainRole implements Role, Truth {
  readonly layout: LayoutHandle;
  readonly board: CancelBoard;
  readonly ledger: Ledger;
  readonly control: SharedControl;
  answeredInTime = 0;
  threads!: TestedThreads;
  groups: TestedGroup[] = [];
  /** Threads that have exited, as this thread knows. */
  readonly exits = new Set<number>();
  readonly #stage: Stage;
  readonly #layout: Layout;
  readonly #atFirst: Int32Array;
  readonly #timers: Timers;
  readonly #ground: Ground;
  #tasks = 0;
  #begun = false;
  #started = 0;
  #holds = false;
  #looks = 0;
  #stalledUntilMs = 0;
  #onceRead: (() => void)[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
    this.control = stage.control;
    this.ledger = stage.control.ledger;
    const { layout } = stage;
    this.#layout = layout === undefined ? Layout.allocate({ slots: SLOTS, rows: ROWS, logSize: LOG_SIZE }) : new Layout(layout);
    this.layout = this.#layout.handle;
    new Int32Array(this.layout.buffer).fill(0);
    this.board = CancelBoard.create(this.#layout, BUILT_IN_CAUSES);
    this.#atFirst = new Int32Array(this.layout.buffer).slice();
    this.#timers = new Timers(stage.control);
    this.#timers.install();
    this.#ground = {
      start: () => this.#start(),
      kill: (thread) => this.control.turns.kill(thread, this.scenario.native === true),
      isSeen: (thread) => this.scenario.diesUnseen !== true || this.threads.find(thread) !== undefined,
      post: (to, text) => this.#post(to, text),
      takeFrom: (thread) => this.control.mail.takeFirst(MAIN, `${thread} `)?.slice(2),
    };
  }

  get scenario(): Scenario {
    return SCENARIOS[this.control.scenario] as Scenario;
  }

  givesUpAtMs(canceledAtMs: number): number {
    return Math.max(canceledAtMs, this.#stalledUntilMs) + (this.scenario.graceMs ?? 0);
  }

  begin(): void {
    new Int32Array(this.layout.buffer).set(this.#atFirst);
    this.#timers.reset();
    this.answeredInTime = 0;
    this.groups = [];
    this.exits.clear();
    this.#tasks = 0;
    this.#begun = false;
    this.#started = 0;
    this.#looks = this.scenario.looks ?? 0;
    this.#onceRead = [];
    this.#stalledUntilMs = 0;
    if (this.scenario.fast === true) this.control.slowTimers();
    standOn(this.#ground);
    this.threads = new TestedThreads({
      layout: this.#layout,
      board: this.board,
      slots: SLOTS,
      scenario: this.scenario,
      graceClock: this.#clock((ms, run) => (this.scenario.graceMs === undefined ? () => {} : this.#timers.arm(ms, false, run))),
      progressClock: this.#clock((ms, run) => (this.#looks-- > 0 ? this.#timers.arm(ms, false, run) : () => {})),
      onFault: (message, error) => {
        if (message !== this.scenario.fault) this.ledger.accuse(`a fault was told: ${message}: ${error}`);
      },
      onClosed: (slot) => this.groups.find((group) => group.slot === slot && !group.isClosed)?.closing(),
    });
  }

  take(message: string): void {
    if (message === JUDGE) {
      const fault = faultAtRest(this);
      if (fault !== undefined) this.ledger.accuse(fault);
      this.scenario.judge?.(this);
      this.control.turns.finish(MAIN);
    } else if (message === READ) this.#onceRead.shift()?.();
    else if (message.startsWith(SCENARIO)) void this.scenario.take?.(this, message.slice(SCENARIO.length));
    else this.#arrived(Number(message[0]), message.slice(2));
    this.#looked();
  }

  timer(): void {
    this.#timers.fireNext();
    this.#looked();
  }

  exited(thread: number): void {
    this.exits.add(thread);
    workerExited(thread);
    this.#looked();
  }

  // --- What scenarios do. ---

  open(): TestedGroup {
    const group = new TestedGroup(this.threads.parts, this);
    this.groups.push(group);
    return group;
  }

  /** Runs a task. `to`: the thread that it will come to. */
  run(group: TestedGroup, behavior: Behavior, to?: number, options?: TaskRunOptions): TestedTask {
    if (this.#tasks === MAX_TASKS) throw new Error(`more than ${MAX_TASKS} tasks`);
    const tested = group.run(this.#tasks++, behavior, to, options);
    if (to !== undefined) {
      setImmediate(() => {
        const { threadId } = tested.task;
        if (threadId !== to) this.ledger.accuse(`task ${tested.number} has gone to thread ${threadId}, not to ${to}`);
      });
    }
    return tested;
  }

  /** Tasks that are run in here come to their threads when the set-up is over; so do starts of threads. */
  held(run: () => void): void {
    this.#stage.runImmediates();
    this.#holds = true;
    run();
    this.#stage.runImmediates();
    this.#holds = false;
  }

  /** To this thread itself. */
  post(message: string): void {
    this.#stage.gate.post(MAIN, SCENARIO + message);
  }

  /** To this thread itself, for when the set-up is over. */
  later(message: string): void {
    this.control.mail.postLater(MAIN, SCENARIO + message);
  }

  /** A task that waits for a request gets it when the set-up is over. */
  requestLater({ number, to }: TestedTask): void {
    this.control.mail.postLater(to as number, REQUEST + number);
  }

  request({ number, task }: TestedTask): void {
    this.#stage.gate.post(task.threadId as number, REQUEST + number);
  }

  /** This thread stands still. */
  stall(ms: number): void {
    this.control.clockMs += ms;
    this.#stalledUntilMs = this.control.clockMs;
  }

  kill(thread: number): void {
    this.threads.find(thread)?.kill("killed");
  }

  close(): void {
    for (const group of this.groups) if (!group.isClosed) group.cancel("closed");
    void this.threads.close();
  }

  // --- What threads and ports do. ---

  #start(): number | undefined {
    if (this.#started === this.scenario.threads - 1) return undefined;
    this.#started++;
    this.#post(this.#started, START);
    return this.#started;
  }

  #post(to: number, text: string): void {
    if (this.#holds) this.control.mail.postLater(to, text);
    else this.#stage.gate.post(to, text);
  }

  #arrived(thread: number, text: string): void {
    const wasReady = this.threads.find(thread) !== undefined;
    portOf(thread)?.receive(text);
    const isReady = this.threads.find(thread) !== undefined;
    if (this.#begun && isReady && !wasReady) this.scenario.replaced?.(this, thread);
    if (this.#begun || !this.threads.areUp) return;
    this.#begun = true;
    void this.scenario.begin(this);
  }

  #clock(after: (ms: number, run: () => void) => () => void): WatchClock {
    return {
      nowMs: () => this.control.clockMs,
      after: (ms, run) =>
        after(ms, () => {
          this.answeredInTime = this.ledger.answered;
          run();
        }),
      onceRead: (callback) => {
        this.#onceRead.push(callback);
        // Behind all that has arrived.
        this.control.mail.post(MAIN, READ);
      },
    };
  }

  #looked(): void {
    if (this.control.turns.phase !== EXPLORED) return;
    const fault = crowdFault(this) ?? (this.scenario.counts === true ? countsFault(this) : undefined);
    if (fault !== undefined) this.ledger.accuse(fault);
  }
}

export function makeRole(stage: Stage): Role {
  return new MainRole(stage);
}
