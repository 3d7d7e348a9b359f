import { randomBytes } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { WebhookDelivery, type WebhookDeliveryOptions } from "../../src/webhooks/delivery.ts";
import { parseWebhookSecret } from "../../src/webhooks/secret.ts";
import { postToReceiver } from "../../src/webhooks/webhook-receiver.ts";
import { FakeClock } from "../resilience/fake-clock.ts";
import { FakeOutbox } from "./fake-outbox.ts";
import { Receiver } from "./receiver.ts";

export function newSecret(bytes = 32): string {
  return `whsec_${randomBytes(bytes).toString("base64")}`;
}

export interface LogLine {
  readonly level: keyof WebhookDeliveryOptions["log"];
  readonly fields: object;
  readonly message: string;
}

/** A delivery between an outbox that lasts and a receiver over HTTP, on a clock of its own. */
export class Fixture {
  readonly clock = new FakeClock();
  readonly outbox = new FakeOutbox();
  readonly secret = newSecret();
  readonly receiver = new Receiver([this.secret], () => this.clock.nowMs());
  readonly logged: LogLine[] = [];
  delivery: WebhookDelivery;
  readonly #options: Partial<WebhookDeliveryOptions>;
  #requests = 0;

  private constructor(options: Partial<WebhookDeliveryOptions>) {
    this.#options = options;
    this.delivery = undefined as never;
  }

  static async open(options: Partial<WebhookDeliveryOptions> = {}): Promise<Fixture> {
    const fixture = new Fixture(options);
    await fixture.receiver.listen();
    fixture.delivery = fixture.#newDelivery();
    return fixture;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.delivery.stop();
    await this.receiver.close();
  }

  /** Writes events into the outbox, one for each order id, dated now. */
  add(...orderIds: string[]): void {
    for (const orderId of orderIds) this.outbox.add(orderId, this.clock.nowMs());
  }

  /** Stops and begins anew with what the outbox holds. */
  async restart(): Promise<void> {
    await this.delivery.stop();
    this.outbox.restart();
    this.delivery = this.#newDelivery();
    this.delivery.start();
  }

  /** Lets the event loop run until the condition holds, and time pass whenever nothing else can happen. */
  async until(condition: () => boolean): Promise<void> {
    for (let idle = 0; !condition(); ) {
      await turn();
      idle = this.#isIdle() ? idle + 1 : 0;
      if (idle < 20) continue;
      const nextMs = this.clock.nextMs;
      if (nextMs !== undefined) this.clock.advance(nextMs);
      idle = 0;
    }
  }

  /** Lets the event loop run, but no time pass, until the condition holds. */
  async untilAtOnce(condition: () => boolean): Promise<void> {
    while (!condition()) await turn();
  }

  /** Lets everything happen that happens without time passing. */
  async quiet(): Promise<void> {
    for (let idle = 0; idle < 20; idle = this.#isIdle() ? idle + 1 : 0) await turn();
  }

  /** Lets the event loop run for a while that is long for everything here, when requests are kept waiting. */
  async turns(): Promise<void> {
    for (let count = 0; count < 200; count++) await turn();
  }

  async delivered(): Promise<void> {
    // An outbox that is empty has yet to tell who emptied it.
    await this.until(() => this.outbox.size === 0 && this.outbox.busy === 0 && this.delivery.state().inFlight === 0);
  }

  /** Every event arrived, none with a fault, and none of an order before the one before it was done. */
  expectAllInOrder(): void {
    expect(this.receiver.faults).toEqual([]);
    const expected = new Map<string, number[]>();
    for (const { orderId, seq } of this.outbox.events) {
      if (this.outbox.dead.has(seq)) continue;
      expected.set(orderId, [...(expected.get(orderId) ?? []), seq]);
    }
    expect(this.seenByOrder()).toEqual(expected);
  }

  /** The events of each order as they arrived, repetitions of the last one left out; given up ones too. */
  seenByOrder(): Map<string, number[]> {
    const seen = new Map<string, number[]>();
    for (const { orderId, seq } of this.receiver.arrivals) {
      if (this.outbox.dead.has(seq)) continue;
      const seqs = seen.get(orderId) ?? [];
      if (seqs.at(-1) !== seq) seqs.push(seq);
      seen.set(orderId, seqs);
    }
    return seen;
  }

  #isIdle(): boolean {
    return this.#requests <= this.receiver.silent && this.outbox.busy === 0;
  }

  #newDelivery(): WebhookDelivery {
    const note =
      (level: LogLine["level"]) =>
      (fields: unknown, message?: string): void =>
        void this.logged.push({ level, fields: fields as object, message: message ?? "" });
    const { post = postToReceiver(this.receiver.url) } = this.#options;
    return new WebhookDelivery({
      outbox: this.outbox,
      url: this.receiver.url,
      secrets: this.receiver.secrets.map((secret) => parseWebhookSecret(secret) as NonNullable<ReturnType<typeof parseWebhookSecret>>),
      log: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
      clock: this.clock,
      ...this.#options,
      post: async (request) => {
        this.#requests++;
        try {
          return await post(request);
        } finally {
          this.#requests--;
        }
      },
    });
  }
}
