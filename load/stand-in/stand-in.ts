import { setTimeout as sleep } from "node:timers/promises";
import { perStep, STEPS, type StepName } from "../../src/orders/steps.ts";
import type { Call } from "./call.ts";
import { controlApp } from "./control-app.ts";
import { type FaultMode, FaultRateTable } from "./fault-mode.ts";
import type { FaultRateSettings } from "./fault-rates.ts";
import { type DownMode, FlakyListener } from "./flaky-listener.ts";
import { Ledger } from "./ledger.ts";
import { providerApp } from "./provider-app.ts";

export interface StandInOptions {
  readonly host?: string;
  /** 0: any free port. */
  readonly port?: number;
  readonly controlPort?: number;
  readonly seed?: string;
  readonly rates?: FaultRateSettings;
  /** Goes before the rates: how to treat this request, undefined for as the rates say. Sees every request, so tests may keep them. */
  readonly faultModeOf?: (call: Call) => FaultMode | undefined;
  /** The client closed the connection before it had an answer. */
  readonly onGone?: (call: Call) => void;
  /** A call is over, answered or not. */
  readonly onEnd?: (call: Call) => void;
}

/** Stands in for all providers: a correct, idempotent one, with as unreliable a network and as bad a day as it is told to have. */
export interface StandIn {
  /** For the steps' `..._URL` settings: one address for all, or one for each. */
  readonly url: string;
  readonly urls: Readonly<Record<StepName, string>>;
  readonly controlUrl: string;
  readonly ledger: Ledger;
  /** Those of `url`. */
  readonly connections: { readonly accepted: number; readonly open: number };
  readonly isDown: boolean;
  setFaultRates(rates: FaultRateSettings): void;
  /** Goes down for `ms` (undefined: until `up`) at `url`, or at the address of one step alone. Resolves when it is up again. */
  down(ms: number | undefined, mode?: DownMode, step?: StepName): Promise<void>;
  /** Resolves when it is up. */
  up(step?: StepName): Promise<void>;
  /** Resolves when nothing is left that it would do later. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a stand-in inside this process. `spawnStandIn` starts one that outlives whatever happens here. */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  const { host = "127.0.0.1", seed = "1" } = options;
  const rates = new FaultRateTable(options.rates);
  const ledger = new Ledger();
  const underWay = perStep(() => 0);
  const counts = new Map<string, number>();
  const seen = (key: string) => {
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    return nth;
  };
  const faultModeOf = (call: Call) => options.faultModeOf?.(call) ?? rates.draw(seed, call);
  const newListener = (): FlakyListener => {
    const goDown = (ms: number) => void listener.down(ms, "refuse");
    const listener = new FlakyListener(
      providerApp({ ledger, underWay, seen, faultModeOf, goDown, onGone: options.onGone, onEnd: options.onEnd }),
    );
    return listener;
  };
  const shared = newListener();
  const own = perStep(newListener);
  const listenerOf = (step: StepName | undefined) => (step === undefined ? shared : own[step]);
  const setFaultRates = (next: FaultRateSettings) => rates.set(next);
  const down = (ms: number | undefined, mode: DownMode = "refuse", step?: StepName) => listenerOf(step).down(ms, mode);
  const up = (step?: StepName) => listenerOf(step).up();
  const goDown = (ms: number | undefined, mode: DownMode, step: StepName | undefined) => void down(ms, mode, step);
  const controlListener = new FlakyListener(controlApp({ ledger, underWay, setFaultRates, goDown, comeUp: up }));
  const urls = Object.fromEntries(await Promise.all(STEPS.map(async (step) => [step, await own[step].listen(host, 0)] as const))) as Record<
    StepName,
    string
  >;
  return {
    url: await shared.listen(host, options.port ?? 0),
    urls,
    controlUrl: await controlListener.listen(host, options.controlPort ?? 0),
    ledger,
    connections: shared,
    get isDown() {
      return shared.isDown;
    },
    setFaultRates,
    down,
    up,
    async quiet() {
      while (ledger.pending > 0) await sleep(10);
    },
    async close() {
      await Promise.all([shared, ...Object.values(own), controlListener].map((listener) => listener.close()));
    },
  };
}
