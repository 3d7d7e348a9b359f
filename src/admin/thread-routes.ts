import { sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";

/** The counters of the threads, for the admin pages. */
export interface ThreadCounters {
  totals(): { readonly running: number; readonly started: number; readonly finished: number };
  threads(): readonly {
    readonly id: number;
    readonly pool: string;
    readonly running: number;
    readonly started: number;
    readonly finished: number;
    readonly heartbeatAgeMs: number;
  }[];
  replaced(): ReadonlyMap<string, number>;
  ordersInFlight(): number;
}

/** `GET /debug/threads`: the counters in shared memory, which the threads write, not the main thread's own. */
export function threadRoutes(counters: ThreadCounters): Routes {
  return {
    "/debug/threads": {
      get: (_request, response) => {
        const { running, started, finished } = counters.totals();
        const replaced = [...counters.replaced().values()].reduce((sum, count) => sum + count, 0);
        const threads = counters.threads().map(({ heartbeatAgeMs, ...thread }) => ({ ...thread, heartbeat_age_ms: heartbeatAgeMs }));
        sendJson(
          response,
          200,
          JSON.stringify({ running, started, finished, orders_in_flight: counters.ordersInFlight(), replaced, threads }),
        );
      },
    },
  };
}
