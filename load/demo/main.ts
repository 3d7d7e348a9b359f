import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wantsColors } from "../../src/welcome.ts";
import { endAfter, readOptions } from "../options.ts";
import { ServerProcess } from "../server-process.ts";
import { tour } from "./tour.ts";

const USAGE = `Starts the service, shows the six ways in which an order can end, and leaves it running for its live page.

usage: npm run demo [-- --once]

  --once   end after the tour
  --help

A service that is killed is started again. It listens on the ports of npm start, or on free ones where those are taken; PORT,
ADMIN_PORT, THREADS, CPU_THREADS and ORDER_TIMEOUT_MS say otherwise. The journal is a temporary file. Ctrl-C stops it.

Exit code 0: all is well; 1: an outcome was not what it says; 2: wrong usage; 130: stopped during the tour.
`;
const USUAL_PORTS = { PORT: "8080", ADMIN_PORT: "9090" };
const PASSED_ON = ["THREADS", "CPU_THREADS", "ORDER_TIMEOUT_MS"];
const INTERRUPTED = 130;
const STOPS = "Ctrl-C stops it.";

async function main(): Promise<number> {
  const { help, once } = readOptions({ once: { type: "boolean", default: false } });
  if (help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const interrupt = new AbortController();
  // Stays subscribed: npm passes the terminal's Ctrl-C on, so one of them arrives twice.
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupt.abort());
  const directory = mkdtempSync(join(tmpdir(), "demo-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const settings = { LOG_LEVEL: "warn", ...fromEnvironment(), ...(await ports()), JOURNAL: join(directory, "orders.db") };
  const startMs = performance.now();
  const server = await ServerProcess.start(settings);
  write(`The service is up after ${((performance.now() - startMs) / 1_000).toFixed(2)} s. Its page: ${bold(`${server.adminUrl}/`)}\n\n`);
  const wrong = await tour({ api: server.apiUrl, admin: server.adminUrl }, { write, bold, signal: interrupt.signal });
  const interrupted = interrupt.signal.aborted;
  if (!once && !interrupted) await leaveRunning(server, settings, interrupt.signal);
  else await stopped(server);
  if (interrupted) return INTERRUPTED;
  return wrong === 0 ? 0 : 1;
}

/** Until the signal. Whoever kills the service, by the page's button or otherwise, sees that nothing is lost by that. */
async function leaveRunning(server: ServerProcess, settings: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
  const stopping = new Promise<undefined>((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true }));
  const again = { ...settings, PORT: String(server.port), ADMIN_PORT: new URL(server.adminUrl).port };
  write(`\nThe page, every thread live, with buttons that make trouble: ${bold(`${server.adminUrl}/`)}\n${STOPS}\n`);
  for (let current = server; ; ) {
    const ended = await Promise.race([current.ended, stopping]);
    if (ended === undefined) return await stopped(current);
    const startMs = performance.now();
    current = await ServerProcess.start(again);
    const ms = (performance.now() - startMs).toFixed(0);
    const [, interrupted] = /"orders":(\d+),"msg":"closed orders/.exec(current.output) ?? [];
    const lost = interrupted === undefined ? "no order was under way" : `${interrupted} orders were interrupted and are being compensated`;
    write(`The service was gone (${ended}). It is back after ${ms} ms with all it had answered; ${lost}. ${STOPS}\n`);
  }
}

async function stopped(server: ServerProcess): Promise<void> {
  const ended = await server.stop();
  if (ended !== "code 0") throw new Error(`the service ended with ${ended}:\n${server.output}`);
  write("Stopped.\n");
}

/** Of the environment the service sees these alone: with real providers, or keys, there would be another tour to make. */
function fromEnvironment(): Record<string, string> {
  return Object.fromEntries(PASSED_ON.flatMap((name) => (process.env[name] ? [[name, process.env[name] as string]] : [])));
}

/** The usual ports where nobody has them, else any free ones. */
async function ports(): Promise<Record<string, string>> {
  const chosen = Object.entries(USUAL_PORTS).map(async ([name, usual]) => {
    const port = process.env[name] ?? usual;
    return [name, (await isFree(Number(port))) ? port : "0"];
  });
  return Object.fromEntries(await Promise.all(chosen));
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

const colors = process.stdout.isTTY && wantsColors(process.env);

function bold(text: string): string {
  return colors ? `\u001b[1m${text}\u001b[0m` : text;
}

function write(text: string): void {
  process.stdout.write(text);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => endAfter("demo", error),
);
