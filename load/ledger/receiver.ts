import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { randomFrom } from "../stand-in/random.ts";
import { noteEvent } from "./events.ts";
import type { World } from "./world.ts";

const SECRET = Buffer.alloc(32, 7);
/** The line of `WEBHOOK_SECRET_FILE`. */
export const SECRET_LINE = `whsec_${SECRET.toString("base64")}\n`;
// How often it does not take an event in an ordinary hour, and how often it takes one and says nothing.
const REFUSED = 0.03;
const SILENT = 0.01;

interface Delivered {
  readonly type: string;
  readonly data: { readonly order_id: string; readonly amount: number; readonly attempt: number; readonly error?: string };
}

/** Receives order events and looks at their order. In this process, so that what it has taken is known at once. */
export class Receiver {
  readonly #world: World;
  readonly #server: Server;
  readonly #taken = new Set<string>();
  #deliveries = 0;
  #isDown = false;

  private constructor(world: World) {
    this.#world = world;
    this.#server = createServer((request, response) => {
      this.#receive(request, response).catch((error: Error) => {
        if (!request.destroyed) world.violation(`the receiver of events failed: ${error.stack}`);
      });
    });
  }

  static async start(world: World): Promise<Receiver> {
    const receiver = new Receiver(world);
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/events`;
  }

  /** Takes no event until the returned function is called. */
  down(): () => void {
    this.#isDown = true;
    return () => {
      this.#isDown = false;
    };
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const world = this.#world;
    const payload = await text(request);
    const { "webhook-id": id = "", "webhook-timestamp": at, "webhook-signature": signature } = request.headers;
    const { type, data } = JSON.parse(payload) as Delivered;
    const order = world.orders.get(data.order_id);
    if (order === undefined) return world.violation(`an event came for ${data.order_id}, which nobody asked for`);
    const expected = createHmac("sha256", SECRET).update(`${id}.${at}.${payload}`).digest("base64");
    if (signature !== `v1,${expected}`) world.violation(`the event ${id} is signed wrongly`, order);
    world.touch(order, `event ${type} of attempt ${data.attempt}, ${id}`);
    const draw = randomFrom(`${world.seed} event ${++this.#deliveries}`)();
    const isRefused = !world.calm && (this.#isDown || draw < REFUSED);
    const { order_id: _, ...said } = data;
    const wrong = noteEvent(order, { id: String(id), type, ...said, taken: !isRefused });
    if (wrong !== undefined) world.violation(wrong, order);
    if (this.#taken.has(String(id))) world.sights.saw("event repeated");
    world.moments.is("delivering");

    if (isRefused) {
      world.sights.saw("event not taken");
      response.writeHead(500).end();
      return;
    }
    this.#taken.add(String(id));
    world.sights.saw("event delivered");
    if (!world.calm && draw > 1 - SILENT) request.socket.destroy();
    else response.writeHead(204).end();
  }
}
