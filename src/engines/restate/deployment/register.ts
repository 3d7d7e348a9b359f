import { runCommand } from "./command-line.ts";

const USAGE = `Makes this service known to the engine: from then on it sends orders to the endpoint at --url, which is a node's own
(RESTATE_ENDPOINT_HOST:RESTATE_ENDPOINT_PORT) or, with several nodes, that of the HTTP/2 balancer in front of them. Once for an address;
nodes that come and go behind a balancer need nothing. Each version of the code needs an address of its own: see engine:upgrade.

usage: npm run engine:register -- --url URL [options]

  --url URL    where the engine reaches the service
  --admin URL  the engine's admin address (default: RESTATE_ADMIN_URL)
  --force      the address is known and has other code now: orders under way go on with that. For development.
`;

await runCommand(USAGE, async ({ url, force }, engine) => {
  const { id } = await engine.register(url, force);
  process.stdout.write(`registered ${url} as ${id}\n`);
});
