import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { STEPS, type StepName } from "../../src/orders/steps.ts";
import { checkFaultRates, type FaultRateSettings } from "./fault-rates.ts";
import type { DownMode } from "./flaky-listener.ts";
import type { Ledger } from "./ledger.ts";

export interface ControlAppOptions {
  readonly ledger: Ledger;
  /** How many calls of each step it has before it, compensations aside. */
  readonly underWay: Readonly<Record<StepName, number>>;
  readonly setFaultRates: (rates: FaultRateSettings) => void;
  readonly goDown: (ms: number | undefined, mode: DownMode, step: StepName | undefined) => void;
  readonly comeUp: (step: StepName | undefined) => Promise<void>;
}

/** What the control listener understands, for `--help`. */
export const CONTROL_ROUTES = `GET  /ledger         everything it ever did, by key
GET  /counts         how often it charged, refunded and so on; cheap, however long the ledger
GET  /under-way      how many calls of each step it has before it now
POST /control        rates, replacing all that were set before: {"vendor":{"hang":1}}, {} for a calm day
POST /control/down   {"ms":500,"mode":"refuse"|"reset","step":"vendor"}: without ms until it is told to come up, without
                     step at the address that all of them share
POST /control/up     {"step":"vendor"}`;

/** The routes above. On a listener of its own, so that it answers while a provider is down. */
export function controlApp({ ledger, underWay, setFaultRates, goDown, comeUp }: ControlAppOptions): Server {
  return createServer((request, response) => {
    handle(request).then(
      (body) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(400, { "content-type": "text/plain" }).end(String(error)),
    );
  });

  async function handle(request: IncomingMessage): Promise<unknown> {
    switch (`${request.method} ${request.url}`) {
      case "GET /ledger":
        return ledger.snapshot();
      case "GET /counts":
        return { ...ledger.counts, pending: ledger.pending };
      case "GET /under-way":
        return underWay;
      case "POST /control":
        setFaultRates(checkFaultRates(JSON.parse(await text(request))));
        return {};
      case "POST /control/down": {
        const { ms, mode = "refuse", step } = await bodyOf(request);
        if (ms !== undefined && !(typeof ms === "number" && ms >= 0)) throw new RangeError("ms must be a number of milliseconds");
        if (mode !== "refuse" && mode !== "reset") throw new RangeError("mode must be refuse or reset");
        goDown(ms, mode, stepOf(step));
        return {};
      }
      case "POST /control/up":
        await comeUp(stepOf((await bodyOf(request)).step));
        return {};
      default:
        throw new RangeError(`no such route: ${request.method} ${request.url}`);
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<{ ms?: unknown; mode?: unknown; step?: unknown }> {
  return JSON.parse((await text(request)) || "{}");
}

function stepOf(name: unknown): StepName | undefined {
  const step = STEPS.find((one) => one === name);
  if (step === undefined && name !== undefined) throw new RangeError(`step must be one of ${STEPS}`);
  return step;
}
