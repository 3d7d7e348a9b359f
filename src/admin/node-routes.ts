import { sendError, sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import type { NodeState, OperatorJournal } from "../orders/operator-journal.ts";
import { NOTHING, readQuery } from "./strict-input.ts";
import { isoTime } from "./times.ts";

/** `GET /nodes`: the nodes that live on this journal, by their names. */
export function nodeRoutes(journal: Pick<OperatorJournal, "nodes">): Routes {
  return {
    "/nodes": {
      get: async (request, response) => {
        readQuery(request, NOTHING);
        const nodes = await journal.nodes?.();
        if (nodes === undefined)
          sendError(response, "not_found", "there are no nodes: the journal is not on PostgreSQL, and this process is alone");
        else sendJson(response, 200, JSON.stringify({ nodes: nodes.map(show) }));
      },
    },
  };
}

function show({ name, life, version, leaseMs, startedMs, ordersUnderWay, isThis }: NodeState): object {
  return {
    name,
    life,
    version,
    lease_ms: leaseMs,
    started_at: isoTime(startedMs),
    orders_under_way: ordersUnderWay,
    ...(isThis && { this: true }),
  };
}
