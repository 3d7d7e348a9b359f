import type { KeyObject } from "node:crypto";
import type { Logger } from "pino";
import type { Config } from "../../config.ts";
import { housekeeping } from "../../journal/housekeeping.ts";
import { JournalOpenError } from "../../journal/journal-open-error.ts";
import { SqliteJournal, type SqliteJournalOptions } from "../../journal/sqlite-journal.ts";
import type { CancelCause } from "../../orders/cancel-cause.ts";
import { Compensator } from "../../orders/compensator.ts";
import { JournalUnavailable } from "../../orders/order-journal.ts";
import { OrderService } from "../../orders/order-service.ts";
import { recover } from "../../orders/recovery.ts";
import type { Periodic } from "../../periodic.ts";
import { WebhookDelivery } from "../../webhooks/delivery.ts";
import { compensationsDownLog, type EngineParts, type OpenEngine, type RunningEngine } from "../engine.ts";

export interface EmbeddedOptions extends Pick<SqliteJournalOptions, "onCommit"> {
  readonly config: Config;
  readonly log: Logger;
  readonly webhookSecrets: readonly KeyObject[];
  readonly onPhase: (phase: string) => void;
  /** The contents of the journal are in doubt; the process has to end. */
  readonly onFatal: (reason: string) => void;
}

/** The journal of this process: SQLite in one file. Main thread only. */
export class EmbeddedEngine implements OpenEngine {
  readonly journal: SqliteJournal;
  readonly #options: EmbeddedOptions;

  private constructor(journal: SqliteJournal, options: EmbeddedOptions) {
    this.journal = journal;
    this.#options = options;
  }

  /** Throws `JournalOpenError`. */
  static async open(options: EmbeddedOptions): Promise<EmbeddedEngine> {
    const { config, log, onPhase, onFatal, onCommit } = options;
    onPhase(`opening the journal ${config.JOURNAL}`);
    const journal = await SqliteJournal.open(config.JOURNAL, {
      events: config.WEBHOOK_URL !== undefined,
      onFatal,
      ...(onCommit !== undefined && { onCommit }),
      onHealth: (healthy, reason) =>
        healthy ? log.info({ reason }, "journal works again") : log.error({ reason }, "journal cannot be written"),
    });
    return new EmbeddedEngine(journal, options);
  }

  get trouble(): "journal_unavailable" | undefined {
    return this.journal.healthy ? undefined : "journal_unavailable";
  }

  run(parts: EngineParts): EmbeddedRun {
    return new EmbeddedRun(this.journal, this.#options, parts);
  }

  close(): Promise<void> {
    return this.journal.close();
  }
}

/** Orders, compensations and events of this process, on its journal. */
export class EmbeddedRun implements RunningEngine {
  readonly orderService: OrderService;
  readonly compensator: Compensator;
  readonly webhooks: WebhookDelivery | undefined;
  readonly endpointPort = undefined;
  readonly #journal: SqliteJournal;
  readonly #options: EmbeddedOptions;
  readonly #keeping: Periodic;

  constructor(journal: SqliteJournal, options: EmbeddedOptions, parts: EngineParts) {
    const { config, log, webhookSecrets: secrets } = options;
    const { runner, pipeline, gate, providers, onEnded, onTried, onRetried, onFault } = parts;
    this.#journal = journal;
    this.#options = options;
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
      onDown: compensationsDownLog(log),
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

  /** Throws `JournalOpenError` when what the last run left open cannot be closed. */
  async start(): Promise<void> {
    const { config, log, onPhase } = this.#options;
    onPhase("closing the orders that the last run left open");
    const interrupted = await recover(this.#journal).catch((error: unknown) => {
      throw error instanceof JournalUnavailable ? new JournalOpenError(config.JOURNAL, error.message) : error;
    });
    if (interrupted > 0) log.warn({ orders: interrupted }, "closed orders that the last run left open; they are being compensated");
    this.compensator.start();
    this.webhooks?.start();
    this.#keeping.start();
    this.orderService.open();
  }

  notify(): void {
    this.webhooks?.notify();
  }

  drain(): Promise<void> {
    return this.orderService.drain();
  }

  cancelAll(cause: CancelCause): void {
    this.orderService.cancelAll(cause);
  }

  async close(): Promise<void> {
    await this.#keeping.stop();
    await this.compensator.stop();
    await this.webhooks?.stop();
  }
}

/** The journal and the compensator of an embedded engine. Throws for any other engine. */
export function embeddedOf(engine: OpenEngine, running: RunningEngine): Pick<EmbeddedRun, "compensator"> & Pick<EmbeddedEngine, "journal"> {
  if (!(engine instanceof EmbeddedEngine && running instanceof EmbeddedRun)) throw new Error("the engine is not the embedded one");
  return { journal: engine.journal, compensator: running.compensator };
}
