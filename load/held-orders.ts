import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { orderIds } from "./order-ids.ts";

// A listener's backlog is 511; connections beyond it would be dropped and tried again a second later.
const WAVE = 250;

/**
 * Orders that have been sent and get no answer for a long time, each on a connection of its own. Plain sockets: 10 000 of a real
 * client would cost more than what is measured.
 */
export class HeldOrders implements Disposable {
  readonly #sockets: Socket[] = [];
  #answered = 0;

  /** Sends so many orders to `POST /order` of a port of 127.0.0.1; resolves when all are on their way. */
  static async send(port: number, count: number, order: Readonly<Record<string, unknown>>): Promise<HeldOrders> {
    const held = new HeldOrders();
    const nextId = orderIds();
    for (let sent = 0; sent < count; sent += WAVE) {
      const wave = Array.from({ length: Math.min(WAVE, count - sent) }, () => held.#sendOne(port, { order_id: nextId(), ...order }));
      await Promise.all(wave);
    }
    return held;
  }

  /** Orders that got an answer or lost their connection although they should have waited. */
  get answered(): number {
    return this.#answered;
  }

  /** All clients go away at once. */
  hangUp(): void {
    for (const socket of this.#sockets.splice(0)) socket.removeAllListeners("close").destroy();
  }

  [Symbol.dispose](): void {
    this.hangUp();
  }

  async #sendOne(port: number, order: unknown): Promise<void> {
    const body = JSON.stringify(order);
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    this.#sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => this.#answered++).once("close", () => this.#answered++);
    socket.write(
      `POST /order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }
}
