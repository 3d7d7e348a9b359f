import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildFailingDisk, FailingDisk, WITHOUT_FAILING_DISK } from "../../test/support/failing-disk.ts";
import { Admin } from "./admin.ts";
import { Clients } from "./clients.ts";
import { Closing } from "./closing.ts";
import { Disruptor } from "./disruptor.ts";
import { Operators } from "./operators.ts";
import { Providers } from "./providers.ts";
import { Receiver, SECRET_LINE } from "./receiver.ts";
import { Requests } from "./requests.ts";
import { Restores } from "./restores.ts";
import { scheduleOf } from "./schedule.ts";
import { Service } from "./service.ts";
import type { Sight, Sights } from "./sights.ts";
import { type Violation, World } from "./world.ts";

export interface CampaignOptions {
  readonly seed: number;
  /** How long things go wrong, at least. */
  readonly runMs: number;
  /** How long they may go on until every sight has been seen. */
  readonly limitMs: number;
  /** Things go wrong until that many orders have been asked for, if that is earlier than `runMs`. */
  readonly orders?: number;
  /** Requests at one time. */
  readonly clients: number;
  /** Rounds of the schedule that have everything once, and are short. */
  readonly brief: boolean;
  /** Between two disruptions, in the mean. */
  readonly pauseMs: number;
  /** Ends it as if the time were over. */
  readonly stop?: AbortSignal;
  readonly say: (text: string) => void;
}

export interface CampaignResult {
  readonly orders: number;
  readonly requests: number;
  /** How long things went wrong. */
  readonly disruptedMs: number;
  readonly sights: Sights;
  /** Without these the result means little. */
  readonly missing: readonly Sight[];
  readonly violations: readonly Violation[];
  /** All that was written down of an order. */
  readonly historyOf: (order: string) => string[];
  /** Where journal and logs are, until `remove`. */
  readonly directory: string;
  readonly remove: () => void;
}

const CLOCK = fileURLToPath(new URL("shifted-clock.js", import.meta.url));
const SAY_EVERY_MS = 5_000;
const LOOK_EVERY_MS = 50;
const ORDER_TIMEOUT_MS = "700";

/** Disturbs the service in every way while clients place orders, and judges it afterwards by what everybody else knows. */
export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, say } = options;
  const directory = mkdtempSync(join(tmpdir(), "campaign-ledger-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const backupDirectory = join(directory, "backups");
  const [journal, clockFile, secretFile] = ["orders.db", "clock", "secret"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(backupDirectory);
  writeFileSync(clockFile, "0");
  writeFileSync(secretFile, SECRET_LINE, { mode: 0o600 });
  const disk = WITHOUT_FAILING_DISK === undefined ? new FailingDisk(buildFailingDisk(directory), join(directory, "disk")) : undefined;

  const world = new World(seed, directory);
  const { sights } = world;
  const providers = await Providers.start(world);
  const receiver = await Receiver.start(world);
  const service = new Service({
    directory,
    settings: {
      ...providers.settings,
      ...disk?.settings,
      NODE_OPTIONS: `--import ${CLOCK}`,
      CLOCK_FILE: clockFile,
      JOURNAL: journal,
      BACKUP_DIR: backupDirectory,
      WEBHOOK_URL: receiver.url,
      WEBHOOK_SECRET_FILE: secretFile,
      ORDER_TIMEOUT_MS,
      COMPENSATION_TIMEOUT_MS: "800",
      SHUTDOWN_TIMEOUT_MS: "3000",
      COURIER_CAPACITY: "128",
      THREADS: "2",
      CPU_THREADS: "1",
    },
    onOwnEnd: (exit, lastLines) => world.violation(`the service ended by itself with ${JSON.stringify(exit)}: ${lastLines}`),
  });
  const requests = new Requests();
  const admin = new Admin(service, requests);
  const operators = new Operators(world, admin, providers);
  const clients = new Clients(world, service, requests);
  const restores = new Restores({ world, service, admin, operators, providers, clients, journal, backupDirectory });
  const disruptor = new Disruptor({ world, service, providers, receiver, restores, disk, journal, clockFile, say });
  const closing = new Closing({ world, service, requests, admin, clients, operators, providers, restores, say });

  let isOver = false;
  const seconds = () => (world.nowMs / 1_000).toFixed(0);
  const tell = () => {
    const unseen = isOver || sights.missing.length === 0 ? "" : `; not yet seen: ${sights.missing.join(", ")}`;
    say(`${seconds()} s: ${world.orders.size} orders, ${clients.sent} requests, ${service.generation} starts${unseen}`);
  };
  const timer = setInterval(tell, SAY_EVERY_MS);
  try {
    if (disk === undefined) for (const sight of ["full disk", "failed sync"] as const) sights.leaveOut(sight);
    await service.start();

    const isEnough = () => world.nowMs >= options.runMs || world.orders.size >= (options.orders ?? Number.POSITIVE_INFINITY);
    const over = () => isOver;
    const disruptions = disruptor.run(scheduleOf(seed, options), over);
    const working = Promise.all([clients.run(options.clients, over), operators.run(over), disruptions]);
    while (!isOver) {
      sights.set("call after its undo", providers.counts.tooLate);
      const mustEnd = world.violations.length > 0 || options.stop?.aborted === true || world.nowMs >= options.limitMs;
      isOver = mustEnd || (isEnough() && sights.missing.length === 0);
      await Promise.race([pause(LOOK_EVERY_MS), working]);
    }
    await working;
    const disruptedMs = world.nowMs;
    tell();
    disruptor.bringTimeForward();
    world.calm = true;
    if (world.violations.length === 0) await closing.run();
    service.signal("SIGTERM");
    const exit = await service.ended();
    if (world.violations.length === 0 && exit?.code !== 0) world.violation(`after SIGTERM the service ended with ${JSON.stringify(exit)}`);
    const { missing } = sights;
    const historyOf = (order: string) => world.diary.historyOf(order);
    const { size } = world.orders;
    return {
      orders: size,
      requests: clients.sent,
      disruptedMs,
      sights,
      missing,
      violations: world.violations,
      historyOf,
      directory,
      remove,
    };
  } finally {
    isOver = true;
    clearInterval(timer);
    service.signal("SIGKILL");
    await service.ended();
    world.diary.flush();
    requests.close();
    receiver.close();
    await providers.close();
  }
}
