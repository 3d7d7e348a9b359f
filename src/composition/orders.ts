import type { KeyObject } from "node:crypto";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { ClockWatch } from "../journal/clock-watch.ts";
import { housekeeping } from "../journal/housekeeping.ts";
import type { Journal } from "../journal/journal.ts";
import { JournalOpenError } from "../journal/journal-store.ts";
import { Compensator, type CompensatorOptions } from "../orders/compensator.ts";
import type { OnFault } from "../orders/faults.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { OrderService, type OrderServiceOptions } from "../orders/order-service.ts";
import { recover } from "../orders/recovery.ts";
import type { StepName } from "../orders/steps.ts";
import { Periodic } from "../periodic.ts";
import { WebhookDelivery } from "../webhooks/delivery.ts";

// Of the rows that other nodes added, or gave back at their end, nobody tells. A look costs the server a commit.
const LOOK_MS = 1_000;

export interface OrdersParts
  extends Required<Pick<CompensatorOptions, "runner" | "providers" | "onTried">>,
    Pick<CompensatorOptions, "onRetried">,
    Required<Pick<OrderServiceOptions, "pipeline" | "gate" | "onEnded">> {
  readonly config: Config;
  readonly log: Logger;
  readonly journal: Journal;
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
  readonly #clock = new ClockWatch();
  readonly #keeping: Periodic;
  /** Looks for rows of other nodes. */
  readonly #looking: Periodic | undefined;

  /** Takes, retries and delivers nothing before `start`. */
  constructor(parts: OrdersParts) {
    const { config, log, journal, webhookSecrets: secrets, onFault } = parts;
    const { runner, pipeline, gate, providers, onEnded, onTried, onRetried } = parts;
    this.#parts = parts;
    const isClockRight = (nowMs: number) => this.#clock.isRight(nowMs);
    this.webhooks =
      config.WEBHOOK_URL === undefined
        ? undefined
        : new WebhookDelivery({ outbox: journal, url: config.WEBHOOK_URL, secrets, log, isClockRight, sharer: journal.cluster });
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
      ...(journal.cluster !== undefined && { otherNodes: journal.cluster.others }),
      orderTimeoutMs: config.ORDER_TIMEOUT_MS,
      maxInFlight: config.MAX_IN_FLIGHT,
      onStored,
      onEnded,
      onFault,
    });
    if (journal.cluster !== undefined) journal.cluster.onLifeEnded = () => this.orderService.closedElsewhere();
    this.#looking = journal.cluster && new Periodic(LOOK_MS, async () => this.#look());
    this.#keeping = housekeeping({
      journal,
      ...(config.RETENTION_DAYS !== undefined && { retentionDays: config.RETENTION_DAYS }),
      isClockRight,
      onClock: (isRight) => logClock(log, isRight),
      onFault,
    });
  }

  #look(): void {
    this.compensator.notify();
    this.webhooks?.notify();
  }

  /** Closes what the last run left open, and takes orders from then on. Gives how many it closed. Throws `JournalOpenError` when they cannot be closed. */
  async start(): Promise<number> {
    const { config, log, onPhase } = this.#parts;
    onPhase("closing the orders that the last run left open");
    const interrupted = await this.#recover().catch((error: unknown) => {
      throw error instanceof JournalUnavailable ? new JournalOpenError(config.JOURNAL, error.message) : error;
    });
    if (interrupted > 0) log.warn({ orders: interrupted }, "closed orders that the last run left open; they are being compensated");
    this.compensator.start();
    this.webhooks?.start();
    this.#keeping.start();
    this.#looking?.start();
    this.orderService.open();
    // Counting many takes a while, for which no order waits.
    void this.#tellWhatIsHeld();
    return interrupted;
  }

  async #tellWhatIsHeld(): Promise<void> {
    const { log, journal, onFault } = this.#parts;
    try {
      const { restoredMs = 0, orders, compensations } = await journal.restore();
      if (compensations === 0) return;
      const fields = { restored_at: new Date(restoredMs).toISOString(), orders, compensations };
      log.warn(
        fields,
        "held since a restore, nothing of it goes on until it is confirmed: see GET /restore and POST /restore/confirm on the admin listener",
      );
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) onFault("what is held since a restore could not be counted", error);
    }
  }

  async #recover(): Promise<number> {
    const { journal } = this.#parts;
    await this.#clock.ask(journal);
    return recover(journal);
  }

  /** Stops compensations and deliveries. Resolves when none of their calls is under way. */
  async close(): Promise<void> {
    await this.#keeping.stop();
    await this.#looking?.stop();
    await this.compensator.stop();
    await this.webhooks?.stop();
  }
}

function logClock(log: Logger, isRight: boolean): void {
  if (isRight) log.info("the clock is steady: what is old is deleted again");
  else log.info("nothing is deleted or given up by its age until the clock has been steady for an hour");
}

function logDown(log: Logger, step: StepName, down: boolean): void {
  if (down) log.warn({ step }, "the provider takes no compensations: probing it with one at a time");
  else log.info({ step }, "the provider takes compensations again");
}
