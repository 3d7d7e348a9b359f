import type { CancelCause } from "../../orders/cancel-cause.ts";
import type { OnFault } from "../../orders/faults.ts";
import { atMost } from "../../threads/index.ts";
import { compensationsDownLog, type EngineParts, type EngineTrouble, type OpenEngine, type RunningEngine } from "../engine.ts";
import type { EngineOptions } from "../open-engine.ts";
import { AttemptClient } from "./attempt-client.ts";
import { EngineAdmin } from "./client/engine-admin.ts";
import { EngineHealth } from "./client/engine-health.ts";
import { Ingress } from "./client/ingress.ts";
import { CompensationCalls } from "./compensation/compensation-calls.ts";
import { compensationObject } from "./compensation/compensation-object.ts";
import { courierLease } from "./courier-lease/courier-lease.ts";
import { CourierLeases } from "./courier-lease/courier-leases.ts";
import { Endpoint } from "./endpoint.ts";
import { orderEventsObject } from "./events/order-events-object.ts";
import { ReceiverDelivery } from "./events/receiver-delivery.ts";
import { webhookReceiverObject } from "./events/webhook-receiver-object.ts";
import { RestateJournal } from "./journal/restate-journal.ts";
import { Executions } from "./order/executions.ts";
import { idempotencyKeyObject } from "./order/idempotency-key-object.ts";
import { orderObject } from "./order/order-object.ts";
import { waitersObject } from "./order/waiters-object.ts";
import { RestateOrderService } from "./restate-order-service.ts";

/** The distributed engine: a Restate server or cluster keeps the orders, and any node of this service executes them. Main thread only. */
export class RestateEngine implements OpenEngine {
  readonly journal: RestateJournal;
  readonly ingress: Ingress;
  readonly admin: EngineAdmin;
  readonly health: EngineHealth;
  readonly couriers: CourierLeases;
  readonly options: EngineOptions;
  #onLost: () => void = () => {};

  private constructor(options: EngineOptions) {
    const { config, log } = options;
    this.options = options;
    this.ingress = new Ingress(config.RESTATE_INGRESS_URL as string);
    this.admin = new EngineAdmin(config.RESTATE_ADMIN_URL as string);
    this.couriers = new CourierLeases({
      ingress: this.ingress,
      total: config.COURIER_CAPACITY,
      cancelGraceMs: config.CANCEL_GRACE_MS,
      useMs: config.RESTATE_COURIER_LEASE_MS,
    });
    this.journal = new RestateJournal(this.ingress, this.admin);
    this.health = new EngineHealth({
      ingress: this.ingress,
      admin: this.admin,
      onChange: (healthy, reason) => {
        if (healthy) log.info({ reason }, "the engine works");
        else log.error({ reason }, "the engine cannot be used");
        if (!this.health.reachable) this.#onLost();
      },
    });
  }

  /** Does not call the engine: nodes and engine may start in any order. */
  static async open(options: EngineOptions): Promise<RestateEngine> {
    return new RestateEngine(options);
  }

  get trouble(): EngineTrouble | undefined {
    return this.health.healthy ? undefined : "engine_unavailable";
  }

  run(parts: EngineParts): RestateRun {
    const run = new RestateRun(this, parts);
    this.couriers.hold(parts.capacities.courier, parts.onFault);
    this.#onLost = () => run.lost();
    return run;
  }

  async close(): Promise<void> {
    await this.health.stop();
    this.ingress.close();
    this.admin.close();
  }
}

/** This node's part: the endpoint that the engine calls, and the orders of this node's clients. */
export class RestateRun implements RunningEngine {
  readonly orderService: RestateOrderService;
  readonly webhooks: ReceiverDelivery | undefined;
  readonly compensator: RestateJournal;
  readonly #compensationCalls: CompensationCalls;
  readonly #engine: RestateEngine;
  readonly #parts: EngineParts;
  readonly #executions = new Executions();
  readonly #attempts: AttemptClient;
  /** Connections for calls of keys alone: when the engine hangs they are closed, and no call of an order breaks. */
  readonly #keys: Ingress;
  readonly #hurry = Promise.withResolvers<void>();
  #endpoint: Endpoint | undefined;

  constructor(engine: RestateEngine, parts: EngineParts) {
    const { ingress, admin, health, options } = engine;
    const { MAX_IN_FLIGHT: maxInFlight, ORDER_TIMEOUT_MS: orderTimeoutMs } = options.config;
    const onFault: OnFault = parts.onFault;
    const executions = this.#executions;
    this.#engine = engine;
    this.#parts = parts;
    this.#compensationCalls = compensationCallsOf(options, parts);
    this.compensator = engine.journal;
    const { WEBHOOK_URL: url } = options.config;
    this.webhooks =
      url === undefined ? undefined : new ReceiverDelivery({ url, secrets: options.webhookSecrets, log: options.log, ingress, onFault });
    this.#attempts = new AttemptClient({ ingress, admin, executions, orderTimeoutMs, maxInFlight, onFault });
    this.#keys = new Ingress(options.config.RESTATE_INGRESS_URL as string);
    this.orderService = new RestateOrderService({
      ingress: this.#keys,
      attempts: this.#attempts,
      executions,
      maxInFlight,
      reachable: () => health.reachable,
    });
  }

  /** Undefined before `start`. */
  get endpointPort(): number | undefined {
    return this.#endpoint?.port;
  }

  /** Throws `EndpointError`. */
  async start(): Promise<void> {
    const { config, log } = this.#engine.options;
    const { pipeline, onEnded } = this.#parts;
    const order = orderObject({
      pipeline,
      executions: this.#executions,
      orderTimeoutMs: config.ORDER_TIMEOUT_MS,
      onEnded,
      sendsEvents: this.webhooks !== undefined,
    });
    this.#endpoint = await Endpoint.listen({
      host: config.RESTATE_ENDPOINT_HOST,
      port: config.RESTATE_ENDPOINT_PORT,
      services: [
        order,
        waitersObject,
        idempotencyKeyObject,
        compensationObject(this.#compensationCalls),
        orderEventsObject(this.webhooks?.sender),
        webhookReceiverObject((after, limit) => this.#engine.journal.ordersWithEvents(after, limit)),
        courierLease,
      ],
      ...(config.RESTATE_IDENTITY_KEY !== undefined && { identityKey: config.RESTATE_IDENTITY_KEY }),
      onCall: this.#engine.health.called,
      log,
    });
    await this.#engine.health.check();
    this.#engine.health.start();
    this.webhooks?.start();
    this.orderService.open();
  }

  lost(): void {
    this.#attempts.giveUp();
    this.#keys.close();
  }

  notify(): void {}

  drain(): Promise<void> {
    return this.orderService.drain();
  }

  cancelAll(cause: CancelCause): void {
    this.orderService.cancelAll(cause);
    this.#hurry.resolve();
  }

  async close(): Promise<void> {
    this.#endpoint?.drain();
    this.#compensationCalls.stop();
    await this.webhooks?.stop();
    // Attempts for clients of other nodes. Other nodes run those again that have not ended by then.
    const ended = Promise.race([this.#executions.ended(), this.#hurry.promise]);
    await atMost(ended, this.#engine.options.config.SHUTDOWN_TIMEOUT_MS);
    await this.#engine.couriers.stop();
    await this.#endpoint?.close();
    this.#keys.close();
  }
}

function compensationCallsOf({ config, log }: EngineOptions, { runner, providers, onTried, onRetried }: EngineParts): CompensationCalls {
  return new CompensationCalls({
    runner,
    providers,
    timeoutMs: config.COMPENSATION_TIMEOUT_MS,
    onTried,
    ...(onRetried !== undefined && { onRetried }),
    onDown: compensationsDownLog(log),
  });
}
