import { pino } from "pino";
import { readConfig } from "../../src/config.ts";
import { type Service, start } from "../../src/main.ts";

/** A line of the service's log as pino writes it: `level` 40 is a warning, 50 an error. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A service of this process, on ports of its own. */
export interface TestService extends AsyncDisposable {
  readonly service: Service;
  readonly port: number;
  readonly adminPort: number;
  /** What it has logged so far, from `info` up. */
  readonly logged: readonly LogLine[];
  /** Cancels what is in flight and stops. A second call gives the first one's promise. */
  stop(): Promise<void>;
}

/** Starts a service with default settings, but for `overlay`. `workerFile` is for tests with steps of their own. */
export async function startService(overlay: Readonly<Record<string, string>> = {}, workerFile?: string): Promise<TestService> {
  const logged: LogLine[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const config = readConfig({ PORT: "0", ADMIN_PORT: "0", JOURNAL: "memory", ...overlay });
  const service = await start(config, log, workerFile);
  let stopped: Promise<void> | undefined;
  const stop = () => {
    if (stopped === undefined) {
      stopped = service.stop();
      service.cancelAll();
    }
    return stopped;
  };
  return {
    service,
    port: service.publicListener.port,
    adminPort: service.adminListener.port,
    logged,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
