/**
 * Real PostgreSQL servers for tests, on 127.0.0.1, from npm's binaries (18) or from Debian's (`apt-get install postgresql`).
 *
 * Nearly every test wants an empty database on the one server that a run of Vitest shares. The first test that asks starts it:
 *
 *     await using database = await freshDatabase();          // or freshDatabase("debian")
 *     const client = new Client({ connectionString: database.url });
 *
 * A test that stops, kills, replicates or sets up the server itself starts its own (a third of a second):
 *
 *     await using server = await startPostgres({ version: "debian", settings: { max_connections: "20" } });
 *     await server.kill();                                   // SIGKILL; then:
 *     await server.start();                                  // on the same port and data
 *
 *     await using standby = await startStandby(server);      // synchronous, of Debian's
 *     await server.kill();
 *     await standby.promote();                               // standby.url takes writes from now on
 *
 * `WITHOUT_DEBIAN_POSTGRES` says why there is no Debian server, so no standby either; undefined where there is. For cuts between a node and its
 * server: `test/support/tcp-proxy.ts`.
 *
 * All of them run as `nobody` where the tests run as root. Text sorts as in en-US, as it does on most servers: a statement that needs the order
 * of bytes has to say so. Servers are copies of one template, so they have the same system identifier (but for `ownIdentity`).
 */
export { type PostgresVersion, WITHOUT_DEBIAN_POSTGRES } from "./binaries.ts";
export { type PostgresOptions, PostgresServer, startPostgres } from "./server.ts";
export { type FreshDatabase, freshDatabase } from "./shared.ts";
export { type StandbyOptions, startStandby } from "./standby.ts";
