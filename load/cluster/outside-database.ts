import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import type { ClusterDatabase } from "./database.ts";

/** A PostgreSQL that somebody else runs: an empty database there, which is dropped in the end. It is neither killed nor cut off. */
export class OutsideDatabase implements ClusterDatabase {
  readonly settings: Readonly<Record<string, string>>;
  readonly upMs = performance.now();
  readonly #url: URL;
  readonly #name: string;
  readonly #passwordFile: string;

  private constructor(url: URL, name: string, passwordFile: string) {
    this.#url = url;
    this.#name = name;
    this.#passwordFile = passwordFile;
    this.settings = url.password === "" ? {} : { JOURNAL_PASSWORD_FILE: passwordFile };
  }

  /**
   * `url`: of a user who may create databases, as programs of PostgreSQL take it. `directory`: where the password goes, in a file. Rejects where
   * the server cannot be reached or the user may not.
   */
  static async create(url: string, directory: string): Promise<OutsideDatabase> {
    const parsed = new URL(url);
    const passwordFile = join(directory, "journal-password");
    writeFileSync(passwordFile, decodeURIComponent(parsed.password), { mode: 0o600 });
    const database = new OutsideDatabase(parsed, `order_pipeline_demo_${process.pid}_${Date.now()}`, passwordFile);
    await database.#run(`CREATE DATABASE ${database.#name}`);
    return database;
  }

  async addressForNode(): Promise<string> {
    const { username, host, search } = this.#url;
    return `postgres://${username}@${host}/${this.#name}${search}`;
  }

  network(): readonly [] {
    return [];
  }

  async kill(): Promise<never> {
    throw new Error("this database is not ours");
  }

  startAgain(): Promise<never> {
    return this.kill();
  }

  promoteStandby(): Promise<never> {
    return this.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run(`DROP DATABASE ${this.#name} WITH (FORCE)`);
    rmSync(this.#passwordFile);
  }

  async #run(statement: string): Promise<void> {
    const client = new Client({ connectionString: this.#url.href });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  }
}
