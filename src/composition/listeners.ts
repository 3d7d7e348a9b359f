import type { Express } from "express";
import { adminApp } from "../admin/admin-app.ts";
import { StuckThreads } from "../admin/chaos-routes.ts";
import { LiveFeed } from "../admin/live/live-feed.ts";
import type { ListenerCounts } from "../admin/metrics/present-families.ts";
import { recentBacklog } from "../admin/metrics.ts";
import type { Config } from "../config.ts";
import { LongSteps } from "../diagnosis/long-steps.ts";
import type { AccessKeys } from "../http/access-keys.ts";
import type { Readiness } from "../http/health-routes.ts";
import { type Listener, type ListenOptions, listen } from "../http/listener.ts";
import { publicApp } from "../http/public-app.ts";
import { TokenBuckets } from "../http/rate-limit.ts";
import type { Journal } from "../journal/journal.ts";
import { storeOf } from "../journal/postgres/address.ts";
import type { StepName } from "../orders/steps.ts";
import type { Access } from "./access.ts";
import type { Observers } from "./observers.ts";
import type { Orders } from "./orders.ts";
import type { StartOptions } from "./service.ts";
import { providerUrlsOf, type Steps } from "./steps.ts";
import type { StepThreads } from "./threads.ts";

// Operators, their pages and Prometheus need some tens. A further one costs the one that has been idle longest, so probes are always answered.
const MAX_ADMIN_CONNECTIONS = 1_000;

/** What both listeners show and serve. */
export interface Served {
  readonly config: Config;
  readonly observers: Observers;
  readonly journal: Journal;
  readonly threads: StepThreads;
  readonly steps: Steps;
  readonly orders: Orders;
  readonly access: Access;
  readonly readiness: () => Readiness;
  /** What each listener counts, from when it is open. */
  readonly counts: (() => ListenerCounts)[];
}

/** Throws `ListenError`. */
export function openPublicListener(served: Served, rateClock: StartOptions["rateClock"]): Promise<Listener> {
  const { config, observers, journal, orders, access } = served;
  const simulated = isSimulated(config);
  const app = publicApp(
    {
      orderService: orders.orderService,
      journal,
      simulated,
      traces: observers.tracing !== undefined ? "spans" : simulated ? "log" : "calls",
      onRefused: observers.onRefused,
      ...(access.apiKeys !== undefined && { keys: access.apiKeys }),
      ...(config.RATE_LIMIT !== undefined && { buckets: new TokenBuckets(config.RATE_LIMIT, rateClock) }),
    },
    served.readiness,
    observers.onFault,
  );
  return listenAt(served, "public", app, access.apiKeys, {
    name: "PORT",
    host: config.HOST,
    port: config.PORT,
    anyNameFromOutside: true,
    limits: { max: config.MAX_CONNECTIONS, maxPerAddress: config.MAX_CONNECTIONS_PER_ADDRESS, unreadMs: config.REQUEST_TIMEOUT_MS },
  });
}

/** `stickBegun`: the shared word in which the step `stick` counts its starts. Throws `ListenError`. */
export async function openAdminListener(
  served: Served,
  publicListener: Listener,
  stickBegun: SharedArrayBuffer,
  backupDirectory: string | undefined,
): Promise<{ readonly listener: Listener; readonly live: LiveFeed }> {
  const { config, observers, journal, threads, steps, orders, access } = served;
  const { log, metrics, traces, tracing, onFault } = observers;
  const { compensator, webhooks } = orders;
  const sources = {
    threads,
    orderService: orders.orderService,
    capacities: steps.capacities,
    circuitState: (step: StepName) => steps.providers[step]?.circuit.state ?? "closed",
    backlog: recentBacklog(journal),
    ...(webhooks !== undefined && {
      webhooks: {
        origin: new URL(config.WEBHOOK_URL as string).origin,
        state: () => webhooks.state(),
        resume: () => webhooks.resume(),
      },
    }),
    onFault,
  };
  const store = storeOf(config.JOURNAL);
  const live = new LiveFeed(observers.live, {
    ...sources,
    longSteps: new LongSteps(threads),
    simulated: isSimulated(config),
    ...(store === "postgres" && { node: config.NODE_NAME }),
    apiPort: publicListener.port,
  });
  const app = adminApp({
    ...sources,
    ...(access.adminKeys !== undefined && { keys: access.adminKeys }),
    readiness: served.readiness,
    metrics,
    live,
    admission: orders.admission,
    listeners: () => served.counts.map((counts) => counts()),
    journalHealthy: () => journal.healthy,
    ...(tracing !== undefined && { spansDropped: tracing.dropped }),
    traces,
    journal,
    compensator,
    backups: { ...(backupDirectory !== undefined && { directory: backupDirectory }), store },
    onDue: () => orders.notify(),
    onAction: (fields) => log.info(fields, "an operator acted"),
    onRefused: observers.onRefused,
    ...(isSimulated(config) && { sticking: new StuckThreads(steps.runner, stickBegun) }),
  });
  const listener = await listenAt(served, "admin", app, access.adminKeys, {
    name: "ADMIN_PORT",
    host: config.ADMIN_HOST,
    port: config.ADMIN_PORT,
    anyNameFromOutside: false,
    limits: { max: MAX_ADMIN_CONNECTIONS },
  });
  return { listener, live };
}

function isSimulated(config: Config): boolean {
  return Object.keys(providerUrlsOf(config)).length === 0;
}

async function listenAt(
  { config, observers, counts }: Served,
  name: ListenerCounts["listener"],
  app: Express,
  keys: AccessKeys | undefined,
  own: Pick<ListenOptions, "name" | "host" | "port" | "anyNameFromOutside" | "limits">,
): Promise<Listener> {
  const listener = await listen({
    ...own,
    app,
    allowedHosts: config.ALLOWED_HOSTS ?? [],
    keepAliveTimeoutMs: config.KEEP_ALIVE_TIMEOUT_MS,
    headersTimeoutMs: config.HEADERS_TIMEOUT_MS,
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    onFault: observers.onFault,
  });
  const { connections } = listener;
  counts.push(() => ({ listener: name, open: connections.open, closed: connections.closed, unauthorized: keys?.refused ?? 0 }));
  return listener;
}
