import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { perStep, STEP_TABLE, type StepName } from "../../src/orders/steps.ts";
import { type Call, readCall } from "./call.ts";
import type { FaultMode } from "./fault-mode.ts";
import type { Ledger } from "./ledger.ts";

export interface ProviderAppOptions {
  readonly ledger: Ledger;
  /** How many calls of each step it has before it, compensations aside: it counts them. */
  readonly underWay: Record<StepName, number>;
  /** How often this key has been seen, this time included. */
  readonly seen: (key: string) => number;
  /** How to treat a request. */
  readonly faultModeOf: (call: Call) => FaultMode;
  readonly goDown: (ms: number) => void;
  /** The client closed the connection before it had an answer. */
  readonly onGone?: ((call: Call) => void) | undefined;
  /** It is over, answered or not. */
  readonly onEnd?: ((call: Call) => void) | undefined;
}

/** How a provider says no to a call: as it would, where that has a status of its own. */
const REFUSAL = perStep((step) => {
  const { statuses, healthy } = STEP_TABLE[step].meaning;
  return healthy ?? Number(Object.keys(statuses)[0] ?? 503);
});

const MAX_BODY = 64 * 1024;
const ENDLESS_CHUNK = Buffer.alloc(16 * 1024, " ");

/** The endpoints of all providers, at the root or under any prefix. Not listening yet. */
export function providerApp({ ledger, underWay, seen, faultModeOf, goDown, onGone, onEnd }: ProviderAppOptions): Server {
  return createServer((request, response) => {
    // Not `for await`, not `pipeline`: this answers thousands of calls per second beside what is being measured.
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.byteLength;
      if (length > MAX_BODY) request.destroy();
      else chunks.push(chunk);
    });
    request.on("end", () => handle(request, response, Buffer.concat(chunks).toString("utf8")));
    // The client left while its request was being read.
    request.on("error", () => {});
  });

  function handle(request: IncomingMessage, response: ServerResponse, text: string): void {
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const read = request.method === "POST" ? readCall(path, request.headers, text) : `method ${request.method}`;
    if (typeof read === "string") {
      ledger.malformed(`${path}: ${read}`);
      response.writeHead(400, { "content-type": "text/plain" }).end(read);
      return;
    }
    const call: Call = { ...read, nth: seen(read.key) };
    const faultMode = faultModeOf(call);
    let timer: NodeJS.Timeout | undefined;
    let hungUp = false;
    if (call.action === "perform") underWay[call.step]++;
    response.on("close", () => {
      clearTimeout(timer);
      if (hungUp) return;
      if (!response.writableFinished) onGone?.(call);
      end();
    });
    if (faultMode.after !== undefined) void faultMode.after.then(() => response.closed || treat());
    else if (faultMode.slowMs === undefined) treat();
    else timer = setTimeout(treat, faultMode.slowMs);

    function treat(): void {
      switch (faultMode.type) {
        case "answer":
          answer(response, act(call), faultMode);
          break;
        case "hang":
          break;
        case "refuse":
          answer(
            response,
            call.action === "perform" ? act(call, faultMode.status ?? REFUSAL[call.step]) : (faultMode.status ?? 503),
            faultMode,
          );
          break;
        case "failBefore":
          answer(response, faultMode.status ?? 500, faultMode);
          break;
        case "failAfter":
          act(call);
          answer(response, faultMode.status ?? 500, faultMode);
          break;
        case "hangUpBefore":
          hangUp(true);
          break;
        case "hangUpAfter":
          act(call);
          hangUp(false);
          break;
        case "hangUpHalfway":
          response.writeHead(act(call), { "content-type": "application/json", "content-length": 1000 });
          response.write('{"half":', () => hangUp(false));
          break;
        case "late":
          actLater();
          break;
        case "endless":
          response.writeHead(act(call), { "content-type": "application/octet-stream", ...faultMode.headers });
          pour(response);
          break;
        case "down":
          hungUp = true;
          end();
          goDown(faultMode.downMs ?? 0);
      }
    }

    function actLater(): void {
      const acted = ledger.willAct();
      setTimeout(() => {
        const status = act(call);
        acted();
        answer(response, status, faultMode);
      }, faultMode.lateMs);
    }

    function end(): void {
      if (call.action === "perform") underWay[call.step]--;
      onEnd?.(call);
    }

    function hangUp(reset: boolean): void {
      if (response.closed) return;
      hungUp = true;
      // Before its client can know: `close` comes a little later, and by then that one may have begun another call.
      end();
      if (reset) request.socket.resetAndDestroy();
      else request.socket.destroy();
    }
  }

  function act({ step, action, key, body }: Call, refuseWith?: number): number {
    return action === "perform" ? ledger.perform(step, key, body, refuseWith) : ledger.compensate(step, body);
  }
}

function pour(response: ServerResponse): void {
  const more = () => {
    while (!response.destroyed && response.write(ENDLESS_CHUNK));
  };
  response.on("drain", more);
  more();
}

function answer(response: ServerResponse, status: number, { headers }: FaultMode): void {
  if (response.destroyed) return;
  const body = `{"status":${status}}`;
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length, ...headers }).end(body);
}
