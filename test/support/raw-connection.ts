import { connect, type Socket } from "node:net";
import { eventually } from "./eventually.ts";

/** A TCP connection that speaks whatever it is told to, well-formed or not. */
export class RawConnection implements Disposable {
  readonly socket: Socket;
  #received = "";

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text) => (this.#received += text));
    // A reset is one of the ways for a connection to end; `closed` tells.
    socket.on("error", () => {});
  }

  static open(port: number): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(new RawConnection(socket)));
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

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
