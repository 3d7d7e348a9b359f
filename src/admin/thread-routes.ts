import { Router } from "express";
import { sendJson } from "../http/answers.ts";
import { onlyMethods } from "../http/fallbacks.ts";

/** What the admin pages need to know of the threads. */
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

/** `GET /debug/threads`: the shared-memory counters as they are, not what the main thread believes. */
export function threadRoutes(counters: ThreadCounters): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router
    .route("/debug/threads")
    .get((_request, response) => {
      const { running, started, finished } = counters.totals();
      const replaced = [...counters.replaced().values()].reduce((sum, count) => sum + count, 0);
      const threads = counters.threads().map(({ heartbeatAgeMs, ...thread }) => ({ ...thread, heartbeat_age_ms: heartbeatAgeMs }));
      sendJson(
        response,
        200,
        JSON.stringify({ running, started, finished, orders_in_flight: counters.ordersInFlight(), replaced, threads }),
      );
    })
    .all(onlyMethods("GET", "HEAD"));
  return router;
}
