import { Client } from "pg";
import { eventually } from "../support/eventually.ts";
import { newId } from "../support/http-client.ts";
import { freshDatabase } from "../support/postgres/index.ts";
import { GatedProviders } from "./gated-providers.ts";
import { NodeProcess } from "./node-process.ts";

/** A database of a server, the providers, and nodes that are started by name. All of them go with it, nodes first. */
export class Site implements AsyncDisposable {
  readonly url: string;
  readonly providers: GatedProviders;
  readonly #all: AsyncDisposableStack;

  private constructor(url: string, providers: GatedProviders, all: AsyncDisposableStack) {
    this.url = url;
    this.providers = providers;
    this.#all = all;
  }

  /** `url`: an empty database; by default a fresh one on the server that all tests share. */
  static async open(url?: string): Promise<Site> {
    await using opening = new AsyncDisposableStack();
    const journal = url ?? opening.use(await freshDatabase()).url;
    const providers = opening.use(await GatedProviders.start());
    return new Site(journal, providers, opening.move());
  }

  /** `journal`: another way to the database. */
  async start(name: string, settings: Readonly<Record<string, string>> = {}, journal = this.url): Promise<NodeProcess> {
    return this.#all.use(await NodeProcess.start(name, journal, this.providers.url, settings));
  }

  /** Sends an order that waits at the courier. Resolves when its courier call is under way. */
  async hold(node: NodeProcess, meaning: string) {
    const id = newId(meaning);
    this.providers.hold(id);
    const answer = node.order(id);
    await eventually(`the courier call of ${id}`, () => this.providers.waiting.has(`${id}:1:courier`));
    return { id, answer };
  }

  /** Runs a statement in a session of its own. */
  async query<Row extends object>(text: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.url, options: "-c search_path=order_pipeline" });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async count(table: string, which: string): Promise<number> {
    const [row] = await this.query<{ count: number }>(`SELECT count(*)::integer AS count FROM ${table} WHERE ${which}`);
    return row?.count ?? 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#all.disposeAsync();
  }
}
