import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { readConfig } from "../../src/config.ts";
import { STEPS, stepSetting } from "../../src/orders/steps.ts";
import { type Service, type StartOptions, start } from "../../src/service.ts";

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
  /** Why the process would have ended by now, had it been one of its own. */
  readonly fatal: readonly string[];
  /** Cancels what is in flight and stops. A second call gives the first one's promise. */
  stop(): Promise<void>;
}

/**
 * Starts a service with default settings, but for `overlay`. Its journal is in memory, or in a file that goes with it where
 * a provider is real.
 */
export async function startService(
  overlay: Readonly<Record<string, string>> = {},
  options: Partial<StartOptions> = {},
): Promise<TestService> {
  const logged: LogLine[] = [];
  const fatal: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const isReal = STEPS.some((step) => overlay[stepSetting(step, "URL")] !== undefined);
  const directory = isReal ? mkdtempSync(join(tmpdir(), "service-")) : undefined;
  const journal = directory === undefined ? "memory" : join(directory, "orders.db");
  const config = readConfig({ PORT: "0", ADMIN_PORT: "0", JOURNAL: journal, ...overlay });
  const service = await start(config, log, { onFatal: (reason) => void fatal.push(reason), ...options });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    if (stopped === undefined) {
      stopped = service.stop().finally(() => directory !== undefined && rmSync(directory, { recursive: true }));
      service.cancelAll();
    }
    return stopped;
  };
  return {
    service,
    port: service.publicListener.port,
    adminPort: service.adminListener.port,
    logged,
    fatal,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
