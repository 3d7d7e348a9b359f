import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import type { WorkerSettings } from "../workers/settings.ts";
import { adminApp } from "./admin/admin-app.ts";
import { LiveFeed } from "./admin/live/live-feed.ts";
import { Metrics } from "./admin/metrics.ts";
import { RecentBacklog } from "./admin/recent-backlog.ts";
import { StuckThreads } from "./admin/stuck-threads.ts";
import { stuckWarning } from "./admin/stuck-warning.ts";
import type { ThreadBooks } from "./admin/thread-routes.ts";
import { Admission } from "./admission/admission.ts";
import { Capacity } from "./concurrency/capacity.ts";
import { type Config, ConfigError } from "./config.ts";
import { ThreadInspector } from "./diagnosis/thread-inspector.ts";
import { TraceRecorder } from "./diagnosis/trace-recorder.ts";
import { FaultLog } from "./fault-log.ts";
import { AccessKeyError, AccessKeys } from "./http/access-keys.ts";
import type { Readiness } from "./http/health-routes.ts";
import { type Listener, listen, TooManyConnections } from "./http/listener.ts";
import { isOnLoopback } from "./http/loopback.ts";
import { publicApp } from "./http/public-app.ts";
import { TokenBuckets } from "./http/token-buckets.ts";
import { housekeeping } from "./journal/housekeeping.ts";
import { JournalOpenError } from "./journal/journal-open-error.ts";
import { SqliteJournal } from "./journal/sqlite-journal.ts";
import { Compensator, MAX_COMPENSATING } from "./orders/compensator.ts";
import type { OnOrderEnded } from "./orders/ended-order.ts";
import { OrderDesk } from "./orders/order-desk.ts";
import { JournalUnavailable } from "./orders/order-journal.ts";
import { Pipeline } from "./orders/pipeline.ts";
import { ProviderHealth, type ProviderHealthOptions } from "./orders/provider-health.ts";
import { recover } from "./orders/recovery.ts";
import type { StepName } from "./orders/step.ts";
import { readProviderKeys } from "./provider-keys.ts";
import type { CircuitState } from "./retries/circuit-breaker.ts";
import { orderLog } from "./telemetry/order-log.ts";
import { startTracing } from "./telemetry/tracing.ts";
import { REPLACE_REASONS } from "./threads/pool-thread.ts";
import { ThreadRuntime } from "./threads/thread-runtime.ts";
import { WebhookDelivery } from "./webhooks/delivery.ts";
import { readWebhookSecrets } from "./webhooks/secret.ts";

const WORKER_FILE = fileURLToPath(new URL("../workers/main.ts", import.meta.url));
// Room on the cancel board for runs that are no client's order: those of compensations, of retries by hand and of the chaos routes.
const EXTRA_RUNS = MAX_COMPENSATING + 64;
// Seven levels of urgency then come to less than a fifth of the deadline, which is what admission leaves for being overtaken.
const AGING_SHARE = 1 / 40;

/** The running service, for whoever started it. */
export interface Service {
  readonly publicListener: Listener;
  readonly adminListener: Listener;
  readonly desk: OrderDesk;
  readonly runtime: ThreadRuntime;
  readonly journal: SqliteJournal;
  readonly compensator: Compensator;
  readonly admission: Admission;
  readonly traces: TraceRecorder;
  readonly inspector: ThreadInspector;
  readonly capacities: Readonly<Record<StepName, Capacity>>;
  /** Takes no more orders, lets those in flight end (cancels them after the shutdown timeout), stops. */
  stop(): Promise<void>;
  /** Cancels the orders in flight that a `stop` is waiting for. */
  cancelAll(): void;
  /** Reads the files of the admin keys and the API keys again; a bad one changes nothing but the log. Absent where there is none. */
  reloadKeys?(): Promise<void>;
}

export interface StartOptions {
  /** Which of several nodes this is, for the live page. */
  readonly node?: string;
  /** For tests with steps of their own. */
  readonly workerFile?: string;
  /** For tests that let time pass: the clock of the rate limit, milliseconds. */
  readonly rateClock?: () => number;
  /** What the start does next, for an operator who wonders why it takes long. */
  readonly onPhase?: (phase: string) => void;
  /** For tests and benchmarks that compare. */
  readonly providerHealth?: Pick<ProviderHealthOptions, "opensAfter" | "maxTries">;
  /** Nobody knows any more what the journal holds; the process has to end. */
  readonly onFatal: (reason: string) => void;
}

/** Puts the concrete pieces together. The one file that knows them all. */
export async function start(config: Config, log: Logger, options: StartOptions): Promise<Service> {
  // What was started is stopped in reverse, at the end or when a later piece cannot be had.
  await using starting = new AsyncDisposableStack();
  const faults = new FaultLog({ log, expected: [JournalUnavailable, TooManyConnections] });
  starting.defer(() => faults.close());
  const onFault = faults.report.bind(faults);

  const adminKeys = config.ADMIN_KEYS_FILE === undefined ? undefined : await AccessKeys.read("ADMIN_KEYS_FILE", config.ADMIN_KEYS_FILE);
  if (adminKeys === undefined && !(await isOnLoopback(config.ADMIN_HOST))) {
    throw new ConfigError(`ADMIN_HOST=${JSON.stringify(config.ADMIN_HOST)}: is not on loopback, so it needs ADMIN_KEYS_FILE`);
  }
  const apiKeys = config.API_KEYS_FILE === undefined ? undefined : await AccessKeys.read("API_KEYS_FILE", config.API_KEYS_FILE);
  const secrets = config.WEBHOOK_SECRET_FILE === undefined ? [] : await readWebhookSecrets(config.WEBHOOK_SECRET_FILE);
  const providerKeys = await readProviderKeys(config);
  const backupDirectory = config.BACKUP_DIR === undefined ? undefined : await existingDirectory("BACKUP_DIR", config.BACKUP_DIR);
  const metrics = new Metrics();
  const tracing =
    config.OTEL_EXPORTER_OTLP_ENDPOINT === undefined ? undefined : await startTracing(config.OTEL_EXPORTER_OTLP_ENDPOINT, log);
  if (tracing !== undefined) starting.defer(() => tracing.close());
  const providerUrls = {
    ...(config.PAYMENT_URL !== undefined && { payment: config.PAYMENT_URL }),
    ...(config.VENDOR_URL !== undefined && { vendor: config.VENDOR_URL }),
    ...(config.COURIER_URL !== undefined && { courier: config.COURIER_URL }),
  };
  const simulated = Object.keys(providerUrls).length === 0;
  const waiting = { agingMs: config.ORDER_TIMEOUT_MS * AGING_SHARE, endsHopelessWaits: true };
  const capacities = {
    payment: new Capacity(config.PAYMENT_CAPACITY, waiting),
    vendor: new Capacity(config.VENDOR_CAPACITY, waiting),
    courier: new Capacity(config.COURIER_CAPACITY, waiting),
  };
  const phase = (name: string) => options.onPhase?.(name);
  phase(`opening the journal ${config.JOURNAL}`);
  const journal = await SqliteJournal.open(config.JOURNAL, {
    events: config.WEBHOOK_URL !== undefined,
    onFatal: options.onFatal,
    onCommit: (requests, milliseconds) => {
      metrics.committed(milliseconds);
      live.committed(requests, milliseconds);
    },
    onHealth: (healthy, reason) =>
      healthy ? log.info({ reason }, "journal works again") : log.error({ reason }, "journal cannot be written"),
  });
  starting.defer(() => journal.close());

  const books: ThreadBooks = {
    totals: () => runtime.totals(),
    threads: () => runtime.threads(),
    replaced: () => runtime.replaced(),
    ordersInFlight: () => desk.inFlight,
  };
  const recent = new RecentBacklog(journal);
  const circuitState = (step: StepName) => providers[step]?.circuit.state ?? "closed";
  const live = new LiveFeed({
    books,
    longSteps: { mark: () => runtime.markTime(), sample: () => runtime.longSteps(), forget: () => runtime.forgetTime() },
    capacities,
    circuitState,
    backlog: () => recent.get(),
    receiver: () => webhooks?.state().receiver ?? "none",
    simulated,
    ...(options.node !== undefined && { node: options.node }),
    onFault,
  });

  const stickBegun = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  let orderFields: (orderId: unknown) => object = () => ({});
  const traces = new TraceRecorder(() => runtime.threads());
  phase("starting the step threads");
  const runtime = await ThreadRuntime.start({
    workerFile: options.workerFile ?? WORKER_FILE,
    threads: config.THREADS,
    cpuThreads: config.CPU_THREADS,
    // No step of a real provider computes.
    cpuThreadsOnDemand: !simulated,
    waiting,
    cancelGraceMs: config.CANCEL_GRACE_MS,
    maxRuns: config.MAX_IN_FLIGHT + EXTRA_RUNS,
    settings: { stickBegun, providerUrls, providerKeys } satisfies WorkerSettings,
    // A step knows its order but not the request that asked for it.
    onLog: ({ level, message, fields }) => faults.line(level, message, { ...fields, ...orderFields(fields.order_id) }),
    ...(tracing !== undefined && { onSpans: tracing.spansEnded }),
    onFault,
    onReplaced: (pool, thread, reason) => {
      log.warn({ pool, thread, reason }, "thread replaced");
      live.threadReplaced(pool, thread, reason);
      traces.replaced({ id: thread, pool }, reason);
    },
  });
  starting.defer(() => runtime.close());

  const webhooks =
    config.WEBHOOK_URL === undefined ? undefined : new WebhookDelivery({ outbox: journal, url: config.WEBHOOK_URL, secrets, log });
  if (webhooks !== undefined) starting.defer(() => webhooks.stop());
  const onStored = () => webhooks?.notify();

  const providers = Object.fromEntries(
    (Object.keys(providerUrls) as StepName[]).map((step) => {
      const onChange = (state: CircuitState, reason: string) =>
        state === "open" ? log.warn({ step, reason }, "circuit opened") : log.info({ step, reason }, `circuit ${state}`);
      return [step, new ProviderHealth({ ...options.providerHealth, onChange })];
    }),
  );
  const compensator = new Compensator({
    runner: runtime,
    journal,
    providers,
    timeoutMs: config.COMPENSATION_TIMEOUT_MS,
    onTried: (step, done) => metrics.compensationTried(step, done),
    ...(tracing !== undefined && { onRetried: tracing.compensationRetried }),
    onStored,
    onDown: (step, down) =>
      down
        ? log.warn({ step }, "the provider takes no compensations: probing it with one at a time")
        : log.info({ step }, "the provider takes compensations again"),
    onFault,
  });
  starting.defer(() => compensator.stop());

  const pipeline = new Pipeline(runtime, capacities, providers);
  const admission = new Admission({
    capacities: Object.values(capacities),
    exclusive: runtime.exclusive,
    computingBehind: () => pipeline.computingBehind,
    inFlight: () => desk.inFlight,
    maxInFlight: config.MAX_IN_FLIGHT,
    orderTimeoutMs: config.ORDER_TIMEOUT_MS,
  });
  starting.defer(() => admission.stop());
  const observers: OnOrderEnded[] = [(order) => metrics.orderEnded(order), traces.ended, (order) => live.orderEnded(order)];
  if (log.isLevelEnabled("info")) observers.push(orderLog(log));
  if (tracing !== undefined) observers.push(tracing.orderEnded);
  const desk: OrderDesk = new OrderDesk({
    pipeline,
    gate: admission,
    journal,
    compensator,
    orderTimeoutMs: config.ORDER_TIMEOUT_MS,
    maxInFlight: config.MAX_IN_FLIGHT,
    onStored,
    onEnded: (order) => {
      for (const observe of observers) observe(order);
    },
    onFault,
  });

  orderFields = (orderId) => desk.fieldsOf(orderId);

  const traceUse = tracing !== undefined ? "spans" : simulated ? "log" : "calls";
  const sticking = new StuckThreads(runtime, stickBegun);

  let state: Readiness = "starting";
  const readiness = () => (state === "ready" && !journal.healthy ? "journal_unavailable" : state);
  const listening = {
    allowedHosts: config.ALLOWED_HOSTS ?? [],
    keepAliveTimeoutMs: config.KEEP_ALIVE_TIMEOUT_MS,
    headersTimeoutMs: config.HEADERS_TIMEOUT_MS,
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    onFault,
  };
  const publicListener = await listen({
    ...listening,
    name: "PORT",
    host: config.HOST,
    port: config.PORT,
    app: publicApp(
      {
        desk,
        journal,
        simulated,
        traces: traceUse,
        onRefused: (kind) => metrics.orderRefused(kind),
        ...(apiKeys !== undefined && { keys: apiKeys }),
        ...(config.RATE_LIMIT !== undefined && {
          buckets: new TokenBuckets(config.RATE_LIMIT, { ...(options.rateClock !== undefined && { nowMs: options.rateClock }) }),
        }),
      },
      readiness,
      onFault,
    ),
    anyNameFromOutside: true,
    maxConnections: config.MAX_CONNECTIONS,
  });
  starting.defer(() => publicListener.close());
  const inspector = new ThreadInspector(runtime);
  const admin = adminApp({
    ...(adminKeys !== undefined && { keys: adminKeys }),
    books,
    metrics,
    live,
    watched: {
      stepsRunning: () => runtime.totals().running,
      threadsReplaced: () => new Map(REPLACE_REASONS.map((reason) => [reason, runtime.replaced().get(reason) ?? 0])),
      capacities,
      circuitState,
      journalHealthy: () => journal.healthy,
      ...(tracing !== undefined && { spansDropped: tracing.dropped }),
    },
    diagnosis: { traces, inspector },
    operators: {
      journal,
      lookup: journal,
      compensator,
      ...(webhooks !== undefined &&
        config.WEBHOOK_URL !== undefined && {
          webhooks: {
            origin: new URL(config.WEBHOOK_URL).origin,
            state: () => webhooks.state(),
            resume: () => webhooks.resume(),
          },
        }),
      backups: { ...(backupDirectory !== undefined && { directory: backupDirectory }), inMemory: config.JOURNAL === "memory" },
      onSettled: ({ id, orderId, attempt, step, note }) => {
        log.warn({ compensation: id, order_id: orderId, attempt, step, note }, "a compensation was settled by hand");
        onStored();
      },
      onRedelivered: onStored,
    },
    ...(simulated && {
      chaos: {
        killThread: () => runtime.killThread(),
        stickThread: (ms: number) => sticking.stick(ms),
        desk,
        crash: () => process.kill(process.pid, "SIGKILL"),
      },
    }),
    report: onFault,
  });
  const adminListener = await listen({
    ...listening,
    name: "ADMIN_PORT",
    host: config.ADMIN_HOST,
    port: config.ADMIN_PORT,
    app: admin,
    anyNameFromOutside: false,
  });
  starting.defer(() => adminListener.close());
  starting.defer(() => live.close());
  // Before the listener, which waits for answers that are under way.
  starting.defer(() => traces.close());

  phase("closing the orders that the last run left open");
  const interrupted = await recover(journal).catch((error: unknown) => {
    throw error instanceof JournalUnavailable ? new JournalOpenError(config.JOURNAL, error.message) : error;
  });
  if (interrupted > 0) log.warn({ orders: interrupted }, "closed orders that the last run left open; they are being undone");
  compensator.start();
  webhooks?.start();
  const keeping = housekeeping({
    journal,
    ...(config.RETENTION_DAYS !== undefined && { retentionDays: config.RETENTION_DAYS }),
    onFault,
  });
  starting.defer(() => keeping.stop());
  keeping.start();
  const warning = stuckWarning({ journal, warn: (fields, message) => log.warn(fields, message), onFault });
  starting.defer(() => warning.stop());
  warning.start();
  admission.start();
  desk.open();
  state = "ready";

  const hurry = new AbortController();
  const cancelAll = () => {
    desk.cancelAll("shutdown");
    hurry.abort();
  };
  const running = starting.move();
  return {
    publicListener,
    adminListener,
    desk,
    runtime,
    journal,
    compensator,
    admission,
    traces,
    inspector,
    capacities,
    cancelAll,
    ...((adminKeys !== undefined || apiKeys !== undefined) && {
      reloadKeys: async () => {
        await Promise.all([reloadKeys("admin keys", adminKeys, log), reloadKeys("API keys", apiKeys, log)]);
      },
    }),
    async stop() {
      // The listener stays open while orders end: a balancer reads 503 from `readyz`, and late clients a clear answer.
      state = "draining";
      const timer = setTimeout(cancelAll, config.SHUTDOWN_TIMEOUT_MS);
      await Promise.all([desk.drain(), publicListener.endConnections(hurry.signal)]);
      clearTimeout(timer);
      await running.disposeAsync();
    },
  };
}

/** Its absolute path. A backup that cannot be written is better known now than on the day when it is needed. */
async function existingDirectory(name: string, path: string): Promise<string> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) throw new ConfigError(`${name}=${JSON.stringify(path)}: must be a directory that exists`);
  return resolve(path);
}

async function reloadKeys(what: string, keys: AccessKeys | undefined, log: Logger): Promise<void> {
  if (keys === undefined) return;
  try {
    await keys.readAgain();
    log.info({ keys: keys.count }, `${what} read again`);
  } catch (error) {
    if (!(error instanceof AccessKeyError)) throw error;
    log.error({ reason: error.message }, `${what} stay as they were`);
  }
}
