import { Canceled, type CancelScope } from "../threads/index.ts";
import type { CancelCause } from "./cancel-cause.ts";
import type { ProviderHealths } from "./provider-health.ts";
import type { EndedStep } from "./step.ts";
import { STEPS, type StepName } from "./steps.ts";

/**
 * Steps at providers whose circuits are not closed run first, for each of the others may cost a compensation; so one after the other, and a
 * customer is charged last. The other steps wait for the success of all.
 */
export class ProbingSteps {
  readonly #steps: readonly StepName[];
  readonly #wentWell: readonly PromiseWithResolvers<boolean>[];

  private constructor(steps: readonly StepName[]) {
    this.#steps = steps;
    this.#wentWell = steps.map(() => Promise.withResolvers());
  }

  /** Undefined when all circuits are closed. */
  static needed(providers: ProviderHealths): ProbingSteps | undefined {
    // Makes no array in the common case.
    if (!STEPS.some((name) => isProbed(providers, name))) return undefined;
    // The first step of an order is the payment.
    return new ProbingSteps(STEPS.filter((name) => isProbed(providers, name)).reverse());
  }

  /** Starts a step now, or once all probes before it have succeeded. */
  spawn(name: StepName, scope: CancelScope<CancelCause>, start: () => Promise<EndedStep>): Promise<EndedStep> {
    const place = this.#steps.indexOf(name);
    const before = this.#wentWell[(place < 0 ? this.#steps.length : place) - 1];
    const begin = () => before?.promise.then((well) => (well ? start() : canceledWith(scope))) ?? start();
    return place < 0 ? begin() : this.#probe(place, begin);
  }

  async #probe(place: number, begin: () => Promise<EndedStep>): Promise<EndedStep> {
    let well = false;
    try {
      const ended = await begin();
      well = ended.outcome.status === "ok";
      return ended;
    } finally {
      this.#wentWell[place]?.resolve(well);
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
