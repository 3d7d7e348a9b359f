import type { KeyObject } from "node:crypto";
import type { OnFault } from "../../../orders/faults.ts";
import { Periodic } from "../../../periodic.ts";
import type { DeliveryLog } from "../../../webhooks/webhook-receiver.ts";
import type { Ingress } from "../client/ingress.ts";
import { orUnavailable } from "../journal/engine-tables.ts";
import { OBJECTS } from "../objects.ts";
import { EventSender } from "./event-sender.ts";
import { RECEIVER_KEY, type ReceiverState } from "./webhook-receiver-object.ts";

export interface ReceiverDeliveryOptions {
  readonly url: string;
  readonly secrets: readonly KeyObject[];
  readonly log: DeliveryLog;
  readonly ingress: Ingress;
  readonly onFault: OnFault;
}

// How long after a 410 to one node the others may still send. The call costs the engine next to nothing.
const REFRESH_EVERY_MS = 1_000;
const TIMEOUT_MS = 5_000;

/** This node's part in delivery: its sender, and the state of the receiver that all nodes share. Main thread only. */
export class ReceiverDelivery {
  readonly sender: EventSender;
  readonly #options: ReceiverDeliveryOptions;
  readonly #refreshing: Periodic;

  constructor(options: ReceiverDeliveryOptions) {
    const { url, secrets, log, onFault } = options;
    this.#options = options;
    this.sender = new EventSender({
      url,
      secrets,
      log,
      isDisabled: () => this.#isDisabled(),
      disable: () => this.#call("disable"),
      onUp: () => {
        // Without this call each waiting event is tried at the end of its own pause.
        this.#call("wakeAll").catch((error: unknown) => onFault("events that wait could not be woken", error));
      },
    });
    this.#refreshing = new Periodic(REFRESH_EVERY_MS, async () => {
      // While the engine is down nothing is delivered either.
      await this.sender.refresh().catch(() => {});
    });
  }

  start(): void {
    this.#refreshing.start();
  }

  state(): ReturnType<EventSender["state"]> {
    return this.sender.state();
  }

  /** Goes on after a 410, on all nodes. Rejects with `JournalUnavailable`. */
  async resume(): Promise<void> {
    await orUnavailable(this.#call("resume"));
    await orUnavailable(this.sender.refresh());
  }

  /** Aborts the requests under way. */
  async stop(): Promise<void> {
    this.sender.stop();
    await this.#refreshing.stop();
  }

  async #isDisabled(): Promise<boolean> {
    return (await this.#call<ReceiverState>("state")).disabled;
  }

  #call<Answer = void>(handler: "state" | "disable" | "resume" | "wakeAll"): Promise<Answer> {
    return this.#options.ingress.call<Answer>({ object: OBJECTS.webhookReceiver, key: RECEIVER_KEY, handler, timeoutMs: TIMEOUT_MS });
  }
}
