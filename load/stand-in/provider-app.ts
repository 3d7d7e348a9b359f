import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { StepName } from "../../src/orders/step.ts";
import { type Call, readCall } from "./call.ts";
import type { Ledger } from "./ledger.ts";
import type { Manner } from "./manner.ts";

export interface ProviderAppOptions {
  readonly ledger: Ledger;
  /** How to treat a request. */
  readonly mannerOf: (call: Call) => Manner;
  readonly goDown: (ms: number) => void;
  /** The client closed the connection before it had an answer. */
  readonly onGone?: ((call: Call) => void) | undefined;
}

const REFUSAL: Readonly<Record<StepName, number>> = { payment: 402, vendor: 503, courier: 503 };
const MAX_BODY = 64 * 1024;
const ENDLESS_CHUNK = Buffer.alloc(16 * 1024, " ");

/** The six provider endpoints, at the root or under any prefix. Not listening yet. */
export function providerApp(options: ProviderAppOptions): Server {
  const { ledger, mannerOf, goDown, onGone } = options;
  const seen = new Map<string, number>();

  return createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      // The client left while its request was being read.
      if (!request.destroyed) throw error;
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const read = request.method === "POST" ? readCall(path, request.headers, await bodyOf(request)) : `method ${request.method}`;
    if (typeof read === "string") {
      ledger.malformed(`${path}: ${read}`);
      response.writeHead(400, { "content-type": "text/plain" }).end(read);
      return;
    }
    const nth = (seen.get(read.key) ?? 0) + 1;
    seen.set(read.key, nth);
    const call: Call = { ...read, nth };
    const manner = mannerOf(call);
    const gone = new AbortController();
    let finished = false;
    response.on("close", () => {
      if (finished || response.writableFinished) return;
      gone.abort();
      onGone?.(call);
    });
    if (manner.slowMs !== undefined) {
      await sleep(manner.slowMs, undefined, { signal: gone.signal }).catch(() => {});
      if (gone.signal.aborted) return;
    }
    const hangUp = (reset: boolean) => {
      finished = true;
      if (reset) request.socket.resetAndDestroy();
      else request.socket.destroy();
    };

    switch (manner.type) {
      case "answer":
        return answer(response, act(call), manner);
      case "refuse":
        return answer(response, call.action === "do" ? act(call, manner.status ?? REFUSAL[call.step]) : (manner.status ?? 503), manner);
      case "failBefore":
        return answer(response, manner.status ?? 500, manner);
      case "failAfter":
        act(call);
        return answer(response, manner.status ?? 500, manner);
      case "hangUpBefore":
        return hangUp(true);
      case "hangUpAfter":
        act(call);
        return hangUp(false);
      case "hangUpHalfway":
        response.writeHead(act(call), { "content-type": "application/json", "content-length": 1000 });
        response.write('{"half":', () => hangUp(false));
        return;
      case "late": {
        const acted = ledger.willAct();
        await sleep(manner.lateMs ?? 0);
        const status = act(call);
        acted();
        return answer(response, status, manner);
      }
      case "endless": {
        response.writeHead(act(call), { "content-type": "application/octet-stream", ...manner.headers });
        const pour = () => {
          while (!response.destroyed && response.write(ENDLESS_CHUNK));
        };
        response.on("drain", pour);
        return pour();
      }
      case "down":
        finished = true;
        return goDown(manner.downMs ?? 0);
    }
  }

  function act({ step, action, key, body }: Call, refuseWith?: number): number {
    return action === "do" ? ledger.perform(step, key, body, refuseWith) : ledger.undo(step, body);
  }
}

function answer(response: ServerResponse, status: number, { headers }: Manner): void {
  if (response.destroyed) return;
  const body = JSON.stringify({ status });
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request) {
    text += chunk;
    if (text.length > MAX_BODY) break;
  }
  return text;
}
