import type { KeyObject } from "node:crypto";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { housekeeping } from "../journal/housekeeping.ts";
import { JournalOpenError } from "../journal/journal-open-error.ts";
import type { SqliteJournal } from "../journal/sqlite-journal.ts";
import { Compensator, type CompensatorOptions } from "../orders/compensator.ts";
import type { OnFault } from "../orders/faults.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { OrderService, type OrderServiceOptions } from "../orders/order-service.ts";
import { recover } from "../orders/recovery.ts";
import type { StepName } from "../orders/steps.ts";
import type { Periodic } from "../periodic.ts";
import { WebhookDelivery } from "../webhooks/delivery.ts";

export interface OrdersParts
  extends Required<Pick<CompensatorOptions, "runner" | "providers" | "onTried">>,
    Pick<CompensatorOptions, "onRetried">,
    Required<Pick<OrderServiceOptions, "pipeline" | "gate" | "onEnded">> {
  readonly config: Config;
  readonly log: Logger;
  readonly journal: SqliteJournal;
  readonly webhookSecrets: readonly KeyObject[];
  readonly onPhase: (phase: string) => void;
  readonly onFault: OnFault;
}

/** All that works on the journal: orders, their compensations, the delivery of their events, the deletion of old rows. Main thread only. */
export class Orders {
  readonly orderService: OrderService;
  readonly compensator: Compensator;
  /** Absent where no receiver is configured. */
  readonly webhooks: WebhookDelivery | undefined;
  readonly #parts: OrdersParts;
  readonly #keeping: Periodic;

  /** Takes, retries and delivers nothing before `start`. */
  constructor(parts: OrdersParts) {
    const { config, log, journal, webhookSecrets: secrets, onFault } = parts;
    const { runner, pipeline, gate, providers, onEnded, onTried, onRetried } = parts;
    this.#parts = parts;
    this.webhooks =
      config.WEBHOOK_URL === undefined ? undefined : new WebhookDelivery({ outbox: journal, url: config.WEBHOOK_URL, secrets, log });
    const onStored = () => this.webhooks?.notify();
    this.compensator = new Compensator({
      runner,
      journal,
      providers,
      timeoutMs: config.COMPENSATION_TIMEOUT_MS,
      onTried,
      ...(onRetried !== undefined && { onRetried }),
      onStored,
      onDown: (step, down) => logDown(log, step, down),
      onFault,
    });
    this.orderService = new OrderService({
      pipeline,
      gate,
      journal,
      compensator: this.compensator,
      orderTimeoutMs: config.ORDER_TIMEOUT_MS,
      maxInFlight: config.MAX_IN_FLIGHT,
      onStored,
      onEnded,
      onFault,
    });
    this.#keeping = housekeeping({
      journal,
      ...(config.RETENTION_DAYS !== undefined && { retentionDays: config.RETENTION_DAYS }),
      onFault,
    });
  }

  /** Closes what the last run left open, and takes orders from then on. Throws `JournalOpenError` when that cannot be closed. */
  async start(): Promise<void> {
    const { config, log, journal, onPhase } = this.#parts;
    onPhase("closing the orders that the last run left open");
    const interrupted = await recover(journal).catch((error: unknown) => {
      throw error instanceof JournalUnavailable ? new JournalOpenError(config.JOURNAL, error.message) : error;
    });
    if (interrupted > 0) log.warn({ orders: interrupted }, "closed orders that the last run left open; they are being compensated");
    this.compensator.start();
    this.webhooks?.start();
    this.#keeping.start();
    this.orderService.open();
  }

  /** Stops compensations and deliveries. Resolves when none of their calls is under way. */
  async close(): Promise<void> {
    await this.#keeping.stop();
    await this.compensator.stop();
    await this.webhooks?.stop();
  }
}

function logDown(log: Logger, step: StepName, down: boolean): void {
  if (down) log.warn({ step }, "the provider takes no compensations: probing it with one at a time");
  else log.info({ step }, "the provider takes compensations again");
}
