import type { Logger } from "pino";
import type { OperatorParts } from "../admin/admin-app.ts";
import type { Config } from "../config.ts";
import type { Journal } from "../journal/journal.ts";
import { storeOf } from "../journal/postgres/address.ts";
import type { Orders } from "./orders.ts";

/** What operators see and change. `backupDirectory`: absolute; absent: no backups. */
export function operatorParts(
  journal: Journal,
  { compensator, webhooks }: Orders,
  config: Config,
  log: Logger,
  backupDirectory: string | undefined,
): OperatorParts {
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
      store: storeOf(config.JOURNAL),
    },
    onSettled: ({ id, orderId, attempt, step, note }) => {
      log.warn({ compensation: id, order_id: orderId, attempt, step, note }, "a compensation was settled by hand");
      webhooks?.notify();
    },
    onConfirmed: () => {
      compensator.notify();
      webhooks?.notify();
    },
    onRedelivered: () => webhooks?.notify(),
    onAction: (fields) => log.info(fields, "an operator acted"),
  };
}
