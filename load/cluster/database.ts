import { type PostgresServer, startPostgres } from "../../test/support/postgres/server.ts";
import { startStandby } from "../../test/support/postgres/standby.ts";
import { TcpProxy } from "../../test/support/tcp-proxy.ts";

export interface DatabaseOptions {
  /** Whether there is a standby, for which every commit waits. It needs Debian's PostgreSQL. */
  readonly standby: boolean;
  /** Whether the data is on disk. */
  readonly fsync: boolean;
}

/** The PostgreSQL of a cluster. */
export interface ClusterDatabase extends AsyncDisposable {
  /** Since when it has taken writes without a break, on the monotonic clock; undefined while it takes none. */
  readonly upMs: number | undefined;
  /** What nodes need beside the address. */
  readonly settings: Readonly<Record<string, string>>;
  /** The address for a further node. */
  addressForNode(): Promise<string>;
  /** Through which the n-th node reaches it, where that can be cut. */
  network(node: number): readonly TcpProxy[];
  /** SIGKILL to the primary. */
  kill(): Promise<void>;
  /** After `kill`. */
  startAgain(): Promise<void>;
  /** After `kill`: the standby takes its place for good. */
  promoteStandby(): Promise<void>;
}

/** Servers of our own: a primary, perhaps a standby, and a network of its own for each node. */
export class Database implements ClusterDatabase {
  readonly settings = {};
  readonly #stack = new AsyncDisposableStack();
  readonly #servers: PostgresServer[] = [];
  /** Of the node with that number, a proxy for each server. */
  readonly #networks: TcpProxy[][] = [];
  #primary = 0;
  #upMs: number | undefined;

  static async start({ standby, fsync }: DatabaseOptions): Promise<Database> {
    const database = new Database();
    try {
      const primary = database.#stack.use(await startPostgres({ version: standby ? "debian" : "npm", fsync }));
      database.#servers.push(primary);
      if (standby) database.#servers.push(database.#stack.use(await startStandby(primary)));
      database.#upMs = performance.now();
      return database;
    } catch (error) {
      await database[Symbol.asyncDispose]();
      throw error;
    }
  }

  get upMs(): number | undefined {
    return this.#upMs;
  }

  /** All servers, each by way of that node's own network. */
  async addressForNode(): Promise<string> {
    const proxies = await Promise.all(this.#servers.map(async ({ port }) => this.#stack.use(await TcpProxy.start(port))));
    this.#networks.push(proxies);
    const url = new URL(this.#servers[0]?.url ?? "");
    const hosts = proxies.map(({ port }) => `127.0.0.1:${port}`).join();
    return `postgres://${url.username}@${hosts}${url.pathname}`;
  }

  network(node: number): readonly TcpProxy[] {
    return this.#networks[node] ?? [];
  }

  async kill(): Promise<void> {
    this.#upMs = undefined;
    await this.#servers[this.#primary]?.kill();
  }

  async startAgain(): Promise<void> {
    await this.#servers[this.#primary]?.start();
    await this.#takesWrites();
  }

  async promoteStandby(): Promise<void> {
    this.#primary++;
    await this.#servers[this.#primary]?.promote();
    await this.#takesWrites();
  }

  /** Commits once: with a standby that waits until the standby has come back, which may be seconds after the primary. */
  async #takesWrites(): Promise<void> {
    await this.#servers[this.#primary]?.query("SELECT pg_logical_emit_message(true, 'campaign', '')");
    this.#upMs = performance.now();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
