import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type Change, EXEC_ARGV } from "./changed-sources.ts";
import {
  allocateControl,
  BEATS,
  CHOICES,
  controlMemory,
  DIES,
  EXIT,
  kindOf,
  MAIN,
  MAX_THREADS,
  type Point,
  STALLS,
  TIMER,
  threadOf,
} from "./control-words.ts";
import { type Cast, Controller } from "./controller.ts";
import { BOX, KINDS, READS } from "./gated-atomics.ts";
import { SCENARIOS } from "./scenarios.ts";
import type { ThreadData } from "./thread.ts";

// Only a thread that is stuck ever needs so long.
const PATIENCE_MS = 30_000;

const ENDS = [
  [DIES, "mortal"],
  [STALLS, "stalling"],
] as const;

export interface Explored {
  readonly schedules: number;
  readonly states: number;
  /** What was wrong with the first bad schedule, and that schedule. */
  readonly fault: string | undefined;
}

interface Plan {
  readonly choices: readonly number[];
  readonly preemptions: number;
  /** A thread has died or stalls: once is enough. */
  readonly hasLoss: boolean;
}

/** The threads of a scenario. They try one schedule after the other, of one version of the sources after the other. */
export class Explorer implements AsyncDisposable {
  readonly #control: Controller;
  readonly #workers: readonly Worker[];

  private constructor(control: Controller, workers: readonly Worker[]) {
    this.#control = control;
    this.#workers = workers;
  }

  /** `versions`: what is changed in each. `states`: see `allocateControl`. */
  static async start(versions: readonly (readonly Change[])[], states?: number): Promise<Explorer> {
    const threads = MAX_THREADS;
    const control = allocateControl(states);
    const workers = Array.from({ length: threads }, (_, thread) => {
      const workerData: ThreadData = { control, thread, threads, versions };
      return new Worker(new URL("./thread.ts", import.meta.url), { workerData, execArgv: EXEC_ARGV });
    });
    const [layout] = await once(workers[MAIN] as Worker, "message");
    for (const worker of workers.slice(1)) worker.postMessage(layout);
    return new Explorer(new Controller(controlMemory(control), threads), workers);
  }

  /** Tries every schedule of a scenario with up to `most` preemptions, fewest first. Ends at the first bad one. */
  explore(name: string, most?: number, version = 0): Explored {
    const index = SCENARIOS.findIndex((scenario) => scenario.name === name);
    const scenario = SCENARIOS[index];
    if (scenario === undefined) throw new Error(`no scenario "${name}"`);
    const bound = most ?? scenario.preemptions;
    const touched = new Map<number, { threads: number; writers: number }>();
    let schedules = 0;
    this.#allParked();
    this.#control.load(version);
    this.#control.forget();
    // By what they cost, so that the simplest bad schedule is found first.
    const plans: Plan[][] = Array.from({ length: bound + 1 }, () => []);
    plans[0]?.push({ choices: [], preemptions: 0, hasLoss: false });
    // To stop a thread before an operation that nobody else can see is the same as to stop it before its next one. Which those are
    // is learned from the schedules: what was left out for an operation that turns out to be seen is made up for.
    const postponed = new Map<number, Plan[]>();
    const isSeen = (address: number): boolean => {
      const by = touched.get(address);
      return by !== undefined && (by.threads & (by.threads - 1)) !== 0 && by.writers !== 0;
    };
    for (;;) {
      const plan = plans.find((equal) => equal.length > 0)?.pop();
      if (plan === undefined) return { schedules, states: this.#control.states, fault: undefined };
      this.#run({ scenario: index, threads: scenario.threads, last: scenario.last ?? [] }, plan);
      schedules++;
      const points = Array.from({ length: this.#control.steps }, (_, step) => this.#control.point(step));
      if (this.#control.verdict !== "")
        return { schedules, states: this.#control.states, fault: `${this.#control.verdict}\n${describe(points, plan)}` };
      for (const { thread, address, kind } of points) {
        if (address < 0) continue;
        const by = touched.get(address) ?? { threads: 0, writers: 0 };
        by.threads |= 1 << thread;
        if (!READS.has(kind)) by.writers |= 1 << thread;
        touched.set(address, by);
        const due = isSeen(address) ? postponed.get(address) : undefined;
        if (due === undefined) continue;
        postponed.delete(address);
        for (const each of due) plans[each.preemptions]?.push(each);
      }
      const last = plan.choices.at(-2) ?? -1;
      for (let step = last + 1; step < points.length; step++) {
        const { thread, goesOn, address, choices, chosen } = points[step] as Point;
        const children: Plan[] = [];
        for (let choice = 0; choice < CHOICES; choice++) {
          if ((choices & (1 << choice)) === 0 || choice === chosen || (goesOn && choice === thread)) continue;
          // A thread that was killed dies wherever it is; it need not be stopped for that.
          if (goesOn && kindOf(choice) === DIES) {
            children.push({ choices: [...plan.choices, step, choice], preemptions: plan.preemptions, hasLoss: plan.hasLoss });
            continue;
          }
          const preemptions = plan.preemptions + (goesOn ? 1 : 0);
          if (goesOn && scenario.stopped?.includes(thread) === false) continue;
          if (preemptions <= bound) children.push({ choices: [...plan.choices, step, choice], preemptions, hasLoss: plan.hasLoss });
        }
        for (const [ends, threads] of ENDS) {
          if (!goesOn || plan.hasLoss || !(scenario[threads] ?? []).includes(thread)) continue;
          const end = { choices: [...plan.choices, step, thread | ends], preemptions: plan.preemptions, hasLoss: true };
          // A message is seen by whom it goes to, and there may be no next operation.
          if (address >= BOX) plans[end.preemptions]?.push(end);
          else children.push(end);
        }
        if (!goesOn || isSeen(address)) for (const child of children) plans[child.preemptions]?.push(child);
        else if (children.length > 0) postponed.set(address, [...(postponed.get(address) ?? []), ...children]);
      }
    }
  }

  #run(cast: Cast, plan: Plan): void {
    this.#allParked();
    if (this.#control.run(cast, plan.choices, plan.preemptions, PATIENCE_MS)) return;
    throw new Error("a schedule does not come to its end");
  }

  #allParked(): void {
    if (!this.#control.allParked(PATIENCE_MS)) throw new Error("the threads do not come back to the start");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function describe(points: readonly Point[], { choices }: Plan): string {
  const lines = points.flatMap(({ thread, goesOn, address, kind, chosen }, step) => {
    const planned = choices.some((at, n) => n % 2 === 0 && at === step);
    const what = goesOn ? `${KINDS[kind]} ${address >= BOX ? `to ${address - BOX}` : address}` : "waits";
    const then = chosen === thread ? "" : ` -> ${described(chosen, thread)}${planned ? " (chosen)" : ""}`;
    return [`${thread === MAIN ? "main" : `thread ${thread}`}: ${what}${then}`];
  });
  return lines.join("\n");
}

function described(choice: number, thread: number): string {
  switch (kindOf(choice)) {
    case DIES:
      return choice - DIES === thread ? "dies here" : `thread ${choice - DIES} dies`;
    case STALLS:
      return "stalls for ever";
    case EXIT:
      return `main: thread ${choice - EXIT} has exited`;
    case BEATS:
      return `thread ${choice - BEATS} beats`;
    case TIMER:
      return "main: the next timer";
    default:
      return `${threadOf(choice)}`;
  }
}
