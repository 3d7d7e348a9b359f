import { sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import type { OrderService } from "../orders/order-service.ts";
import type { Threads } from "../threads/index.ts";

/** What the admin pages ask of the threads and of the orders on them. */
export interface ThreadSources {
  readonly threads: Pick<Threads, "statistics">;
  readonly orderService: Pick<OrderService, "inFlight">;
}

/** `GET /debug/threads`: the counters in shared memory, which the threads write, not the main thread's own. */
export function threadRoutes(sources: ThreadSources): Routes {
  return {
    "/debug/threads": {
      get: (_request, response) => {
        const { running, started, finished, threads, replaced } = sources.threads.statistics();
        const body = {
          running,
          started,
          finished,
          orders_in_flight: sources.orderService.inFlight,
          replaced: total(replaced),
          threads: threads.map(({ heartbeatAgeMs, ...thread }) => ({ ...thread, heartbeat_age_ms: heartbeatAgeMs })),
        };
        sendJson(response, 200, JSON.stringify(body));
      },
    },
  };
}

/** The sum of counts that are kept by reason. */
export function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
