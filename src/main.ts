import "./compile-cache.js";
import { flushCompileCache } from "node:module";
import { hostname } from "node:os";
import { isatty } from "node:tty";
import { parseArgs } from "node:util";
import { type Logger, type LoggerOptions, pino } from "pino";
import { requireMemory, usableMemory } from "./composition/memory.ts";
import { type Config, ConfigError, describeSettings, readConfig } from "./config.ts";
import { ListenError, type Listener } from "./http/listener.ts";
import { JournalOpenError } from "./journal/journal-store.ts";
import { storeOf } from "./journal/postgres/address.ts";
import { LogOutput, nonBlocking } from "./log-output.ts";
import { SecretFileError } from "./secret-file.ts";
import { type Service, start } from "./service.ts";
import { exit, Signals } from "./signals.ts";
import { type Started, wantsColors, welcome } from "./welcome.ts";

const STANDARD_OUTPUT = 1;

const USAGE = `order-pipeline: an order service whose steps run on OS threads

usage: npm start [-- --help]

Settings are environment variables:

${describeSettings(process.stdout.columns ?? 120)}`;

async function main(): Promise<void> {
  const { help } = parseArgs({ options: { help: { type: "boolean", short: "h" } } }).values;
  if (help === true) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const config = readConfig(process.env);
  requireMemory(config, usableMemory());
  const output = new LogOutput({
    fd: nonBlocking(STANDARD_OUTPUT),
    onLost: (lines) => log.warn({ lines }, "log lines were lost: they could not be written"),
  });
  const terminal = isatty(STANDARD_OUTPUT) ? { colors: wantsColors(process.env) } : undefined;
  // The package for a log in plain text is loaded only where it is written.
  const terminalLog = terminal && new (await import("./terminal-log.ts")).TerminalLog({ ...terminal, write: (text) => output.write(text) });
  // Whatever ends the process, an uncaught error too.
  process.once("exit", () => {
    terminalLog?.flush();
    output.flushSync();
  });
  const log = pino({ ...baseOf(config), level: config.LOG_LEVEL }, terminalLog ?? output);
  // Before the start, which may take long: a signal must end it, too.
  const signals = new Signals(log, { reloads: config.ADMIN_KEYS_FILE !== undefined || config.API_KEYS_FILE !== undefined });
  const telling = tellProgress(log);
  const service = await start(config, log, {
    onPhase: telling.phase,
    onFatal: (reason) => {
      log.fatal({ reason }, "the journal is lost: this process ends, and the next start reads what is durable");
      exit(1);
    },
  });
  telling.end();
  const started = startedAs(service);
  if (terminal !== undefined && terminalLog !== undefined) {
    output.write(welcome(started, terminal));
    terminalLog.page = `${started.admin}/`;
  }
  // Programs that start this one read its ports from this line, so every log level has it.
  else
    pino(baseOf(config), output).info(
      { api: started.api, admin: started.admin, took_ms: Math.round(started.tookMs) },
      "order pipeline is up",
    );
  // Node writes the cache at the end of a process, but not of a killed one.
  flushCompileCache();
  signals.serve(service);
}

/** What every line of the log has: where there may be several nodes, the name of this one too. */
function baseOf({ JOURNAL, NODE_NAME: node }: Config): LoggerOptions {
  return storeOf(JOURNAL) === "postgres" ? { base: { pid: process.pid, hostname: hostname(), node } } : {};
}

// A start takes well under a second; an operator who waits for longer wants to know why.
const REPORT_PROGRESS_MS = 3_000;

/** Logs what a slow start is doing, every three seconds. */
function tellProgress(log: Logger) {
  const sinceMs = performance.now();
  let phase = "reading the configuration";
  const tell = () => log.info({ seconds: Math.round((performance.now() - sinceMs) / 1_000) }, `still starting: ${phase}`);
  const timer = setInterval(tell, REPORT_PROGRESS_MS);
  return {
    phase(begun: string) {
      phase = begun;
    },
    end: () => clearInterval(timer),
  };
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

/** An error that the operator can mend is one line; any other is a bug, with its stack. */
function whatIsWrong(error: NodeJS.ErrnoException): string | undefined {
  // Such as --port, from a user who does not know the settings yet.
  if (error.code?.startsWith("ERR_PARSE_ARGS"))
    return `${error.message}; settings are environment variables, which npm start -- --help lists`;
  const isExpected = [ConfigError, ListenError, JournalOpenError, SecretFileError].some((kind) => error instanceof kind);
  return isExpected ? error.message : error.stack;
}

if (import.meta.main) run();
