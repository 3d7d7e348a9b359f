import { connect, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { BadAnswer, checkAnswers, type FuzzAnswer } from "./answer-check.ts";
import type { FuzzCase } from "./fuzz-case.ts";
import { SMUGGLED } from "./requests.ts";

// How long nothing must come before a client that does not know what to wait for ends its side. Whether the server's answers
// are right does not depend on it, only which of them are seen.
const QUIET_MS = 10;
// Nothing that is healthy takes that long, on one busy core either.
const ANSWER_TIMEOUT_MS = 60_000;

/** Sends a case and checks what comes back. Throws `BadAnswer`, whose message says what came. */
export async function converse(one: FuzzCase, port: number): Promise<FuzzAnswer[]> {
  const { pieces, ending, expected } = one;
  const client = await Client.open(port);
  try {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await nextTurn();
      client.write(piece);
    }
    const sent = Buffer.concat(pieces);
    if (ending === "reset") {
      await nextTurn();
      client.socket.resetAndDestroy();
      return checkAnswers(client.received, sent, false);
    }
    if (ending === "after_answers") {
      if (expected === undefined) await client.quiet();
      else await client.until(() => !one.closes && isAnswered(client.received, sent, expected.length));
    }
    client.socket.end();
    await client.until(() => client.over);
    // A server that hangs up, or a reset that overtakes an answer, may cut one off; where nothing was wrong nothing is.
    const answers = checkAnswers(client.received, sent, expected !== undefined);
    checkIds(answers, one);
    if (expected !== undefined) checkExpected(answers, expected);
    return answers;
  } catch (error) {
    if (!(error instanceof BadAnswer)) throw error;
    throw new BadAnswer(`${error.message}\nreceived: ${JSON.stringify(client.received.slice(0, 4_000))}`);
  } finally {
    client.socket.destroy();
  }
}

function isAnswered(received: string, sent: Buffer, count: number): boolean {
  const answers = checkAnswers(received, sent, false);
  return answers.length >= count || answers.at(-1)?.headers.get("connection") === "close";
}

/** Each answer is that of a request of this connection, in the order of requests, or of none that could be read. */
function checkIds(answers: readonly FuzzAnswer[], { ids, expected }: FuzzCase): void {
  let last = -1;
  for (const { headers } of answers) {
    const id = headers.get("x-request-id") ?? "";
    if (id === SMUGGLED && expected !== undefined) throw new BadAnswer("what was hidden in a body was taken for a request");
    const index = ids.indexOf(id);
    if (index < 0) continue;
    if (index <= last) throw new BadAnswer(`the answer to ${id} came after that to ${ids[last]}`);
    last = index;
  }
}

function checkExpected(answers: readonly FuzzAnswer[], expected: readonly (readonly number[])[]): void {
  const ended = answers.findIndex(({ headers }) => headers.get("connection") === "close");
  const count = ended < 0 ? expected.length : ended + 1;
  if (answers.length !== count) throw new BadAnswer(`${answers.length} answers instead of ${count}`);
  for (const [index, { status }] of answers.entries()) {
    if (!expected[index]?.includes(status))
      throw new BadAnswer(`answer ${index + 1} is ${status} instead of ${expected[index]?.join(" or ")}`);
  }
}

class Client {
  readonly socket: Socket;
  #received = "";
  #over = false;
  #changed = Promise.withResolvers<void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text) => {
      this.#received += text;
      this.#wake();
    });
    const over = () => {
      this.#over = true;
      this.#wake();
    };
    socket.on("end", over).on("close", over);
    // A reset is one of the ways for a connection to end.
    socket.on("error", () => {});
  }

  static open(port: number): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true }, () => resolve(new Client(socket)));
      socket.once("error", reject);
    });
  }

  get received(): string {
    return this.#received;
  }

  /** The server has ended its side. */
  get over(): boolean {
    return this.#over;
  }

  write(bytes: Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  async until(holds: () => boolean): Promise<void> {
    const end = performance.now() + ANSWER_TIMEOUT_MS;
    while (!this.#over && !holds()) {
      if (performance.now() > end) throw new BadAnswer("never answered, or never ended");
      await this.#change(end - performance.now());
    }
  }

  /** Until nothing has come for a while. */
  async quiet(): Promise<void> {
    while (!this.#over && (await this.#change(QUIET_MS)));
  }

  /** Whether something came within that time. */
  #change(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(1, withinMs));
      this.#changed.promise.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
