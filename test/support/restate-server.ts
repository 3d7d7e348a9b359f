import { DataDirectory } from "../../load/cluster/data-directory.ts";
import { EngineProcess } from "../../load/cluster/engine-process.ts";
import { EngineAdmin } from "../../src/engines/restate/client/engine-admin.ts";

/**
 * A real engine of one node on free ports of 127.0.0.1, its data in a directory of its own that goes with it. Up within half a second on a
 * quiet machine. Left by `await using`, nothing of it stays.
 */
export class RestateServer implements AsyncDisposable {
  readonly admin: EngineAdmin;
  readonly #engine: EngineProcess;
  readonly #directory: DataDirectory;

  private constructor(engine: EngineProcess, directory: DataDirectory) {
    this.#engine = engine;
    this.#directory = directory;
    this.admin = new EngineAdmin(engine.adminUrl);
  }

  /** `settings`: the engine's own, `RESTATE_...`. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<RestateServer> {
    const directory = new DataDirectory("restate-server-");
    return new RestateServer(await EngineProcess.start({ directory: directory.path, partitions: 2, settings }), directory);
  }

  /** For `RESTATE_INGRESS_URL`. */
  get ingressUrl(): string {
    return this.#engine.ingressUrl;
  }

  /** For `RESTATE_ADMIN_URL`. */
  get adminUrl(): string {
    return this.#engine.adminUrl;
  }

  /** Undefined while it is down. */
  get pid(): number | undefined {
    return this.#engine.pid;
  }

  /** Makes the endpoint at this URL known. */
  async register(url: string): Promise<void> {
    await this.admin.register(url);
  }

  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void> {
    return this.#engine.kill();
  }

  /** Starts it again on the same ports and data. Resolves when it answers. */
  restart(): Promise<void> {
    return this.#engine.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.kill();
    this.#directory[Symbol.dispose]();
  }
}
