import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Requests } from "../requests.ts";
import type { Clients } from "./clients.ts";
import type { Closing } from "./closing.ts";
import { Receiver, SECRET_LINE } from "./receiver.ts";
import type { Sights } from "./sights.ts";
import { type Violation, World } from "./world.ts";

/** What every campaign has, whatever it disturbs. */
export interface Ground {
  readonly directory: string;
  readonly world: World;
  readonly receiver: Receiver;
  readonly requests: Requests;
  /** With which a service calls this receiver. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A campaign that is about to begin: its services are up. */
export interface Prepared<Further> {
  readonly clients: Clients;
  readonly closing: Closing;
  /** All that goes wrong. Resolves once `isOver` says so, or before. */
  disturb(isOver: () => boolean): Promise<unknown>;
  isOver(): boolean;
  /** What is told now and then, beside how many orders there have been. */
  progress(): string;
  /** Has the services drain by SIGTERM; gives those that did not end well, as text. */
  stop(): Promise<string[]>;
  /** What the result has beside that of every campaign. */
  further(): Further;
}

export interface CampaignSettings {
  readonly seed: number;
  /** Requests at one time. */
  readonly clients: number;
  /** Ends it as if all had been done. */
  readonly stop?: AbortSignal;
  readonly say: (text: string) => void;
}

export interface CampaignRun<Further> extends CampaignSettings {
  readonly name: string;
  /** Starts providers and services. Whatever is put on the stack is closed when the campaign ends. */
  prepare(ground: Ground, stack: AsyncDisposableStack): Promise<Prepared<Further>>;
}

export interface CampaignResult {
  readonly seed: number;
  readonly orders: number;
  readonly requests: number;
  /** How long things went wrong. */
  readonly seconds: number;
  readonly sights: Sights;
  readonly violations: readonly Violation[];
  /** All that was written down of an order. */
  readonly historyOf: (order: string) => string[];
  /** Where journal and logs are, until `remove`. */
  readonly directory: string;
  readonly remove: () => void;
}

const SAY_EVERY_MS = 5_000;
const LOOK_EVERY_MS = 50;

/** Places orders while things go wrong, and judges the services afterwards by what everybody else knows. */
export async function runCampaign<Further>(run: CampaignRun<Further>): Promise<CampaignResult & Further> {
  const { name, seed, say } = run;
  const directory = mkdtempSync(join(tmpdir(), `campaign-${name}-`));
  const secretFile = join(directory, "secret");
  writeFileSync(secretFile, SECRET_LINE, { mode: 0o600 });
  await using stack = new AsyncDisposableStack();
  const world = new World(seed, directory);
  stack.defer(() => world.diary.flush());
  const receiver = stack.adopt(await Receiver.start(world), (one) => one.close());
  const requests = stack.adopt(new Requests(), (all) => all.close());
  const settings = { WEBHOOK_URL: receiver.url, WEBHOOK_SECRET_FILE: secretFile };
  const prepared = await run.prepare({ directory, world, receiver, requests, settings }, stack);
  const { clients, closing } = prepared;

  let over = false;
  const tell = () =>
    say(`${(world.nowMs / 1_000).toFixed(0)} s: ${world.orders.size} orders, ${clients.sent} requests${prepared.progress()}`);
  const timer = setInterval(tell, SAY_EVERY_MS);
  stack.defer(() => {
    over = true;
    clearInterval(timer);
  });
  const working = Promise.all([clients.run(run.clients, () => over), prepared.disturb(() => over)]);
  while (!over) {
    over = prepared.isOver();
    await Promise.race([pause(LOOK_EVERY_MS), working]);
  }
  await working;
  tell();
  const seconds = world.nowMs / 1_000;
  world.calm = true;
  if (world.violations.length === 0) await closing.run();
  if (world.violations.length === 0) for (const text of await prepared.stop()) world.violation(text);
  return {
    ...prepared.further(),
    seed,
    orders: world.orders.size,
    requests: clients.sent,
    seconds,
    sights: world.sights,
    violations: world.violations,
    historyOf: (order) => world.diary.historyOf(order),
    directory,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
