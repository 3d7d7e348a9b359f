import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Client, type QueryResultRow } from "pg";
import { cert } from "../../resilience/certificate.ts";
import { AS_SERVER } from "./account.ts";
import type { Binaries, PostgresVersion } from "./binaries.ts";
import { copyTemplate, DATABASE, PASSWORD, SUPERUSER, writeAccess } from "./data-directory.ts";
import { freePort } from "./free-port.ts";
import type { Keeper } from "./keeper.ts";
import { newPlace, type Place } from "./place.ts";

export interface PostgresOptions {
  /** npm's by default. */
  readonly version?: PostgresVersion;
  /** Settings of `postgresql.conf`, over those for speed. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Off by default: only a machine that loses power needs it, not a server that is killed. With it the data is on disk. */
  readonly fsync?: boolean;
  /** With `password` clients have to give `server.password`; by default they are trusted. */
  readonly auth?: "trust" | "password";
  /** Whether it takes connections with TLS only. `test/resilience/certificate.ts` has its certificate. */
  readonly tls?: boolean;
}

// For servers that live for seconds and hold little.
const FOR_SPEED = { fsync: "off", full_page_writes: "off", max_wal_size: "256MB", shared_buffers: "64MB", jit: "off" };
// Its standbys may be down for a while.
const FOR_STANDBYS = { wal_keep_size: "256MB" };
const FIXED = { listen_addresses: "127.0.0.1", unix_socket_directories: "", lc_messages: "C" };
// Vitest runs four files at one time, and a test may have several nodes.
const MAX_CONNECTIONS = "200";
const STARTS = 5;
const KEPT_LOG_LENGTH = 100_000;

/** A PostgreSQL server with a superuser and an empty database, `orders` both. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  /** What it was made from; it is deleted with the server. */
  readonly dataDirectory: string;
  readonly password = PASSWORD;
  readonly binaries: Binaries;
  readonly settings: Readonly<Record<string, string>>;
  readonly #keeper: Keeper;
  #process: ChildProcess | undefined;
  #log = "";

  /** For `startPostgres` and `startStandby`. */
  constructor(port: number, place: Place, settings: Readonly<Record<string, string>>) {
    this.port = port;
    this.dataDirectory = place.dataDirectory;
    this.binaries = place.binaries;
    this.#keeper = place.keeper;
    this.settings = settings;
  }

  /** Of the database `orders`, without a password. */
  get url(): string {
    return `postgres://${SUPERUSER}@127.0.0.1:${this.port}/${DATABASE}`;
  }

  /** What it has logged, the last part of it. */
  get log(): string {
    return this.#log;
  }

  /** Starts it on its port and data, as at first; resolves when it takes connections. Throws with its log where it ends before. */
  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error("the server runs");
    this.#log = "";
    const args = Object.entries({ ...this.settings, port: `${this.port}` }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(join(this.binaries.directory, "postgres"), ["-D", this.dataDirectory, ...args], {
      ...AS_SERVER,
      stdio: ["ignore", "ignore", "pipe"],
      // Not in the way of a terminal's Ctrl-C, which would end it before the tests that use it.
      detached: true,
    });
    this.#process = child;
    this.#keeper.keep(child.pid);
    const isUp = Promise.withResolvers<boolean>();
    child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#log = (this.#log + text).slice(-KEPT_LOG_LENGTH);
      if (/ready to accept (read-only )?connections/.test(this.#log)) isUp.resolve(true);
    });
    child.once("error", isUp.reject);
    child.once("close", () => {
      this.#process = undefined;
      this.#keeper.keep(undefined);
      isUp.resolve(false);
    });
    if (!(await isUp.promise)) throw new Error(`PostgreSQL ended at its start:\n${this.#log}`);
  }

  /** Stops it: `fast` ends the sessions in order, `immediate` leaves the rest to recovery. Resolves when no process of it is left. */
  async stop(mode: "fast" | "immediate" = "fast"): Promise<void> {
    await this.#end(mode === "fast" ? "SIGINT" : "SIGQUIT");
  }

  /** Kills its first process. The others see that and end; resolves when none is left. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#process === undefined) return;
    // Not `exit`: every process of the server holds the pipe.
    const closed = once(this.#process, "close");
    this.#process.kill(signal);
    await closed;
  }

  /** Runs a statement in a session of its own, as the superuser. */
  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = [], database = DATABASE): Promise<Row[]> {
    const ssl = this.settings.ssl === "on" ? { ca: cert } : false;
    const client = new Client({ host: "127.0.0.1", port: this.port, user: SUPERUSER, password: PASSWORD, database, ssl });
    await client.connect();
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** Changes a setting of the running server, which keeps it over its restarts. For settings that need no restart. */
  async setUp(name: string, value: string): Promise<void> {
    await this.query(`ALTER SYSTEM SET ${name} = '${value}'`);
    await this.query("SELECT pg_reload_conf()");
  }

  /** Makes a standby a primary; resolves when it takes writes. */
  async promote(): Promise<void> {
    const [row] = await this.query<{ promoted: boolean }>("SELECT pg_promote() AS promoted");
    if (row?.promoted !== true) throw new Error(`the standby is no primary:\n${this.#log}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
    await this.#keeper.end();
  }
}

/** Starts a server on a free port of 127.0.0.1. Throws where there are no programs for it, or where it does not come up. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const { version = "npm", settings, fsync = false, auth = "trust", tls = false } = options;
  const place = newPlace(version, fsync);
  try {
    const { scratch, dataDirectory, binaries } = place;
    await copyTemplate(binaries, scratch, dataDirectory);
    await writeAccess(dataDirectory, auth, tls);
    const speed = fsync ? { ...FOR_SPEED, fsync: "on", full_page_writes: "on" } : FOR_SPEED;
    const secured = tls ? { ssl: "on", ssl_cert_file: "server.crt", ssl_key_file: "server.key" } : {};
    return await startSomewhere(place, { max_connections: MAX_CONNECTIONS, ...speed, ...FOR_STANDBYS, ...secured, ...settings, ...FIXED });
  } catch (error) {
    await place.keeper.end();
    throw error;
  }
}

/** Another server may take a port that was free a moment ago; then it tries the next. */
export async function startSomewhere(place: Place, settings: Readonly<Record<string, string>>): Promise<PostgresServer> {
  for (let left = STARTS; ; left--) {
    const server = new PostgresServer(await freePort(), place, settings);
    try {
      await server.start();
      return server;
    } catch (error) {
      if (left === 0 || !server.log.includes("could not bind")) throw error;
    }
  }
}
