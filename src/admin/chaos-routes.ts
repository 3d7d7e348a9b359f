import { z } from "zod";
import { sendError, sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import type { StepRunner } from "../orders/step-runner.ts";
import { CancelScope, type Threads } from "../threads/index.ts";
import { taking } from "./strict-input.ts";

const MS_RULE = "must be a whole number of milliseconds from 1 to 600000";
const STICK = z.strictObject({ ms: z.int(MS_RULE).min(1, MS_RULE).max(600_000, MS_RULE).default(5000) });

/** `POST /chaos/...`: real faults, for demonstrations and tests. Only while all providers are simulated. */
export function chaosRoutes(threads: Pick<Threads, "killThread">, sticking: StuckThreads): Routes {
  return {
    "/chaos/kill-thread": {
      post: (_request, response) => {
        const id = threads.killThread();
        if (id === undefined) sendError(response, "internal", "no thread is up");
        else sendJson(response, 200, JSON.stringify({ status: "ok", killed: id }));
      },
    },
    "/chaos/stick-thread": {
      post: taking(STICK, async (_request, response, { ms }) => {
        if (!(await sticking.stick(ms))) sendError(response, "overloaded", "every thread that computes is busy");
        else sendJson(response, 200, JSON.stringify({ status: "ok", stuck_ms: ms }));
      }),
    },
    "/chaos/crash": {
      post: (_request, response) => {
        sendJson(response, 202, '{"status":"ok"}');
        response.once("finish", () => process.kill(process.pid, "SIGKILL"));
      },
    },
  };
}

// A thread of the exclusive pool that is busy for longer is not waited for.
const BEGIN_TIMEOUT_MS = 5_000;

/** Makes threads misbehave on purpose. */
export class StuckThreads {
  readonly #runner: StepRunner;
  readonly #begun: Int32Array<SharedArrayBuffer>;
  #last: Promise<unknown> = Promise.resolve();

  /** `begun`: a shared Int32, in which the `stick` step counts its starts. */
  constructor(runner: StepRunner, begun: SharedArrayBuffer) {
    this.#runner = runner;
    this.#begun = new Int32Array(begun);
  }

  /**
   * Makes a thread of the exclusive pool compute for `ms` and ignore the cancel that comes as soon as it computes, so it is replaced about
   * a second after the grace. Resolves at the cancel, with false where no thread began in time.
   */
  stick(ms: number): Promise<boolean> {
    // One after another: the shared count does not say which step has begun.
    const sticking = this.#last.then(() => this.#stick(ms));
    this.#last = sticking.catch(() => {});
    return sticking;
  }

  async #stick(ms: number): Promise<boolean> {
    const before = Atomics.load(this.#begun, 0);
    const scope = new CancelScope();
    const steps = this.#runner.open(scope);
    const step = { name: "stick", action: "perform", computes: true, retryable: false } as const;
    void steps.run(step, { orderId: "chaos", amount: ms, attempt: 1 }).then(() => steps.close());
    const wait = Atomics.waitAsync(this.#begun, 0, before, BEGIN_TIMEOUT_MS);
    const result = wait.async ? await wait.value : wait.value;
    scope.cancel("shutdown");
    return result !== "timed-out";
  }
}
