import { runCommand } from "./command-line.ts";

const USAGE = `Tells the engine where the service is. From then on the engine sends orders to --url: the endpoint of a node
(RESTATE_ENDPOINT_HOST:RESTATE_ENDPOINT_PORT) or, with several nodes, the HTTP/2 balancer in front of them. The nodes must be up.
Do this once for each address; nodes that come and go behind a balancer need nothing. A new version of the code needs a new address:
see npm run engine:upgrade.

usage: npm run engine:register -- --url URL [options]

  --url URL    where the engine reaches the service
  --admin URL  the engine's admin address (default: RESTATE_ADMIN_URL)
  --force      for development: the code at a known address has changed, and orders under way go on with the new code
`;

await runCommand(USAGE, async ({ url, force }, engine) => {
  const { id } = await engine.register(url, { force });
  process.stdout.write(`registered ${url} as ${id}\n`);
});
