import "./compile-cache.js";
import { flushCompileCache } from "node:module";
import { isatty } from "node:tty";
import { parseArgs } from "node:util";
import { type DestinationStream, type Logger, pino } from "pino";
import { ConfigError, describeSettings, readConfig } from "./config.ts";
import { EndpointError } from "./engines/endpoint-error.ts";
import { AccessKeyError } from "./http/access-keys.ts";
import { ListenError, type Listener } from "./http/listener.ts";
import { JournalOpenError } from "./journal/journal-open-error.ts";
import { LogOutput, nonBlocking } from "./log-output.ts";
import { type Service, start } from "./service.ts";
import { WebhookSecretError } from "./webhooks/secret.ts";
import { type Started, wantsColors, welcome } from "./welcome.ts";

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

async function main(): Promise<void> {
  const { help } = parseArgs({ options: { help: { type: "boolean", short: "h" } } }).values;
  if (help === true) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const config = readConfig(process.env);
  const output = new LogOutput({
    fd: nonBlocking(STANDARD_OUTPUT),
    onLost: (lines) => log.warn({ lines }, "log lines were lost: they could not be written"),
  });
  // Also after an error that nobody caught.
  process.once("exit", () => output.flushSync());
  const terminal = isatty(STANDARD_OUTPUT) ? { colors: wantsColors(process.env) } : undefined;
  const log = pino({ level: config.LOG_LEVEL }, terminal === undefined ? output : await forPeople(output, terminal.colors));
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
  const started = startedAs(service);
  if (terminal !== undefined) output.write(welcome(started, terminal));
  // Whoever started this reads its ports here, so this line is there at every level.
  else pino({}, output).info({ api: started.api, admin: started.admin, took_ms: Math.round(started.tookMs) }, "order pipeline is up");
  // By itself it is written at the end, which a killed process does not come to.
  flushCompileCache();
  signals.serve(service);
}

/** Lines for somebody who looks at a terminal, instead of JSON. Loaded only for that. */
async function forPeople(output: LogOutput, colors: boolean): Promise<DestinationStream> {
  const { logForPeople } = await import("./log-for-people.ts");
  const forReading = logForPeople({ colors });
  return { write: (line: string) => output.write(forReading(line)) };
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
    log.info({ signal, orders_in_flight: service.orderService.inFlight }, "draining");
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

/** The URLs of a service that is up, and how long that took. */
function startedAs({ publicListener, adminListener }: Service): Started {
  const urlOf = ({ host, port }: Listener) => `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return { api: urlOf(publicListener), admin: urlOf(adminListener), tookMs: performance.now() };
}

/** Runs the process: from its command line to its exit code. */
export function run(): void {
  main().catch((error: unknown) => {
    process.stderr.write(`order-pipeline: ${whatIsWrong(error as NodeJS.ErrnoException)}\n`);
    process.exit(1);
  });
}

/** What the operator can mend is one line; anything else is a bug and shows where. */
function whatIsWrong(error: NodeJS.ErrnoException): string | undefined {
  // As --port is tried by those who have not met the settings yet.
  if (error.code?.startsWith("ERR_PARSE_ARGS"))
    return `${error.message}; settings are environment variables, which npm start -- --help lists`;
  const isExpected = [ConfigError, ListenError, EndpointError, JournalOpenError, WebhookSecretError, AccessKeyError].some(
    (kind) => error instanceof kind,
  );
  return isExpected ? error.message : error.stack;
}

if (import.meta.main) run();
