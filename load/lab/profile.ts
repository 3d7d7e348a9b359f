/** A part of V8's CPU profile: the nodes of the call tree, and how long each was on top. */
interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string; readonly url: string } }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** The CPU profiler of the main thread of a process that was started with `--inspect=127.0.0.1:0`. */
export class Profiler implements Disposable {
  readonly #socket: WebSocket;
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** `output`: what the process printed, the inspector's address included. */
  static async connect(output: string): Promise<Profiler> {
    const address = /ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/.exec(output)?.[0];
    if (address === undefined) throw new Error(`no inspector listens:\n${output}`);
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve, { once: true });
      socket.addEventListener("error", () => reject(new Error(`no inspector at ${address}`)), { once: true });
    });
    const profiler = new Profiler(socket);
    await profiler.#ask("Profiler.enable");
    return profiler;
  }

  /** Shares of the time in which the thread did something, by stage, while `work` runs. */
  async during(work: () => Promise<unknown>, stageOf: (url: string, name: string) => string | undefined): Promise<Map<string, number>> {
    await this.#ask("Profiler.start");
    await work();
    const { profile } = (await this.#ask("Profiler.stop")) as { readonly profile: CpuProfile };
    const stages = new Map(profile.nodes.map(({ id, callFrame: { url, functionName } }) => [id, stageOf(url, functionName)]));
    const times = new Map<string, number>();
    for (const [n, id] of profile.samples.entries()) {
      const stage = stages.get(id);
      if (stage !== undefined) times.set(stage, (times.get(stage) ?? 0) + (profile.timeDeltas[n] ?? 0));
    }
    const all = [...times.values()].reduce((sum, time) => sum + time, 0);
    return new Map([...times].map(([stage, time]) => [stage, time / all]));
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  #ask(method: string): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const hear = ({ data }: MessageEvent): void => {
        const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: { message: string } };
        if (answer.id !== id) return;
        this.#socket.removeEventListener("message", hear);
        if (answer.error === undefined) resolve(answer.result);
        else reject(new Error(`${method}: ${answer.error.message}`));
      };
      this.#socket.addEventListener("message", hear);
      this.#socket.addEventListener("close", () => reject(new Error("the inspector went away")), { once: true });
      this.#socket.send(JSON.stringify({ id, method }));
    });
  }
}
