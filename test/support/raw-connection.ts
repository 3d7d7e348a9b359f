import { connect, type Socket } from "node:net";
import { eventually } from "./eventually.ts";

/** A whole answer, taken apart as its Content-Length says. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A TCP connection that speaks whatever it is told to, well-formed or not. */
export class RawConnection implements Disposable {
  readonly socket: Socket;
  #received = "";
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text) => (this.#received += text));
    socket.on("end", () => (this.#ended = true));
    // A reset is one of the ways for a connection to end; `closed` tells.
    socket.on("error", () => {});
  }

  /** `localAddress`: the client's, any of 127.0.0.0/8 on Linux. */
  static open(port: number, localAddress = "127.0.0.1"): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", localAddress }, () => resolve(new RawConnection(socket)));
      socket.once("error", reject);
    });
  }

  get received(): string {
    return this.#received;
  }

  get closed(): boolean {
    return this.socket.closed;
  }

  /** Resolves when the bytes are with the operating system. */
  write(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /** Waits until what was received matches. */
  async until(pattern: RegExp): Promise<string> {
    return await eventually(
      `${pattern} on the connection`,
      () => this.#received,
      (text) => pattern.test(text),
    );
  }

  /**
   * Waits for the end of the connection and takes apart what came before. Throws where it was no row of whole answers, or
   * where the connection was reset: then another client might have lost them.
   */
  async answersToTheEnd(): Promise<RawAnswer[]> {
    await eventually(
      "the end of the connection",
      () => this.closed,
      (closed) => closed || this.#ended,
      20_000,
    );
    if (!this.#ended) throw new Error(`the connection was reset after ${JSON.stringify(this.#received)}`);
    const answers: RawAnswer[] = [];
    let rest = this.#received;
    while (rest !== "") {
      const [, head = "", after = ""] = /^(HTTP\/1\.1 \d{3} [\s\S]*?)\r\n\r\n([\s\S]*)$/.exec(rest) ?? [];
      const [first = "", ...lines] = head.split("\r\n");
      const headers = Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.replace(/^[^:]*: */, "")]),
      );
      const length = Number(headers["content-length"] ?? Number.NaN);
      if (!(after.length >= length)) throw new Error(`no whole answer: ${JSON.stringify(rest)}`);
      answers.push({ status: Number(first.split(" ")[1]), headers, body: after.slice(0, length) });
      rest = after.slice(length);
    }
    return answers;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
