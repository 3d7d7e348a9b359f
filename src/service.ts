import type { Logger } from "pino";
import { adminApp } from "./admin/admin-app.ts";
import { LiveFeed } from "./admin/live/live-feed.ts";
import { Metrics } from "./admin/metrics.ts";
import { RecentBacklog } from "./admin/recent-backlog.ts";
import { stuckWarning } from "./admin/stuck-warning.ts";
import type { ThreadCounters } from "./admin/thread-routes.ts";
import { Admission } from "./admission/admission.ts";
import { readAccess } from "./composition/access.ts";
import { existingDirectory } from "./composition/backup-directory.ts";
import { capacitiesOf } from "./composition/capacities.ts";
import { chaosOn } from "./composition/chaos.ts";
import { Couriers } from "./composition/cluster.ts";
import { openJournal } from "./composition/journal.ts";
import { Listeners } from "./composition/listeners.ts";
import { operatorParts } from "./composition/operator-parts.ts";
import { Orders } from "./composition/orders.ts";
import { providerHealthsOf, providerUrlsOf } from "./composition/providers.ts";
import type { Service, StartOptions } from "./composition/service.ts";
import { startStepThreads } from "./composition/threads.ts";
import type { Config } from "./config.ts";
import { LongSteps } from "./diagnosis/long-steps.ts";
import { ThreadInspector } from "./diagnosis/thread-inspector.ts";
import { TraceRecorder } from "./diagnosis/trace-recorder.ts";
import { FaultLog } from "./fault-log.ts";
import type { Readiness } from "./http/health-routes.ts";
import { TooManyConnections } from "./http/listener.ts";
import { publicApp } from "./http/public-app.ts";
import { TokenBuckets } from "./http/token-buckets.ts";
import { storeOf } from "./journal/postgres/address.ts";
import type { OnOrderEnded } from "./orders/ended-order.ts";
import type { ErrorKind } from "./orders/error-kind.ts";
import { JournalUnavailable } from "./orders/order-journal.ts";
import { Pipeline } from "./orders/pipeline.ts";
import type { StepName } from "./orders/steps.ts";
import { ThreadStepRunner } from "./orders/thread-step-runner.ts";
import { readProviderKeys } from "./provider-keys.ts";
import { orderLog } from "./telemetry/order-log.ts";
import { startTracing } from "./telemetry/tracing.ts";
import { REPLACE_REASONS } from "./threads/index.ts";
import { readWebhookSecrets } from "./webhooks/secret.ts";

export type { Service, StartOptions } from "./composition/service.ts";

/** Puts the concrete pieces together, with the parts in `composition/`. No other file knows them all. */
export async function start(config: Config, log: Logger, options: StartOptions): Promise<Service> {
  // Whatever was started is stopped in reverse order: at the end, or when a later piece cannot be started.
  await using starting = new AsyncDisposableStack();
  const faults = new FaultLog({ log, expected: [JournalUnavailable, TooManyConnections] });
  starting.defer(() => faults.close());
  const onFault = faults.report.bind(faults);

  const access = await readAccess(config, log, faults);
  const webhookSecrets = config.WEBHOOK_SECRET_FILE === undefined ? [] : await readWebhookSecrets(config.WEBHOOK_SECRET_FILE);
  const providerKeys = await readProviderKeys(config);
  const backupDirectory = config.BACKUP_DIR === undefined ? undefined : await existingDirectory("BACKUP_DIR", config.BACKUP_DIR);
  const metrics = new Metrics();
  const tracing =
    config.OTEL_EXPORTER_OTLP_ENDPOINT === undefined ? undefined : await startTracing(config.OTEL_EXPORTER_OTLP_ENDPOINT, log);
  if (tracing !== undefined) starting.defer(() => tracing.close());
  const providerUrls = providerUrlsOf(config);
  const simulated = Object.keys(providerUrls).length === 0;
  const onPhase = (phase: string) => options.onPhase?.(phase);
  const couriers = storeOf(config.JOURNAL) === "postgres" ? new Couriers(config, onFault) : undefined;
  const capacities = capacitiesOf(config, couriers?.capacity);
  onPhase(`opening the journal ${config.JOURNAL}`);
  const opening = openJournal(config, log, onFault, {
    onFatal: options.onFatal,
    onCommit: (requests, milliseconds) => {
      metrics.committed(milliseconds);
      live.committed(requests, milliseconds);
    },
  });
  starting.defer(() => opening.then((opened) => opened.close(), ignore));

  const counters: ThreadCounters = {
    totals: () => threads.totals(),
    threads: () => threads.statistics().threads,
    replaced: () => threads.statistics().replaced,
    ordersInFlight: () => orderService.inFlight,
  };
  const circuitState = (step: StepName) => providers[step]?.circuit.state ?? "closed";
  const live = new LiveFeed({
    counters,
    longSteps: { mark: () => longSteps.mark(), sample: () => longSteps.sample(), forget: () => longSteps.forget() },
    capacities,
    circuitState,
    backlog: () => recent.get(),
    receiver: () => orders.webhooks?.state().receiver ?? "none",
    simulated,
    ...(storeOf(config.JOURNAL) === "postgres" && { node: config.NODE_NAME }),
    apiPort: () => publicListener.port,
    onFault,
  });
  const onRefused = (kind: ErrorKind) => {
    for (const counting of [metrics, live]) counting.orderRefused(kind);
  };

  // A thread may log before there is an order service to ask.
  let orderFields: (orderId: unknown) => object = () => ({});
  const stickBegun = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const traces = new TraceRecorder(() => threads.statistics().threads);
  // At the same time as the journal, whose thread takes as long to start.
  const startingThreads = startStepThreads(config, {
    options,
    settings: { stickBegun, tracing: tracing !== undefined, providerUrls, providerKeys },
    faults,
    orderFields: (orderId) => orderFields(orderId),
    onSpans: (spans) => tracing?.spansEnded(spans),
    onReplaced: (pool, thread, reason) => {
      log.warn({ pool, thread, reason }, "thread replaced");
      live.threadReplaced(pool, thread, reason);
      traces.replaced({ id: thread, pool }, reason);
    },
  });
  starting.defer(() => startingThreads.then((started) => started.close(), ignore));
  opening.then(() => onPhase("starting the step threads"), ignore);
  const [journal, threads] = await Promise.all([opening, startingThreads]);
  const longSteps = new LongSteps(threads);
  const stepRunner = new ThreadStepRunner(threads, (step, orderId, stack) => {
    faults.line("error", "step threw something unclassified", { step, order_id: orderId, error: stack, ...orderFields(orderId) });
  });
  const share = journal.cluster === undefined ? undefined : await couriers?.join(journal.cluster);
  if (share !== undefined) starting.defer(() => share.stop());
  const runner = share?.guard(stepRunner) ?? stepRunner;
  const recent = new RecentBacklog(journal);

  const providers = providerHealthsOf(providerUrls, log, options.providerHealth);
  const pipeline = new Pipeline(runner, capacities, providers);
  const admission = new Admission({
    capacities: Object.values(capacities),
    exclusive: threads.exclusive,
    computingBehind: () => pipeline.computingBehind,
    inFlight: () => orderService.inFlight,
    maxInFlight: config.MAX_IN_FLIGHT,
    orderTimeoutMs: config.ORDER_TIMEOUT_MS,
  });
  starting.defer(() => admission.stop());
  const observers: OnOrderEnded[] = [(order) => metrics.orderEnded(order), traces.ended, (order) => live.orderEnded(order)];
  if (log.isLevelEnabled("info")) observers.push(orderLog(log));
  if (tracing !== undefined) observers.push(tracing.orderEnded);
  const orders = new Orders({
    config,
    log,
    journal,
    webhookSecrets,
    runner,
    pipeline,
    gate: admission,
    providers,
    onEnded: (order) => {
      for (const observe of observers) observe(order);
    },
    onTried: (step, done) => metrics.compensationTried(step, done),
    ...(tracing !== undefined && { onRetried: tracing.compensationRetried }),
    onPhase,
    onFault,
  });
  starting.defer(() => orders.close());
  const { orderService, compensator } = orders;
  orderFields = (orderId) => orderService.fieldsOf(orderId);
  const traceUse = tracing !== undefined ? "spans" : simulated ? "log" : "calls";
  let state: Readiness = "starting";
  const readiness = () => (state === "ready" && !journal.healthy ? "journal_unavailable" : state);
  const listeners = new Listeners(config, onFault);
  const rateClock = options.rateClock === undefined ? {} : { nowMs: options.rateClock };
  const publicListener = await listeners.openPublic(
    publicApp(
      {
        orderService,
        journal,
        simulated,
        traces: traceUse,
        onRefused,
        ...(access.apiKeys !== undefined && { keys: access.apiKeys }),
        ...(config.RATE_LIMIT !== undefined && { buckets: new TokenBuckets(config.RATE_LIMIT, rateClock) }),
      },
      readiness,
      onFault,
    ),
  );
  starting.defer(() => publicListener.close());
  const inspector = new ThreadInspector(threads);
  const admin = adminApp({
    ...(access.adminKeys !== undefined && { keys: access.adminKeys }),
    readiness,
    counters,
    metrics,
    live,
    watched: {
      listeners: () => listeners.counts(access),
      admission,
      stepsRunning: () => threads.totals().running,
      threadsReplaced: () => new Map(REPLACE_REASONS.map((reason) => [reason, threads.statistics().replaced.get(reason) ?? 0])),
      capacities,
      circuitState,
      journalHealthy: () => journal.healthy,
      ...(tracing !== undefined && { spansDropped: tracing.dropped }),
    },
    diagnosis: { traces, inspector },
    operators: operatorParts(journal, orders, config, log, backupDirectory),
    ...(simulated && { chaos: { ...chaosOn(threads, runner, stickBegun, orderService), onRefused } }),
    report: onFault,
  });
  const adminListener = await listeners.openAdmin(admin);
  starting.defer(() => adminListener.close());
  starting.defer(() => live.close());
  // Closed before the admin listener, which waits for answers that are under way.
  starting.defer(() => traces.close());

  live.recovered(await orders.start());
  const warning = stuckWarning({ journal, warn: (fields, message) => log.warn(fields, message), onFault });
  starting.defer(() => warning.stop());
  warning.start();
  admission.start();
  state = "ready";
  const hurry = new AbortController();
  const cancelAll = () => {
    orderService.cancelAll("shutdown");
    journal.cluster?.hurry();
    hurry.abort();
  };
  const parts = starting.move();
  return {
    publicListener,
    adminListener,
    orderService,
    threads,
    journal,
    compensator,
    admission,
    traces,
    inspector,
    capacities,
    cancelAll,
    ...(access.reload !== undefined && { reloadKeys: access.reload }),
    async stop() {
      // The listener stays open while orders end: a balancer reads 503 from `readyz`, and late clients a clear answer.
      state = "draining";
      const timer = setTimeout(cancelAll, config.SHUTDOWN_TIMEOUT_MS);
      await Promise.all([orderService.drain(), publicListener.endConnections(hurry.signal)]);
      clearTimeout(timer);
      await parts.disposeAsync();
    },
  };
}

/** What could not be started has nothing to stop; whoever waits for it learns why. */
function ignore(): void {}
