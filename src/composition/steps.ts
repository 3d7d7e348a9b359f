import type { ProviderUrls } from "../../workers/providers/provider.ts";
import type { Config } from "../config.ts";
import { CourierShare } from "../couriers/courier-share.ts";
import { SharedCapacity } from "../couriers/shared-capacity.ts";
import type { Journal } from "../journal/journal.ts";
import { ProviderHealth, type ProviderHealthOptions } from "../orders/provider-health.ts";
import type { StepRunner } from "../orders/step-runner.ts";
import { perStep, STEPS, type StepName, stepSetting } from "../orders/steps.ts";
import { ThreadStepRunner } from "../orders/thread-step-runner.ts";
import { Capacity } from "../threads/index.ts";
import type { Observers } from "./observers.ts";
import { type StepThreads, waitingOf } from "./threads.ts";

/** What the steps of orders run with. */
export interface Steps {
  readonly runner: StepRunner;
  /** How many steps of each kind this process runs at one time. */
  readonly capacities: Readonly<Record<StepName, Capacity>>;
  /** The health of each real provider. */
  readonly providers: { readonly [step in StepName]?: ProviderHealth };
  readonly close: () => void;
}

export type ProviderHealthSettings = Pick<ProviderHealthOptions, "opensAfter" | "maxTries">;

/** Where the real providers are; a step without one is simulated. */
export function providerUrlsOf(config: Config): ProviderUrls {
  const urls = STEPS.map((step) => [step, config[stepSetting(step, "URL")]] as const);
  return Object.fromEntries(urls.filter(([, url]) => url !== undefined));
}

export async function prepareSteps(
  config: Config,
  observers: Observers,
  journal: Journal,
  threads: StepThreads,
  health: ProviderHealthSettings | undefined,
): Promise<Steps> {
  const runner = new ThreadStepRunner(threads, (step, orderId, stack) => {
    observers.faults.line("error", "step threw something unclassified", { step, order_id: orderId, error: stack });
  });
  const share = journal.cluster && (await shareCouriers(config, observers, journal.cluster));
  return {
    runner: share?.guard(runner) ?? runner,
    capacities: perStep((step) =>
      step === "courier" && share !== undefined ? share.capacity : new Capacity(config[stepSetting(step, "CAPACITY")], waitingOf(config)),
    ),
    providers: Object.fromEntries(Object.keys(providerUrlsOf(config)).map((step) => [step, healthOf(step, observers, health)])),
    close: () => share?.stop(),
  };
}

function healthOf(step: string, { log }: Observers, options: ProviderHealthSettings | undefined): ProviderHealth {
  const health = new ProviderHealth(options);
  health.circuit.onChange((state, reason) =>
    state === "open" ? log.warn({ step, reason }, "circuit opened") : log.info({ step, reason }, `circuit ${state}`),
  );
  return health;
}

/** The couriers of a cluster, as this node shares them: it asks for them from now on. */
async function shareCouriers(config: Config, { onFault }: Observers, cluster: NonNullable<Journal["cluster"]>) {
  const { shareCouriers: ask } = await import("../journal/postgres/courier-shares.ts");
  const capacity = new SharedCapacity(config.COURIER_CAPACITY, waitingOf(config));
  const share = new CourierShare({
    capacity,
    total: config.COURIER_CAPACITY,
    cancelGraceMs: config.CANCEL_GRACE_MS,
    sureUntilMs: () => cluster.sureUntilMs(),
    sync: (request) => ask(cluster.sql, () => cluster.life, request),
    onFault,
  });
  return { capacity, guard: (runner: StepRunner) => share.guard(runner), stop: () => share.stop() };
}
