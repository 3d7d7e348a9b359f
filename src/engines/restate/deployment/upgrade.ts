import { setTimeout as pause } from "node:timers/promises";
import { runCommand } from "./command-line.ts";

const USAGE = `Brings the engine to a new version of the service while orders run. Start the nodes of the new version first, beside the old ones,
at an address of their own. This command registers that address, so that new orders go there. It waits until every order that began on
an older version has ended, and removes the older versions from the engine. Their nodes may be stopped then, not before. The command
can be interrupted and run again. Exit code 1: it failed, or orders are still under way on an older version.

usage: npm run engine:upgrade -- --url URL [options]

  --url URL      where the engine reaches the new version
  --admin URL    the engine's admin address (default: RESTATE_ADMIN_URL)
  --timeout-s N  how long to wait for orders on older versions (default: 600)
  --keep         leave the older versions registered, and only say when nothing runs on them any more
`;

const LOOK_EVERY_MS = 500;
// What was sent to the old version at the moment of the change may not be in the tables yet.
const SETTLE_MS = 1_000;

await runCommand(USAGE, async ({ url, timeoutMs, keep }, engine) => {
  const before = await engine.deployments();
  const current = await engine.register(url);
  process.stdout.write(`new orders go to ${url} (${current.id})\n`);
  await pause(SETTLE_MS);
  const end = performance.now() + timeoutMs;
  for (const { id, url: oldUrl } of before.filter((old) => old.id !== current.id)) {
    let last = -1;
    for (;;) {
      const left = await engine.invocationsUnderWay(id);
      if (left === 0) break;
      if (left !== last) process.stdout.write(`${oldUrl}: ${left} under way\n`);
      last = left;
      if (performance.now() > end) throw new Error(`${oldUrl}: ${left} are still under way; its nodes have to stay up. Run this again.`);
      await pause(LOOK_EVERY_MS);
    }
    if (!keep) await engine.remove(id);
    process.stdout.write(`${oldUrl}: nothing is under way${keep ? "" : ", removed"}; its nodes may be stopped\n`);
  }
});
