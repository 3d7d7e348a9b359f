import { readFileSync } from "node:fs";
import type { ClientConfig } from "pg";
import type { PostgresAddress, SslMode } from "./address.ts";

/** A server, and as whom and how to speak to it. */
export type Target = Pick<ClientConfig, "host" | "port" | "database" | "user" | "ssl" | "password">;

/** The servers of an address, for `pg`, which knows one host. `password` is asked at each connection, so that a new one needs no restart. */
export function targetsOf({ hosts, user, database, sslmode, sslrootcert }: PostgresAddress, password?: () => string): readonly Target[] {
  const ssl = sslOf(sslmode, sslrootcert);
  return hosts.map(({ host, port }) => ({ host, port, user, database, ssl, ...(password !== undefined && { password }) }));
}

function sslOf(mode: SslMode, rootCertificate: string | undefined): ClientConfig["ssl"] {
  if (mode === "disable") return false;
  if (mode === "require") return { rejectUnauthorized: false };
  return {
    rejectUnauthorized: true,
    ...(rootCertificate !== undefined && { ca: readFileSync(rootCertificate) }),
    ...(mode === "verify-ca" && { checkServerIdentity: () => undefined }),
  };
}
