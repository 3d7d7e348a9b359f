import { readFileSync } from "node:fs";
import type { ErrorRequestHandler, Express } from "express";
import type { TraceRecorder } from "../diagnosis/trace-recorder.ts";
import type { AccessKeys } from "../http/access-keys.ts";
import { sendError } from "../http/answers.ts";
import { browserFile, browserFolder, pageRoutes, sendBrowserFile } from "../http/browser-files.ts";
import { healthRoutes, type Readiness } from "../http/health-routes.ts";
import { needsKey } from "../http/needs-key.ts";
import { addRoutes, errorAnswers, newApp, noSuchRoute } from "../http/routes.ts";
import type { ErrorKind } from "../orders/error-kind.ts";
import type { OnFault } from "../orders/faults.ts";
import { JournalBusy, JournalUnavailable } from "../orders/order-journal.ts";
import type { OrderService } from "../orders/order-service.ts";
import type { Threads } from "../threads/index.ts";
import { backupRoutes } from "./backup-routes.ts";
import { chaosRoutes, type StuckThreads } from "./chaos-routes.ts";
import { compensationRoutes } from "./compensation-routes.ts";
import { diagnosisRoutes } from "./diagnosis-routes.ts";
import { deadLetterRoutes, webhookRoutes } from "./event-routes.ts";
import { demoOrderRoutes } from "./live/demo-orders.ts";
import type { LiveFeed } from "./live/live-feed.ts";
import { type MetricSources, type Metrics, metricsRoutes } from "./metrics.ts";
import { nodeRoutes } from "./node-routes.ts";
import type { OperatorParts } from "./operators.ts";
import { orderListRoutes, orderLookupRoutes } from "./order-routes.ts";
import { restoreRoutes } from "./restore-routes.ts";
import { threadRoutes } from "./thread-routes.ts";

/** The parts of the service behind the admin listener. */
export interface AdminParts extends OperatorParts, Omit<MetricSources, "nodes" | "webhooks"> {
  /** Absent: no route needs a key. */
  readonly keys?: AccessKeys;
  readonly readiness: () => Readiness;
  readonly metrics: Metrics;
  readonly live: LiveFeed;
  readonly traces: Pick<TraceRecorder, "isRecording" | "record">;
  readonly threads: Pick<Threads, "statistics" | "killThread">;
  readonly orderService: Pick<OrderService, "inFlight" | "place">;
  readonly onRefused: (kind: ErrorKind) => void;
  /** Absent with real providers: then the chaos routes do not exist. */
  readonly sticking?: StuckThreads;
  readonly onFault: OnFault;
}

const README = new URL("../../README.md", import.meta.url);

/** The admin listener's application. It is on loopback by default, and no part of it is on the public listener. */
export function adminApp(parts: AdminParts): Express {
  const { keys, journal, live, threads, sticking } = parts;
  const app = newApp();
  // Before the check of keys, because probes have none.
  addRoutes(app, healthRoutes(parts.readiness));
  if (keys !== undefined) app.use(needsKey(keys, { asPassword: true }));
  addRoutes(app, {
    ...pageRoutes("/", "/live/*path", browserFolder(new URL("../web/live/", import.meta.url))),
    // The page refers to it.
    "/readme": {
      get: (request, response) => sendBrowserFile(request, response, browserFile("text/plain", readFileSync(README))),
    },
    // What happens, as server-sent events, for the page and for `curl -N`.
    "/events": {
      head: false,
      get: (_request, response) => {
        if (!live.open(response)) sendError(response, "overloaded", "too many pages are open already, or the service ends");
      },
    },
    ...threadRoutes(parts),
    ...diagnosisRoutes(parts.traces, () => threads.statistics().threads),
    ...metricsRoutes(parts.metrics, { ...parts, ...(journal.nodes !== undefined && { nodes: journal.nodes }) }),
    ...orderListRoutes(parts),
    ...orderLookupRoutes(parts),
    ...compensationRoutes(parts),
    ...deadLetterRoutes(parts),
    ...webhookRoutes(parts),
    ...backupRoutes(parts),
    ...restoreRoutes(parts),
    ...nodeRoutes(journal),
    ...(sticking !== undefined && { ...chaosRoutes(threads, sticking), ...demoOrderRoutes(parts) }),
  });
  app.use(noSuchRoute);
  app.use(journalAnswers);
  app.use(errorAnswers(parts.onFault));
  return app;
}

/** The answer to a request that the journal refused. It names the reason, and nothing has happened. */
const journalAnswers: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (error instanceof JournalBusy) sendError(response, "overloaded", `the journal is busy: ${error.message}`);
  else if (error instanceof JournalUnavailable) sendError(response, "internal", `the journal could not do that: ${error.message}`);
  else next(error);
};
