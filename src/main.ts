import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type DestinationStream, type Logger, pino } from "pino";
import { ConfigError, describeSettings, readConfig } from "./config.ts";
import { EndpointError } from "./engines/endpoint-error.ts";
import { AccessKeyError } from "./http/access-keys.ts";
import { ListenError, type Listener } from "./http/listener.ts";
import { JournalOpenError } from "./journal/journal-open-error.ts";
import { LogOutput, withoutWaiting } from "./log-output.ts";
import { type Service, start } from "./service.ts";
import { WebhookSecretError } from "./webhooks/secret.ts";

// A Ctrl-C reaches this process from the terminal and once more from npm, which passes on what it got itself.
// What a person or a supervisor sends to say "now" comes later than that.
const SAME_SIGNAL_MS = 300;
const STANDARD_OUTPUT = 1;
const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

const USAGE = `order-pipeline: an order service whose steps run on OS threads

usage: npm start [-- --help]

Settings are environment variables:

  NAME                    DEFAULT        MEANING
${describeSettings()}`;

// Threads read this when they start. Without it each of them loads the compiler that strips types, which is 10 MB a thread. Beside the
// dependencies, because whoever may write to it can change what runs here.
const COMPILE_CACHE = fileURLToPath(new URL("../node_modules/.cache/order-pipeline", import.meta.url));

async function main(): Promise<void> {
  const { help } = parseArgs({ options: { help: { type: "boolean", short: "h" } } }).values;
  if (help === true) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  process.env.NODE_COMPILE_CACHE ??= COMPILE_CACHE;
  const config = readConfig(process.env);
  const output = new LogOutput({
    fd: withoutWaiting(STANDARD_OUTPUT),
    onLost: (lines) => log.warn({ lines }, "log lines were lost: they could not be written"),
  });
  // Also after an error that nobody caught.
  process.once("exit", () => output.flushSync());
  const log = pino({ level: config.LOG_LEVEL }, isatty(STANDARD_OUTPUT) ? await forPeople(output) : output);
  // Before anything is started: a start may take long, and whoever wants it to end must not have to kill it.
  const signals = new Signals(log, { reloads: config.ADMIN_KEYS_FILE !== undefined || config.API_KEYS_FILE !== undefined });
  const progress = new StartProgress(log);
  const service = await start(config, log, {
    onPhase: (phase) => progress.begin(phase),
    onFatal: (reason) => {
      log.fatal({ reason }, "the journal is lost: this process ends, and the next start reads what is durable");
      exit(1);
    },
  });
  progress.end();
  output.write(welcomeTo(service));
  signals.serve(service);
}

/** Lines for somebody who looks at a terminal, instead of JSON. Loaded only for that. */
async function forPeople(output: LogOutput): Promise<DestinationStream> {
  const { prettyFactory } = await import("pino-pretty");
  const prettify = prettyFactory({ colorize: true, ignore: "pid,hostname" });
  return { write: (line: string) => output.write(prettify(JSON.parse(line))) };
}

/**
 * Ends the process. Node waits for every thread first, so one that waits for a disk holds that up; the next signal then does what
 * it does to a process that does not listen.
 */
function exit(code: number): void {
  for (const name of STOP_SIGNALS) process.removeAllListeners(name);
  process.exit(code);
}

/** SIGTERM and SIGINT, from the first line on: the first one drains, a second one cancels what is in flight. */
class Signals {
  readonly #log: Logger;
  #service: Service | undefined;
  #stoppingSinceMs: number | undefined;
  #reloadsLater = false;

  /** `reloads`: there is something to read again at a SIGHUP. Without it a SIGHUP is what it is for every process: its terminal is gone. */
  constructor(log: Logger, { reloads }: { readonly reloads: boolean }) {
    this.#log = log;
    for (const name of STOP_SIGNALS) process.on(name, (signal) => this.#on(signal));
    if (reloads) process.on("SIGHUP", () => this.#reload());
  }

  serve(service: Service): void {
    this.#service = service;
    if (this.#reloadsLater) this.#reload();
  }

  /** What the start has read may be older than the signal, so one that comes meanwhile is kept for its end. */
  #reload(): void {
    if (this.#service === undefined) this.#reloadsLater = true;
    else void this.#service.reloadKeys?.();
  }

  #on(signal: NodeJS.Signals): void {
    const log = this.#log;
    if (this.#service === undefined) {
      // Nothing was promised to anybody yet, and what is half done in the journal the next start does again.
      log.info({ signal }, "stopped before the start was over");
      log.flush(() => exit(0));
      return;
    }
    if (this.#stoppingSinceMs !== undefined) {
      if (performance.now() - this.#stoppingSinceMs < SAME_SIGNAL_MS) return;
      log.warn({ signal }, "canceling the orders still in flight");
      this.#service.cancelAll();
      return;
    }
    this.#stoppingSinceMs = performance.now();
    void this.#stop(this.#service, signal);
  }

  async #stop(service: Service, signal: NodeJS.Signals): Promise<void> {
    const log = this.#log;
    log.info({ signal, orders_in_flight: service.desk.inFlight }, "draining");
    try {
      await service.stop();
      log.info(service.lastWords(), "stopped");
      // Whatever a library may have left open must not keep a stopped server alive.
      log.flush(() => exit(0));
    } catch (error) {
      log.fatal({ err: error }, "could not stop cleanly");
      exit(1);
    }
  }
}

// A start takes well under a second; whoever waits for longer wants to know for what.
const TELL_PROGRESS_MS = 3_000;

/** Says what a start that takes long is doing, now and then. */
class StartProgress {
  readonly #sinceMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #phase = "reading the configuration";

  constructor(log: Logger) {
    const tell = () => log.info({ seconds: Math.round((performance.now() - this.#sinceMs) / 1_000) }, `still starting: ${this.#phase}`);
    this.#timer = setInterval(tell, TELL_PROGRESS_MS);
  }

  begin(phase: string): void {
    this.#phase = phase;
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

function welcomeTo({ publicListener, adminListener }: Service): string {
  const urlOf = ({ host, port }: Listener) => `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const api = urlOf(publicListener);
  return `order pipeline is up
  API    ${api}
  admin  ${urlOf(adminListener)}/
  try    curl -s ${api}/order -d '{"order_id":"first","amount":1200}'
`;
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    // What the operator can mend is one line; anything else is a bug and shows where.
    const expected =
      [ConfigError, ListenError, EndpointError, JournalOpenError, WebhookSecretError, AccessKeyError].some(
        (kind) => error instanceof kind,
      ) || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
    process.stderr.write(`order-pipeline: ${expected ? (error as Error).message : (error as Error).stack}\n`);
    process.exit(1);
  });
}
