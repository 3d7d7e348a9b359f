import { connect, type Socket } from "node:net";

const TICK_MS = 100;
const TICKS_A_BYTE = 10;

/** Clients that send their requests a byte a second: every second one its headers, the others a body. */
export class SlowClients implements Disposable {
  readonly #port: number;
  readonly #clients: Client[];
  readonly #timer: NodeJS.Timeout;
  #tick = 0;
  #sentAway = 0;

  /** Opens `count` connections to a port of 127.0.0.1; one that the server ends is opened again. */
  constructor(port: number, count: number) {
    this.#port = port;
    this.#clients = Array.from({ length: count }, (_, n) => this.#open(n));
    // A tenth of them at a time, as clients that know nothing of each other would.
    this.#timer = setInterval(() => this.#advance(), TICK_MS);
  }

  /** How many are connected now. */
  get connected(): number {
    return this.#clients.reduce((sum, { socket }) => sum + Number(socket.readyState === "open"), 0);
  }

  /** How many connections the server has ended. */
  get sentAway(): number {
    return this.#sentAway;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const { socket } of this.#clients) socket.destroy();
  }

  #open(n: number): Client {
    const body = `{"order_id":"slow-${n}","amount":1${" ".repeat(1_000)}}`;
    const head = `POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n`;
    const socket = connect(this.#port, "127.0.0.1");
    if (n % 2 === 1) socket.write(`${head}\r\n`);
    const text = n % 2 === 1 ? body : `${head}X-Slow: ${"a".repeat(1_000)}`;
    // Being reset is one of the ways to be sent away.
    socket.on("error", () => {}).resume();
    socket.once("end", () => this.#sentAway++);
    return { socket, text, sent: 0 };
  }

  #advance(): void {
    this.#tick++;
    for (let n = this.#tick % TICKS_A_BYTE; n < this.#clients.length; n += TICKS_A_BYTE) {
      const client = this.#clients[n];
      if (client === undefined) continue;
      if (client.socket.writable) client.socket.write(client.text.charAt(client.sent++));
      else this.#clients[n] = this.#open(n);
    }
  }
}

interface Client {
  readonly socket: Socket;
  readonly text: string;
  sent: number;
}
