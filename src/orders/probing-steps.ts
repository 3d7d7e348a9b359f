import { Canceled, type CancelScope } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { ProviderHealths } from "./provider-health.ts";
import type { EndedStep } from "./step.ts";
import { STEPS, type StepName } from "./steps.ts";

/** Steps at providers whose circuits are not closed run first; the others wait for their success, for each may cost a refund. */
export class ProbingSteps {
  readonly #steps: readonly StepName[];
  readonly #wentWell = Promise.withResolvers<boolean>();
  #left: number;

  private constructor(steps: readonly StepName[]) {
    this.#steps = steps;
    this.#left = steps.length;
  }

  /** Undefined when all circuits are closed. */
  static needed(providers: ProviderHealths): ProbingSteps | undefined {
    // Makes no array in the common case.
    if (!STEPS.some((name) => isProbed(providers, name))) return undefined;
    return new ProbingSteps(STEPS.filter((name) => isProbed(providers, name)));
  }

  /** Starts a step now, or once all probes have succeeded. */
  spawn(name: StepName, scope: CancelScope<CancelCause>, start: () => Promise<EndedStep>): Promise<EndedStep> {
    if (this.#steps.includes(name)) return this.#probe(start);
    return this.#wentWell.promise.then((well) => (well ? start() : canceledWith(scope)));
  }

  async #probe(start: () => Promise<EndedStep>): Promise<EndedStep> {
    let well = false;
    try {
      const ended = await start();
      well = ended.outcome.status === "ok";
      return ended;
    } finally {
      this.#left--;
      if (!well) this.#wentWell.resolve(false);
      else if (this.#left === 0) this.#wentWell.resolve(true);
    }
  }
}

function isProbed(providers: ProviderHealths, name: StepName): boolean {
  const health = providers[name];
  return health !== undefined && health.circuit.state !== "closed";
}

/** The failed probe cancels the group, or was canceled with it. This scope may be canceled a turn of the event loop later. */
function canceledWith(scope: CancelScope<CancelCause>): Promise<never> {
  return new Promise((_, reject) => {
    scope.onCancel((cause) => reject(new Canceled(cause)));
  });
}
