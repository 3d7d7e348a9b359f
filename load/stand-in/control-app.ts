import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";
import type { DownMode } from "./door.ts";
import type { Ledger } from "./ledger.ts";
import { checkRates, type RateSettings } from "./rates.ts";

export interface ControlAppOptions {
  readonly ledger: Ledger;
  readonly setRates: (rates: RateSettings) => void;
  readonly goDown: (ms: number, mode: DownMode) => void;
}

/**
 * `GET /ledger`, `POST /control` (rates, replacing all that were set before) and `POST /control/down`
 * (`{"ms": 500, "mode": "refuse" | "reset"}`). On a listener of its own, so that it answers while the provider is down.
 */
export function controlApp({ ledger, setRates, goDown }: ControlAppOptions): Server {
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
      case "POST /control":
        setRates(checkRates(JSON.parse(await text(request))));
        return {};
      case "POST /control/down": {
        const { ms, mode = "refuse" } = JSON.parse((await text(request)) || "{}") as { ms?: unknown; mode?: unknown };
        if (typeof ms !== "number" || !(ms >= 0)) throw new RangeError("ms must be a number of milliseconds");
        if (mode !== "refuse" && mode !== "reset") throw new RangeError("mode must be refuse or reset");
        goDown(ms, mode);
        return {};
      }
      default:
        throw new RangeError(`no such route: ${request.method} ${request.url}`);
    }
  }
}
