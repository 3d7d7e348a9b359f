import { setTimeout as sleep } from "node:timers/promises";
import type { Call } from "./call.ts";
import { controlApp } from "./control-app.ts";
import { Door, type DownMode } from "./door.ts";
import { Ledger } from "./ledger.ts";
import { drawManner, type Manner } from "./manner.ts";
import { providerApp } from "./provider-app.ts";
import { checkRates, type RateSettings, ratesFor } from "./rates.ts";

export interface StandInOptions {
  readonly host?: string;
  /** 0: any free port. */
  readonly port?: number;
  readonly controlPort?: number;
  readonly seed?: string;
  readonly rates?: RateSettings;
  /** Goes before the rates: how to treat this request, undefined for as the rates say. Sees every request, so tests may keep them. */
  readonly mannerOf?: (call: Call) => Manner | undefined;
  /** The client closed the connection before it had an answer. */
  readonly onGone?: (call: Call) => void;
}

/** Stands in for all three providers: a correct, idempotent one, with as unreliable a network and as bad a day as it is told to have. */
export interface StandIn {
  /** For `PAYMENT_URL`, `VENDOR_URL` and `COURIER_URL`. */
  readonly url: string;
  readonly controlUrl: string;
  readonly ledger: Ledger;
  readonly connections: { readonly accepted: number; readonly open: number };
  readonly isDown: boolean;
  setRates(rates: RateSettings): void;
  /** Resolves when it is up again. */
  down(ms: number, mode?: DownMode): Promise<void>;
  /** Resolves when nothing is left that it would do later. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a stand-in inside this process. `spawnStandIn` starts one that outlives whatever happens here. */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  const { host = "127.0.0.1", seed = "1" } = options;
  let rates = checkRates(options.rates ?? {});
  const ledger = new Ledger();
  const server = providerApp({
    ledger,
    mannerOf: (call) => options.mannerOf?.(call) ?? drawManner(ratesFor(rates, call.step, call.action), seed, call),
    goDown: (ms) => void door.down(ms, "refuse"),
    onGone: options.onGone,
  });
  const door = new Door(server);
  const setRates = (next: RateSettings) => {
    rates = checkRates(next);
  };
  const control = controlApp({ ledger, setRates, goDown: (ms, mode) => void door.down(ms, mode) });
  const controlDoor = new Door(control);
  return {
    url: await door.listen(host, options.port ?? 0),
    controlUrl: await controlDoor.listen(host, options.controlPort ?? 0),
    ledger,
    connections: door,
    get isDown() {
      return door.isDown;
    },
    setRates,
    down: (ms, mode = "refuse") => door.down(ms, mode),
    async quiet() {
      while (ledger.pending > 0) await sleep(10);
    },
    async close() {
      await Promise.all([door.close(), controlDoor.close()]);
    },
  };
}
