import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildFailingDisk, FailingDisk, WITHOUT_FAILING_DISK } from "../../test/support/failing-disk.ts";
import { Admin } from "./admin.ts";
import { Clients } from "./clients.ts";
import { Closing } from "./closing.ts";
import { Disruptor } from "./disruptor.ts";
import { Operators } from "./operators.ts";
import { Providers } from "./providers.ts";
import { Restores } from "./restores.ts";
import { type CampaignResult, type CampaignSettings, type Ground, runCampaign } from "./run-campaign.ts";
import { scheduleOf } from "./schedule.ts";
import { Service } from "./service.ts";
import type { Sight } from "./sights.ts";

export interface CampaignOptions extends CampaignSettings {
  /** How long things go wrong, at least. */
  readonly runMs: number;
  /** How long they may go on until every sight has been seen. */
  readonly limitMs: number;
  /** Things go wrong until that many orders have been asked for, if that is earlier than `runMs`. */
  readonly orders?: number;
  /** Rounds of the schedule that have everything once, and are short. */
  readonly brief: boolean;
  /** Between two disruptions, in the mean. */
  readonly pauseMs: number;
}

/** `missing`: without these the result means little. */
export type LedgerResult = CampaignResult & { readonly missing: readonly Sight[] };

const CLOCK = fileURLToPath(new URL("shifted-clock.js", import.meta.url));

/** Disturbs the service in every way while clients place orders, and judges it afterwards by what everybody else knows. */
export async function campaign(options: CampaignOptions): Promise<LedgerResult> {
  return await runCampaign({ name: "ledger", ...options, prepare: (ground, stack) => prepare(options, ground, stack) });
}

async function prepare(options: CampaignOptions, { directory, world, receiver, requests, settings }: Ground, stack: AsyncDisposableStack) {
  const { seed, say, stop, limitMs, runMs, orders: enough = Number.POSITIVE_INFINITY } = options;
  const { sights, orders } = world;
  const backupDirectory = join(directory, "backups");
  const [journal, clockFile] = [join(directory, "orders.db"), join(directory, "clock")];
  mkdirSync(backupDirectory);
  writeFileSync(clockFile, "0");
  const disk = WITHOUT_FAILING_DISK === undefined ? new FailingDisk(buildFailingDisk(directory), join(directory, "disk")) : undefined;
  if (disk === undefined) for (const sight of ["full disk", "failed sync"] as const) sights.leaveOut(sight);

  const providers = stack.adopt(await Providers.start(world), (all) => all.close());
  const service = new Service({
    directory,
    settings: {
      ...settings,
      ...providers.settings,
      ...disk?.settings,
      NODE_OPTIONS: `--import ${CLOCK}`,
      CLOCK_FILE: clockFile,
      JOURNAL: journal,
      BACKUP_DIR: backupDirectory,
      ORDER_TIMEOUT_MS: "700",
      COMPENSATION_TIMEOUT_MS: "800",
      SHUTDOWN_TIMEOUT_MS: "3000",
      COURIER_CAPACITY: "128",
      THREADS: "2",
      CPU_THREADS: "1",
    },
    onOwnEnd: (exit, lastLines) => world.violation(`the service ended by itself with ${JSON.stringify(exit)}: ${lastLines}`),
  });
  stack.defer(async () => {
    service.signal("SIGKILL");
    await service.ended();
  });
  const admin = new Admin(service, requests);
  const operators = new Operators(world, admin, providers);
  const clients = new Clients(world, service, requests);
  const restores = new Restores({ world, service, admin, operators, providers, clients, journal, backupDirectory });
  const disruptor = new Disruptor({ world, service, providers, receiver, restores, disk, journal, clockFile, say });
  await service.start();
  return {
    clients,
    closing: new Closing({ world, service, requests, admin, clients, operators, providers, restores, say }),
    async disturb(isOver: () => boolean) {
      await Promise.all([operators.run(isOver), disruptor.run(scheduleOf(seed, options), isOver)]);
      disruptor.bringTimeForward();
    },
    isOver() {
      sights.set("call after its undo", providers.counts.tooLate);
      if (world.violations.length > 0 || stop?.aborted === true || world.nowMs >= limitMs) return true;
      return sights.missing.length === 0 && (world.nowMs >= runMs || orders.size >= enough);
    },
    progress: () => `, ${service.generation} starts${sights.missing.length === 0 ? "" : `; not yet seen: ${sights.missing.join(", ")}`}`,
    async stop() {
      service.signal("SIGTERM");
      const exit = await service.ended();
      return exit?.code === 0 ? [] : [`after SIGTERM the service ended with ${JSON.stringify(exit)}`];
    },
    further: () => ({ missing: sights.missing }),
  };
}
