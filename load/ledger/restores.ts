import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { STEPS } from "../../src/orders/steps.ts";
import { randomFrom } from "../stand-in/random.ts";
import type { Admin, ShownRow } from "./admin.ts";
import type { Clients } from "./clients.ts";
import type { KnownOrder } from "./known-order.ts";
import type { Operators } from "./operators.ts";
import type { Providers } from "./providers.ts";
import type { Service } from "./service.ts";
import type { World } from "./world.ts";

const LOOK_EVERY_MS = 20;
// A connection that nobody has taken yet counts as none.
const LOOKS = 3;
const BY_ORDER = 5;
// Of the orders whose client was told that they are placed, and which the backup has as running.
const STANDS = 0.5;

interface Backup {
  readonly file: string;
  /** It holds everything from before that, and perhaps some of what came after. */
  readonly sinceMs: number;
}

export interface RestoreParts {
  readonly world: World;
  readonly service: Service;
  readonly admin: Admin;
  readonly operators: Operators;
  readonly providers: Providers;
  readonly clients: Clients;
  readonly journal: string;
  readonly backupDirectory: string;
}

/** Makes backups under load, replaces the journal by one of them, and gives the word that lets it go on. */
export class Restores {
  readonly #parts: RestoreParts;
  readonly #random: () => number;
  #backups: Backup[] = [];
  #names = 0;
  #isHeld = false;

  constructor(parts: RestoreParts) {
    this.#parts = parts;
    this.#random = randomFrom(`${parts.world.seed} restores`);
  }

  async backUp(): Promise<void> {
    const { world, admin, backupDirectory } = this.#parts;
    const name = `backup-${++this.#names}.db`;
    const sinceMs = world.nowMs;
    const made = admin.post("/backup", { name });
    world.moments.is("backing up");
    const { status, text } = await made;
    world.note(`backup ${name}: ${status} ${text}`);
    if (status !== 200) return;
    world.sights.saw("backup");
    this.#backups.push({ file: join(backupDirectory, name), sinceMs });
    // They are as large as the journal.
    for (const { file } of this.#backups.splice(0, this.#backups.length - 2)) rmSync(file, { force: true });
  }

  /** Ends the service and starts it on a backup, the latest or the one before. Does nothing where there is none. */
  async restore(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { world, service, journal } = this.#parts;
    const backup = this.#backups.at(this.#random() < 0.7 ? -1 : 0);
    if (backup === undefined) return;
    // Those made since are of a time that is taken back.
    this.#backups = this.#backups.slice(0, this.#backups.indexOf(backup) + 1);
    service.signal(signal);
    await service.ended();
    await this.#lastWords();
    for (const suffix of ["-wal", "-shm"]) rmSync(`${journal}${suffix}`, { force: true });
    copyFileSync(backup.file, journal);
    world.note(`the journal is ${backup.file} again, which is of ${(backup.sinceMs / 1_000).toFixed(3)} or soon after`);
    world.restores++;
    for (const order of world.orders) order.rewind(backup.sinceMs, world.restores);
    this.#isHeld = true;
    await service.start();
    world.sights.saw("restore");
  }

  /** Resolves when all that the ended process had sent has been read: it belongs to the time before the restore. */
  async #lastWords(): Promise<void> {
    const { clients, providers } = this.#parts;
    for (let quiet = 0; quiet < LOOKS; quiet++) {
      await pause(LOOK_EVERY_MS);
      if (clients.inFlight + providers.openConnections > 0) quiet = -1;
    }
  }

  /** Lets some orders go on, one by one. */
  async confirmSome(): Promise<void> {
    const held = await this.#settleWhatStands();
    const ids = [...new Set(held.map(({ order_id }) => order_id))];
    for (const id of ids.slice(0, BY_ORDER)) await this.#confirm(id);
  }

  /** Lets everything go on. Rejects when the service goes down meanwhile; then it is to be called again. */
  async confirmAll(): Promise<void> {
    if (!this.#isHeld) return;
    await this.#settleWhatStands();
    await this.#confirm(undefined);
    this.#isHeld = false;
  }

  async #confirm(id: string | undefined): Promise<void> {
    const { world, admin } = this.#parts;
    const orders = id === undefined ? [...world.orders] : [world.orders.get(id) as KnownOrder];
    // From the moment on at which the word is sent: it may be heard before its answer is here.
    const heldSince = orders.map((order) => order.heldSince);
    for (const order of orders) order.heldSince = 0;
    const { status, text } = await admin.post("/restore/confirm", id === undefined ? {} : { order_id: id });
    world.diary.note(world.nowMs, id, `confirm ${id ?? "all"}: ${status} ${text}`);
    if (status === 200) {
      for (const order of orders) order.heldUntilMs = world.nowMs;
      world.sights.saw(id === undefined ? "confirmed all" : "confirmed by order");
      return;
    }
    for (const [index, order] of orders.entries()) order.heldSince = heldSince[index] ?? 0;
    throw new Error(`POST /restore/confirm: ${status} ${text}`);
  }

  /** What operators know: what they undid by hand before the restore, and orders that were placed. Gives the rows that stay held. */
  async #settleWhatStands(): Promise<ShownRow[]> {
    const { world, admin, operators } = this.#parts;
    const held: ShownRow[] = [];
    for (const { order_id, attempt, was } of await admin.held())
      if (was === "running") world.orders.get(order_id)?.closedByRestore.add(attempt);
    for (const row of await admin.rows("held")) {
      const order = world.orders.get(row.order_id);
      const hand = order?.hand(row.attempt, row.step) ?? (order !== undefined && this.#isLeft(order, row.attempt) ? "stands" : undefined);
      if (hand === undefined) held.push(row);
      // Whoever gives the word before that is heard has it undone once more.
      else if (!(await operators.settle(row, hand))) throw new Error(`settling ${row.id} was not answered`);
    }
    return held;
  }

  /** Whether an operator leaves an attempt as it is: all its effects stand, and it is not one of those that are undone all the same. */
  #isLeft(order: KnownOrder, attempt: number): boolean {
    const { providers, world } = this.#parts;
    const stands = STEPS.every((step) => {
      const entry = providers.effects(step, `${order.id}:${attempt}:${step}`);
      return entry !== undefined && entry.acted.length > 0 && entry.tombstoneAt === undefined;
    });
    return stands && randomFrom(`${world.seed} ${order.id}:${attempt}`)() < STANDS;
  }
}
