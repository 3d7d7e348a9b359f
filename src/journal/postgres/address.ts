import { readFileSync } from "node:fs";
import type { ClientConfig } from "pg";
import { JournalUnavailable } from "../../orders/order-journal.ts";

/** Where the PostgreSQL of a journal is. */
export interface PostgresAddress {
  /** The one that takes writes is looked for in this order. */
  readonly hosts: readonly PostgresHost[];
  readonly user: string;
  readonly database: string;
  readonly sslmode: SslMode;
  /** A file with the certificates that the server's must come from. Absent: those that Node trusts. */
  readonly sslrootcert?: string;
}

export interface PostgresHost {
  /** An IPv6 address stands without its brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * As PostgreSQL's own programs mean them: `require` encrypts and takes any certificate, `verify-ca` looks at who made it, `verify-full` at its name
 * too. There is no `prefer`: it goes without encryption where somebody in between says that the server has none.
 */
const SSL_MODES = ["disable", "require", "verify-ca", "verify-full"] as const;

export type SslMode = (typeof SSL_MODES)[number];

export const ADDRESS_RULE = `must be postgres://USER@HOST[:PORT][,HOST[:PORT]]/DATABASE, then perhaps ?sslmode=${SSL_MODES.join("|")} and &sslrootcert=FILE`;

const DEFAULT_PORT = 5432;
const MAX_PORT = 65_535;
const HOST = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i;
// `URL` knows no list of hosts.
const ADDRESS = /^postgres(?:ql)?:\/\/([^@/?#:]+)@([^@/?#]+)\/([^@/?#]+)(?:\?([^#]*))?$/;

/** Which store JOURNAL means. An address that breaks its rule means PostgreSQL, too. */
export function storeOf(journal: string): "memory" | "file" | "postgres" {
  if (journal === "memory") return "memory";
  return /^postgres(?:ql)?:/.test(journal) ? "postgres" : "file";
}

/** Whether an address has a password in it, where a user or a parameter says so. */
export function hasPassword(text: string): boolean {
  return /^\w+:\/\/[^@]*:.*@/.test(text) || /[?&](?:ssl)?password=/i.test(text);
}

/** Reads a journal's address; undefined where it breaks `ADDRESS_RULE`. */
export function parseAddress(text: string): PostgresAddress | undefined {
  const [, user, hostList, database, query = ""] = ADDRESS.exec(text) ?? [];
  if (user === undefined || hostList === undefined || database === undefined) return undefined;
  const hosts = hostList.split(",").map(parseHost);
  const parameters = new URLSearchParams(query);
  const { sslmode = "disable", sslrootcert, ...unknown } = Object.fromEntries(parameters);
  const isTwice = parameters.size > new Set(parameters.keys()).size;
  if (!hosts.every((host) => host !== undefined) || isTwice || Object.keys(unknown).length > 0 || !isSslMode(sslmode)) return undefined;
  // In the other modes nothing would look at it.
  if (sslrootcert !== undefined && (!sslmode.startsWith("verify-") || sslrootcert === "")) return undefined;
  try {
    const names = { user: decodeURIComponent(user), database: decodeURIComponent(database) };
    return Object.freeze({ hosts, ...names, sslmode, ...(sslrootcert !== undefined && { sslrootcert }) });
  } catch {
    return undefined;
  }
}

function parseHost(text: string): PostgresHost | undefined {
  const [, ipv6, name, digits] = HOST.exec(text) ?? [];
  const host = ipv6 ?? name;
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  return host === undefined || port < 1 || port > MAX_PORT ? undefined : { host, port };
}

function isSslMode(text: string): text is SslMode {
  return (SSL_MODES as readonly string[]).includes(text);
}

/** A server, and as whom and how to speak to it. */
export type Target = Pick<ClientConfig, "host" | "port" | "database" | "user" | "ssl" | "password">;

/**
 * The servers of an address, for `pg`, which knows one host. `password` is asked at each connection, so that a new one needs no restart.
 * Throws `JournalUnavailable` where `sslrootcert` cannot be read.
 */
export function targetsOf(
  { hosts, user, database, sslmode, sslrootcert }: PostgresAddress,
  password?: () => Promise<string>,
): readonly Target[] {
  const ssl = sslOf(sslmode, sslrootcert);
  return hosts.map(({ host, port }) => ({ host, port, user, database, ssl, ...(password !== undefined && { password }) }));
}

function sslOf(mode: SslMode, rootCertificate: string | undefined): ClientConfig["ssl"] {
  if (mode === "disable") return false;
  if (mode === "require") return { rejectUnauthorized: false };
  return {
    rejectUnauthorized: true,
    ...(rootCertificate !== undefined && { ca: readCertificates(rootCertificate) }),
    ...(mode === "verify-ca" && { checkServerIdentity: () => undefined }),
  };
}

function readCertificates(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new JournalUnavailable(`its sslrootcert cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
