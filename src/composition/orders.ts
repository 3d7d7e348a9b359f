import type { KeyObject } from "node:crypto";
import { stuckWarning } from "../admin/stuck-warning.ts";
import { Admission, TICK_EVERY_MS } from "../admission/admission.ts";
import type { Config } from "../config.ts";
import { ClockWatch } from "../journal/clock-watch.ts";
import { housekeeping } from "../journal/housekeeping.ts";
import type { Journal } from "../journal/journal.ts";
import { JournalOpenError } from "../journal/journal-store.ts";
import { Compensator } from "../orders/compensator.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { OrderService } from "../orders/order-service.ts";
import { Pipeline } from "../orders/pipeline.ts";
import { recover } from "../orders/recovery.ts";
import { Periodic } from "../periodic.ts";
import { WebhookDelivery } from "../webhooks/delivery.ts";
import type { Observers } from "./observers.ts";
import type { Steps } from "./steps.ts";
import type { StepThreads } from "./threads.ts";

// Of the rows that other nodes added, or gave back at their end, nobody tells. A look costs the server a commit.
const LOOK_MS = 1_000;

/** All that works on the journal: orders, their compensations, the delivery of their events, the deletion of old rows. */
export class Orders {
  readonly admission: Admission;
  readonly orderService: OrderService;
  readonly compensator: Compensator;
  /** Absent where no receiver is configured. */
  readonly webhooks: WebhookDelivery | undefined;
  readonly #config: Config;
  readonly #observers: Observers;
  readonly #journal: Journal;
  readonly #clock = new ClockWatch();
  /** What is done again and again. */
  readonly #periodic: readonly Periodic[];

  /** Takes, retries and delivers nothing before `start`. */
  constructor(
    config: Config,
    observers: Observers,
    journal: Journal,
    threads: StepThreads,
    { runner, capacities, providers }: Steps,
    secrets: readonly KeyObject[],
  ) {
    const { log, metrics, tracing, onFault } = observers;
    this.#config = config;
    this.#observers = observers;
    this.#journal = journal;
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
      onTried: (step, done) => metrics.compensationTried(step, done),
      ...(tracing !== undefined && { onRetried: tracing.compensationRetried }),
      onStored,
      onDown: (step, down) =>
        down
          ? log.warn({ step }, "the provider takes no compensations: probing it with one at a time")
          : log.info({ step }, "the provider takes compensations again"),
      onFault,
    });
    const pipeline = new Pipeline(runner, capacities, providers);
    this.admission = new Admission({
      capacities: Object.values(capacities),
      exclusive: threads.exclusive,
      computingBehind: () => pipeline.computingBehind,
      inFlight: () => this.orderService.inFlight,
      maxInFlight: config.MAX_IN_FLIGHT,
      orderTimeoutMs: config.ORDER_TIMEOUT_MS,
    });
    this.orderService = new OrderService({
      pipeline,
      gate: this.admission,
      journal,
      compensator: this.compensator,
      ...(journal.cluster !== undefined && { otherNodes: journal.cluster.others }),
      orderTimeoutMs: config.ORDER_TIMEOUT_MS,
      maxInFlight: config.MAX_IN_FLIGHT,
      onStored,
      onEnded: observers.onOrderEnded,
      onFault,
    });
    observers.faults.orderFields = (orderId) => this.orderService.fieldsOf(orderId);
    if (journal.cluster !== undefined) journal.cluster.onLifeEnded = () => this.orderService.closedElsewhere();
    this.#periodic = [
      new Periodic(TICK_EVERY_MS, async () => this.admission.tick()),
      stuckWarning({ journal, warn: (fields, message) => log.warn(fields, message), onFault }),
      housekeeping({
        journal,
        ...(config.RETENTION_DAYS !== undefined && { retentionDays: config.RETENTION_DAYS }),
        isClockRight,
        onClock: (isRight) =>
          log.info(
            isRight
              ? "the clock is steady: what is old is deleted again"
              : "nothing is deleted or given up by its age until the clock has been steady for an hour",
          ),
        onFault,
      }),
      ...(journal.cluster === undefined ? [] : [new Periodic(LOOK_MS, async () => this.notify())]),
    ];
  }

  /** Rows may have become due that nobody here has written. */
  notify(): void {
    this.compensator.notify();
    this.webhooks?.notify();
  }

  /** Takes orders once what the last run left open is closed; gives how many that were. Throws `JournalOpenError`. */
  async start(): Promise<number> {
    const interrupted = await this.#recover();
    if (interrupted > 0)
      this.#observers.log.warn({ orders: interrupted }, "closed orders that the last run left open; they are being compensated");
    this.compensator.start();
    this.webhooks?.start();
    for (const periodic of this.#periodic) periodic.start();
    this.orderService.open();
    // Counting many takes a while, for which no order waits.
    void this.#tellWhatIsHeld();
    return interrupted;
  }

  async #recover(): Promise<number> {
    try {
      await this.#clock.ask(this.#journal);
      return await recover(this.#journal);
    } catch (error) {
      throw error instanceof JournalUnavailable ? new JournalOpenError(this.#config.JOURNAL, error.message) : error;
    }
  }

  async #tellWhatIsHeld(): Promise<void> {
    const { log, onFault } = this.#observers;
    try {
      const { restoredMs = 0, orders, compensations } = await this.#journal.restore();
      if (compensations === 0) return;
      log.warn(
        { restored_at: new Date(restoredMs).toISOString(), orders, compensations },
        "held since a restore, nothing of it goes on until it is confirmed: see GET /restore and POST /restore/confirm on the admin listener",
      );
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) onFault("what is held since a restore could not be counted", error);
    }
  }

  /** Stops compensations and deliveries. Resolves when none of their calls is under way. */
  async close(): Promise<void> {
    for (const periodic of this.#periodic) await periodic.stop();
    await this.compensator.stop();
    await this.webhooks?.stop();
  }
}
