import { type AddressInfo, createServer } from "node:net";
import type { TestProject } from "vitest/node";
import type { PostgresVersion } from "./binaries.ts";
import { type PostgresServer, startPostgres } from "./server.ts";
import type { SharedServer } from "./shared.ts";

/**
 * For Vitest, in the run's own process: the servers that all tests share. A server is started when a test asks for it, so a run that needs none
 * starts none, and stopped after the last test.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const servers = new Map<PostgresVersion, Promise<PostgresServer>>();
  const tell = (version: PostgresVersion): Promise<SharedServer> => {
    const server = servers.get(version) ?? startPostgres({ version });
    servers.set(version, server);
    return server.then(
      ({ url }) => ({ url }),
      (error) => ({ error: String(error) }),
    );
  };
  const listener = createServer((connection) => {
    // A test's process that ends while it waits.
    connection.on("error", () => {});
    connection.once("data", async (version) => connection.end(JSON.stringify(await tell(version.toString() as PostgresVersion))));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  project.provide("sharedPostgresPort", (listener.address() as AddressInfo).port);
  return async () => {
    listener.close();
    const started = await Promise.allSettled(servers.values());
    await Promise.all(started.map(async (server) => server.status === "fulfilled" && (await server.value[Symbol.asyncDispose]())));
  };
}
