import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Logger, pino } from "pino";
import type { WorkerSettings } from "../workers/settings.ts";
import { adminApp } from "./admin/admin-app.ts";
import { stickThread } from "./admin/stick-thread.ts";
import { Capacity } from "./concurrency/capacity.ts";
import { type Config, ConfigError, describeSettings, readConfig } from "./config.ts";
import type { Readiness } from "./http/health-routes.ts";
import { ListenError, type Listener, listen } from "./http/listener.ts";
import { publicApp } from "./http/public-app.ts";
import { OrderDesk } from "./orders/order-desk.ts";
import { Pipeline } from "./orders/pipeline.ts";
import { ThreadRuntime } from "./threads/thread-runtime.ts";

const WORKER_FILE = fileURLToPath(new URL("../workers/main.ts", import.meta.url));
// Room on the cancel board for runs that are no client's order, like those of the chaos routes.
const EXTRA_RUNS = 64;

/** The running service, for whoever started it. */
export interface Service {
  readonly publicListener: Listener;
  readonly adminListener: Listener;
  readonly desk: OrderDesk;
  readonly runtime: ThreadRuntime;
  readonly capacities: Readonly<Record<"payment" | "vendor" | "courier", Capacity>>;
  /** Takes no more orders, lets those in flight end (cancels them after the shutdown timeout), stops. */
  stop(): Promise<void>;
  /** Cancels the orders in flight that a `stop` is waiting for. */
  cancelAll(): void;
}

/** Puts the concrete pieces together. The one file that knows them all. `workerFile` is for tests with steps of their own. */
export async function start(config: Config, log: Logger, workerFile: string = WORKER_FILE): Promise<Service> {
  const stickBegun = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const runtime = await ThreadRuntime.start({
    workerFile,
    threads: config.THREADS,
    cpuThreads: config.CPU_THREADS,
    cancelGraceMs: config.CANCEL_GRACE_MS,
    maxRuns: config.MAX_IN_FLIGHT + EXTRA_RUNS,
    settings: { stickBegun } satisfies WorkerSettings,
    onLog: ({ level, message, fields }) => log[level](fields, message),
    onFault: (message, error) => log.error({ err: error }, message),
    onReplaced: (pool, thread, reason) => log.warn({ pool, thread, reason }, "thread replaced"),
  });
  const capacities = {
    payment: new Capacity(config.PAYMENT_CAPACITY),
    vendor: new Capacity(config.VENDOR_CAPACITY),
    courier: new Capacity(config.COURIER_CAPACITY),
  };
  const desk = new OrderDesk({
    pipeline: new Pipeline(runtime, capacities),
    orderTimeoutMs: config.ORDER_TIMEOUT_MS,
    maxInFlight: config.MAX_IN_FLIGHT,
  });
  let readiness: Readiness = "starting";

  const admin = adminApp({
    books: {
      totals: () => runtime.totals(),
      threads: () => runtime.threads(),
      replaced: () => runtime.replaced(),
      ordersInFlight: () => desk.inFlight,
    },
    chaos: {
      killThread: () => runtime.killThread(),
      stickThread: (ms) => stickThread(runtime, stickBegun, ms),
      crash: () => process.kill(process.pid, "SIGKILL"),
    },
    log,
  });

  const opened: Listener[] = [];
  try {
    opened.push(
      await listen(
        "PORT",
        config.HOST,
        config.PORT,
        publicApp(desk, () => readiness, log),
      ),
    );
    opened.push(await listen("ADMIN_PORT", config.ADMIN_HOST, config.ADMIN_PORT, admin));
  } catch (error) {
    await Promise.all(opened.map((listener) => listener.close()));
    await runtime.close();
    throw error;
  }
  const [publicListener, adminListener] = opened as [Listener, Listener];
  readiness = "ready";

  return {
    publicListener,
    adminListener,
    desk,
    runtime,
    capacities,
    cancelAll: () => desk.cancelAll("shutdown"),
    async stop() {
      // The listener stays open while orders end: a balancer reads 503 from `readyz`, and late clients a clear answer.
      readiness = "draining";
      const timer = setTimeout(() => desk.cancelAll("shutdown"), config.SHUTDOWN_TIMEOUT_MS);
      await desk.drain();
      clearTimeout(timer);
      await Promise.all([publicListener.close(), adminListener.close()]);
      await runtime.close();
    },
  };
}

// A Ctrl-C reaches this process from the terminal and once more from npm, which passes on what it got itself.
// What a person or a supervisor sends to say "now" comes later than that.
const SAME_SIGNAL_MS = 300;

const USAGE = `order-pipeline: an order service whose steps run on OS threads

usage: npm start [-- --help]

Settings are environment variables:

  NAME                  DEFAULT    MEANING
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
        log.info("stopped");
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
  const api = `http://${publicListener.host}:${publicListener.port}`;
  process.stdout.write(`order pipeline is up
  API    ${api}
  admin  http://${adminListener.host}:${adminListener.port}/debug/threads
  try    curl -s ${api}/order -d '{"order_id":"first","amount":1200}'
`);
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    // What the operator can mend is one line; anything else is a bug and shows where.
    const expected =
      error instanceof ConfigError || error instanceof ListenError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
    process.stderr.write(`order-pipeline: ${expected ? (error as Error).message : (error as Error).stack}\n`);
    process.exit(1);
  });
}
