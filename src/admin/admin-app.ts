import express, { type ErrorRequestHandler, type Express } from "express";
import type { AccessKeys } from "../http/access-keys.ts";
import { sendError } from "../http/answers.ts";
import { errorAnswers, noSuchRoute } from "../http/fallbacks.ts";
import { healthRoutes, type Readiness } from "../http/health-routes.ts";
import type { ErrorKind } from "../orders/error-kind.ts";
import type { OnFault } from "../orders/faults.ts";
import type { CompensationRow, OperatorJournal } from "../orders/operator-journal.ts";
import { JournalBusy, JournalUnavailable, type OrderJournal } from "../orders/order-journal.ts";
import type { OrderService } from "../orders/order-service.ts";
import { needsKey } from "./admin-keys.ts";
import { type BackupParts, backupRoutes } from "./backup-routes.ts";
import { type Chaos, chaosRoutes } from "./chaos-routes.ts";
import { type CompensationParts, compensationRoutes } from "./compensation-routes.ts";
import { deadLetterRoutes } from "./dead-letter-routes.ts";
import { type Diagnosis, diagnosisRoutes } from "./diagnosis-routes.ts";
import { demoOrderRoutes } from "./live/demo-orders.ts";
import type { LiveFeed } from "./live/live-feed.ts";
import { liveRoutes } from "./live/live-routes.ts";
import { pageRoutes } from "./live/page-routes.ts";
import type { MetricSources, Metrics } from "./metrics.ts";
import { metricsRoutes } from "./metrics-routes.ts";
import { nodeRoutes } from "./node-routes.ts";
import type { OnAction } from "./on-action.ts";
import { orderListRoutes } from "./order-list-routes.ts";
import { orderLookupRoutes } from "./order-lookup-routes.ts";
import { RecentBacklog } from "./recent-backlog.ts";
import { restoreRoutes } from "./restore-routes.ts";
import { type ThreadCounters, threadRoutes } from "./thread-routes.ts";
import { type WebhookControl, webhookRoutes } from "./webhook-routes.ts";

export interface AdminParts {
  /** Absent: no route needs a key. */
  readonly keys?: AccessKeys;
  readonly readiness: () => Readiness;
  readonly counters: ThreadCounters;
  readonly metrics: Metrics;
  readonly live: LiveFeed;
  /** Further sources of `/metrics`. */
  readonly watched: Omit<MetricSources, "backlog" | "nodes" | "webhooks" | "ordersInFlight" | "threads">;
  readonly diagnosis: Diagnosis;
  readonly operators: OperatorParts;
  /** Absent with real providers: then the chaos routes do not exist. */
  readonly chaos?: Chaos & { readonly orderService: Pick<OrderService, "place">; readonly onRefused?: (kind: ErrorKind) => void };
  readonly report: OnFault;
}

/** The parts of the service behind the operator routes. */
export interface OperatorParts {
  readonly journal: OperatorJournal;
  readonly lookup: Pick<OrderJournal, "find">;
  readonly compensator: CompensationParts["compensator"];
  /** Absent where no receiver is configured. */
  readonly webhooks?: WebhookControl;
  readonly backups: Omit<BackupParts, "journal" | "onAction">;
  /** A compensation was settled by hand. */
  readonly onSettled: (row: CompensationRow) => void;
  /** Compensations that were held since a restore are due. */
  readonly onConfirmed: () => void;
  /** An event waits in the outbox again. */
  readonly onRedelivered: () => void;
  readonly onAction: OnAction;
}

/** The admin listener's application. It is on loopback by default, and no part of it is on the public listener. */
export function adminApp({ keys, readiness, counters, metrics, watched, diagnosis, live, operators, chaos, report }: AdminParts): Express {
  const { journal, backups, webhooks } = operators;
  const app = express();
  app.disable("x-powered-by");
  // Before the check of keys, because probes have none.
  app.use(healthRoutes(readiness));
  if (keys !== undefined) app.use(needsKey(keys));
  app.use(threadRoutes(counters));
  app.use(pageRoutes());
  app.use(liveRoutes(live));
  app.use(diagnosisRoutes(diagnosis));
  const recent = new RecentBacklog(journal);
  app.use(
    metricsRoutes(metrics, {
      ...watched,
      threads: counters.threads,
      backlog: () => recent.get(),
      ordersInFlight: counters.ordersInFlight,
      ...(journal.nodes !== undefined && { nodes: journal.nodes }),
      ...(webhooks !== undefined && { webhooks }),
    }),
  );
  app.use(orderListRoutes(journal));
  app.use(orderLookupRoutes(operators.lookup, journal));
  app.use(compensationRoutes(operators));
  app.use(deadLetterRoutes(operators));
  app.use(webhookRoutes(operators));
  app.use(backupRoutes({ journal, onAction: operators.onAction, ...backups }));
  app.use(restoreRoutes(operators));
  app.use(nodeRoutes(journal));
  if (chaos !== undefined) app.use(chaosRoutes(chaos), demoOrderRoutes(chaos.orderService, chaos.onRefused));
  app.use(noSuchRoute);
  app.use(journalAnswers);
  app.use(errorAnswers(report));
  return app;
}

/** The answer to a request that the journal refused. It names the reason, and nothing has happened. */
const journalAnswers: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (error instanceof JournalBusy) sendError(response, "overloaded", `the journal is busy: ${error.message}`);
  else if (error instanceof JournalUnavailable) sendError(response, "internal", `the journal could not do that: ${error.message}`);
  else next(error);
};
