import type { Logger } from "pino";
import type { OperatorParts } from "../admin/admin-app.ts";
import type { Config } from "../config.ts";
import type { OpenEngine, RunningEngine } from "../engines/engine.ts";

/** What operators see and change, with either engine. `backupDirectory`: absolute; absent: no backups. */
export function operatorParts(
  { journal }: OpenEngine,
  running: RunningEngine,
  config: Config,
  log: Logger,
  backupDirectory: string | undefined,
): OperatorParts {
  const { compensator, webhooks } = running;
  return {
    journal,
    lookup: journal,
    compensator,
    ...(webhooks !== undefined &&
      config.WEBHOOK_URL !== undefined && {
        webhooks: { origin: new URL(config.WEBHOOK_URL).origin, state: () => webhooks.state(), resume: () => webhooks.resume() },
      }),
    backups: {
      ...(backupDirectory !== undefined && { directory: backupDirectory }),
      inMemory: config.JOURNAL === "memory",
      byEngine: config.ENGINE === "restate",
    },
    onSettled: ({ id, orderId, attempt, step, note }) => {
      log.warn({ compensation: id, order_id: orderId, attempt, step, note }, "a compensation was settled by hand");
      running.notify();
    },
    onRedelivered: () => running.notify(),
  };
}
