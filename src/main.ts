import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Logger, pino } from "pino";
import type { WorkerSettings } from "../workers/settings.ts";
import { adminApp } from "./admin/admin-app.ts";
import { StuckThreads } from "./admin/stuck-threads.ts";
import { Capacity } from "./concurrency/capacity.ts";
import { type Config, ConfigError, describeSettings, readConfig } from "./config.ts";
import type { Readiness } from "./http/health-routes.ts";
import { ListenError, type Listener, listen } from "./http/listener.ts";
import { publicApp } from "./http/public-app.ts";
import { JournalOpenError } from "./journal/journal-open-error.ts";
import { SqliteJournal } from "./journal/sqlite-journal.ts";
import { OrderDesk } from "./orders/order-desk.ts";
import { Pipeline } from "./orders/pipeline.ts";
import { recover } from "./orders/recovery.ts";
import { UNDO_CAPACITY, Undoing } from "./orders/undoing.ts";
import { ThreadRuntime } from "./threads/thread-runtime.ts";
import { WebhookDelivery } from "./webhooks/delivery.ts";
import { readWebhookSecrets, WebhookSecretError } from "./webhooks/secret.ts";

const WORKER_FILE = fileURLToPath(new URL("../workers/main.ts", import.meta.url));
// Room on the cancel board for runs that are no client's order: those of undoing and of the chaos routes.
const EXTRA_RUNS = UNDO_CAPACITY + 64;
const EXPIRE_KEYS_EVERY_MS = 60_000;
const EXPIRED_KEYS_A_BATCH = 500;

/** The running service, for whoever started it. */
export interface Service {
  readonly publicListener: Listener;
  readonly adminListener: Listener;
  readonly desk: OrderDesk;
  readonly runtime: ThreadRuntime;
  readonly journal: SqliteJournal;
  readonly undoing: Undoing;
  readonly capacities: Readonly<Record<"payment" | "vendor" | "courier", Capacity>>;
  /** Takes no more orders, lets those in flight end (cancels them after the shutdown timeout), stops. */
  stop(): Promise<void>;
  /** Cancels the orders in flight that a `stop` is waiting for. */
  cancelAll(): void;
}

/** Puts the concrete pieces together. The one file that knows them all. `workerFile` is for tests with steps of their own. */
export async function start(config: Config, log: Logger, workerFile: string = WORKER_FILE): Promise<Service> {
  // What was started is stopped in reverse, at the end or when a later piece cannot be had.
  await using starting = new AsyncDisposableStack();
  const onFault = (message: string, error: unknown) => log.error({ err: error }, message);

  const secrets = config.WEBHOOK_SECRET_FILE === undefined ? [] : await readWebhookSecrets(config.WEBHOOK_SECRET_FILE);
  const journal = await SqliteJournal.open(config.JOURNAL, {
    events: config.WEBHOOK_URL !== undefined,
    onHealth: (healthy, reason) =>
      healthy ? log.info({ reason }, "journal works again") : log.error({ reason }, "journal cannot be written"),
    onThreadDeath: () => log.warn("journal thread replaced"),
  });
  starting.defer(() => journal.close());

  const stickBegun = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const providerUrls = {
    ...(config.PAYMENT_URL !== undefined && { payment: config.PAYMENT_URL }),
    ...(config.VENDOR_URL !== undefined && { vendor: config.VENDOR_URL }),
    ...(config.COURIER_URL !== undefined && { courier: config.COURIER_URL }),
  };
  const simulated = Object.keys(providerUrls).length === 0;
  const runtime = await ThreadRuntime.start({
    workerFile,
    threads: config.THREADS,
    cpuThreads: config.CPU_THREADS,
    cancelGraceMs: config.CANCEL_GRACE_MS,
    maxRuns: config.MAX_IN_FLIGHT + EXTRA_RUNS,
    settings: { stickBegun, providerUrls } satisfies WorkerSettings,
    onLog: ({ level, message, fields }) => log[level](fields, message),
    onFault,
    onReplaced: (pool, thread, reason) => log.warn({ pool, thread, reason }, "thread replaced"),
  });
  starting.defer(() => runtime.close());

  const webhooks =
    config.WEBHOOK_URL === undefined ? undefined : new WebhookDelivery({ outbox: journal, url: config.WEBHOOK_URL, secrets, log });
  if (webhooks !== undefined) starting.defer(() => webhooks.stop());
  const onStored = () => webhooks?.notify();

  const undoing = new Undoing({ runner: runtime, journal, onStored, onFault });
  starting.defer(() => undoing.stop());

  const capacities = {
    payment: new Capacity(config.PAYMENT_CAPACITY),
    vendor: new Capacity(config.VENDOR_CAPACITY),
    courier: new Capacity(config.COURIER_CAPACITY),
  };
  const desk = new OrderDesk({
    pipeline: new Pipeline(runtime, capacities),
    journal,
    undoing,
    orderTimeoutMs: config.ORDER_TIMEOUT_MS,
    maxInFlight: config.MAX_IN_FLIGHT,
    onStored,
    onFault,
  });

  const sticking = new StuckThreads(runtime, stickBegun);

  let state: Readiness = "starting";
  const readiness = () => (state === "ready" && !journal.healthy ? "journal_unavailable" : state);
  const publicListener = await listen("PORT", config.HOST, config.PORT, publicApp({ desk, journal, simulated }, readiness, log), onFault);
  starting.defer(() => publicListener.close());
  const admin = adminApp({
    books: {
      totals: () => runtime.totals(),
      threads: () => runtime.threads(),
      replaced: () => runtime.replaced(),
      ordersInFlight: () => desk.inFlight,
    },
    ...(simulated && {
      chaos: {
        killThread: () => runtime.killThread(),
        stickThread: (ms: number) => sticking.stick(ms),
        crash: () => process.kill(process.pid, "SIGKILL"),
      },
    }),
    log,
  });
  const adminListener = await listen("ADMIN_PORT", config.ADMIN_HOST, config.ADMIN_PORT, admin, onFault);
  starting.defer(() => adminListener.close());

  const interrupted = await recover(journal, undoing);
  if (interrupted > 0) log.warn({ orders: interrupted }, "closed orders that the last run left open; they are being undone");
  webhooks?.start();
  const expiry = setInterval(() => void expireKeys(journal, onFault), EXPIRE_KEYS_EVERY_MS);
  starting.defer(() => clearInterval(expiry));
  desk.open();
  state = "ready";

  // What waits for a journal that has lost its thread and gets no other must not outlast the wait for orders.
  const cancelAll = () => {
    desk.cancelAll("shutdown");
    journal.hurry();
  };
  const running = starting.move();
  return {
    publicListener,
    adminListener,
    desk,
    runtime,
    journal,
    undoing,
    capacities,
    cancelAll,
    async stop() {
      // The listener stays open while orders end: a balancer reads 503 from `readyz`, and late clients a clear answer.
      state = "draining";
      const timer = setTimeout(cancelAll, config.SHUTDOWN_TIMEOUT_MS);
      await desk.drain();
      clearTimeout(timer);
      journal.hurry();
      await running.disposeAsync();
    },
  };
}

async function expireKeys(journal: SqliteJournal, onFault: (message: string, error: unknown) => void): Promise<void> {
  try {
    // Small batches: an order that comes in meanwhile waits for one of them, not for all.
    while ((await journal.expireKeys(Date.now(), EXPIRED_KEYS_A_BATCH)) === EXPIRED_KEYS_A_BATCH);
  } catch (error) {
    onFault("expired idempotency keys could not be deleted", error);
  }
}

// A Ctrl-C reaches this process from the terminal and once more from npm, which passes on what it got itself.
// What a person or a supervisor sends to say "now" comes later than that.
const SAME_SIGNAL_MS = 300;

const USAGE = `order-pipeline: an order service whose steps run on OS threads

usage: npm start [-- --help]

Settings are environment variables:

  NAME                  DEFAULT        MEANING
${describeSettings()}`;

async function main(): Promise<void> {
  const { help } = parseArgs({ options: { help: { type: "boolean", short: "h" } } }).values;
  if (help === true) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const config = readConfig(process.env);
  const log = pino({ level: config.LOG_LEVEL });
  const service = await start(config, log);
  welcome(service);

  let stoppingSinceMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppingSinceMs !== undefined) {
      if (performance.now() - stoppingSinceMs < SAME_SIGNAL_MS) return;
      log.warn({ signal }, "canceling the orders still in flight");
      service.cancelAll();
      return;
    }
    stoppingSinceMs = performance.now();
    log.info({ signal, orders_in_flight: service.desk.inFlight }, "draining");
    void service.stop().then(
      () => {
        log.info({ commit_sizes: service.journal.commitSizes }, "stopped");
        // Whatever a library may have left open must not keep a stopped server alive.
        log.flush(() => process.exit(0));
      },
      (error: unknown) => {
        log.fatal({ err: error }, "could not stop cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}

function welcome({ publicListener, adminListener }: Service): void {
  const urlOf = ({ host, port }: Listener) => `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const api = urlOf(publicListener);
  process.stdout.write(`order pipeline is up
  API    ${api}
  admin  ${urlOf(adminListener)}/debug/threads
  try    curl -s ${api}/order -d '{"order_id":"first","amount":1200}'
`);
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    // What the operator can mend is one line; anything else is a bug and shows where.
    const expected =
      [ConfigError, ListenError, JournalOpenError, WebhookSecretError].some((kind) => error instanceof kind) ||
      (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
    process.stderr.write(`order-pipeline: ${expected ? (error as Error).message : (error as Error).stack}\n`);
    process.exit(1);
  });
}
