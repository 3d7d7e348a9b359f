import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Logger } from "pino";
import { readAccess } from "./composition/access.ts";
import { openJournal } from "./composition/journal.ts";
import { openAdminListener, openPublicListener } from "./composition/listeners.ts";
import { Observers } from "./composition/observers.ts";
import { Orders } from "./composition/orders.ts";
import type { Service, StartOptions } from "./composition/service.ts";
import { prepareSteps, providerUrlsOf } from "./composition/steps.ts";
import { startStepThreads } from "./composition/threads.ts";
import { type Config, ConfigError } from "./config.ts";
import type { Readiness } from "./http/health-routes.ts";
import { readProviderKeys } from "./provider-keys.ts";
import { readWebhookSecrets } from "./webhooks/secret.ts";

export type { Service, StartOptions } from "./composition/service.ts";

/** Puts the pieces together, with the parts in `composition/`: observers, then journal and threads, then orders, then listeners. */
export async function start(config: Config, log: Logger, options: StartOptions): Promise<Service> {
  // Whatever was started is stopped in reverse order: at the end, or when a later piece cannot be started.
  await using starting = new AsyncDisposableStack();
  const observers = await Observers.start(config, log);
  starting.defer(() => observers.close());
  const access = await readAccess(config, observers);
  const webhookSecrets = config.WEBHOOK_SECRET_FILE === undefined ? [] : await readWebhookSecrets(config.WEBHOOK_SECRET_FILE);
  const providerKeys = await readProviderKeys(config);
  const backupDirectory = config.BACKUP_DIR === undefined ? undefined : await existingDirectory("BACKUP_DIR", config.BACKUP_DIR);

  options.onPhase?.(`opening the journal ${config.JOURNAL}`);
  const opening = openJournal(config, observers, options.onFatal);
  starting.defer(() => opening.then((opened) => opened.close(), ignore));
  // At the same time as the journal, whose thread takes as long to start.
  const stickBegun = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const settings = { stickBegun, providerUrls: providerUrlsOf(config), providerKeys };
  const startingThreads = startStepThreads(config, observers, options, settings);
  starting.defer(() => startingThreads.then((started) => started.close(), ignore));
  opening.then(() => options.onPhase?.("starting the step threads"), ignore);
  const [journal, threads] = await Promise.all([opening, startingThreads]);

  const steps = await prepareSteps(config, observers, journal, threads, options.providerHealth);
  starting.defer(steps.close);
  const orders = new Orders(config, observers, journal, threads, steps, webhookSecrets);
  starting.defer(() => orders.close());

  let state: Readiness = "starting";
  const readiness = () => (state === "ready" && !journal.healthy ? "journal_unavailable" : state);
  const served = { config, observers, journal, threads, steps, orders, access, readiness, counts: [] };
  const publicListener = await openPublicListener(served, options.rateClock);
  starting.defer(() => publicListener.close());
  const { listener: adminListener, live } = await openAdminListener(served, publicListener, stickBegun, backupDirectory);
  starting.defer(() => adminListener.close());
  // Closed before the admin listener, which waits for answers that are under way.
  starting.defer(() => live.close());
  starting.defer(() => observers.traces.close());

  options.onPhase?.("closing the orders that the last run left open");
  observers.live.interrupted = await orders.start();
  state = "ready";
  const { orderService, compensator, admission } = orders;
  const hurry = new AbortController();
  const cancelAll = () => {
    orderService.cancelAll("shutdown");
    journal.cluster?.hurry();
    hurry.abort();
  };
  const parts = starting.move();
  return {
    publicListener,
    adminListener,
    orderService,
    threads,
    journal,
    compensator,
    admission,
    traces: observers.traces,
    capacities: steps.capacities,
    cancelAll,
    ...(access.reload !== undefined && { reloadKeys: access.reload }),
    async stop() {
      // The listener stays open while orders end: a balancer reads 503 from `readyz`, and late clients a clear answer.
      state = "draining";
      const timer = setTimeout(cancelAll, config.SHUTDOWN_TIMEOUT_MS);
      await Promise.all([orderService.drain(), publicListener.endConnections(hurry.signal)]);
      clearTimeout(timer);
      // What is done again and again may be waiting for it.
      journal.cluster?.hurry();
      await parts.disposeAsync();
    },
  };
}

/** The absolute path of a directory. Throws `ConfigError` where there is none, so that the start fails and not the first backup. */
async function existingDirectory(name: string, path: string): Promise<string> {
  const found = await stat(path).catch(ignore);
  if (found?.isDirectory() !== true) throw new ConfigError(`${name}=${JSON.stringify(path)}: must be a directory that exists`);
  return resolve(path);
}

/** What could not be started has nothing to stop; whoever waits for it learns why. */
function ignore(): void {}
