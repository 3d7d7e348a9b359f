import { watch, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { DiskFault, FailingDisk } from "../../test/support/failing-disk.ts";
import { lockJournal } from "./journal-lock.ts";
import type { Moment } from "./moments.ts";
import type { Providers } from "./providers.ts";
import type { Receiver } from "./receiver.ts";
import type { Restores } from "./restores.ts";
import { type Disruption, describe, type Planned } from "./schedule.ts";
import type { Service } from "./service.ts";
import type { World } from "./world.ts";

// A moment that does not come: the process is killed all the same.
const MOMENT_LIMIT_MS = 1_500;
const FATAL_LIMIT_MS = 3_000;
// Between two tries of an event, which no operator can have tried now.
const LONGEST_PAUSE_MS = 11 * 60_000;
// A drain that takes longer is a fault of the service.
const DRAIN_LIMIT_MS = 20_000;

export interface DisruptorParts {
  readonly world: World;
  readonly service: Service;
  readonly providers: Providers;
  readonly receiver: Receiver;
  readonly restores: Restores;
  /** Absent where none can be had. */
  readonly disk?: FailingDisk | undefined;
  readonly journal: string;
  readonly clockFile: string;
  /** Tells what is being done. */
  readonly say: (text: string) => void;
}

/** Does to the service what a schedule says, one thing after another. After each of them the service is up, or coming up. */
export class Disruptor {
  readonly #parts: DisruptorParts;
  readonly #later = new Set<Promise<void>>();
  #aheadMs = 0;
  #mostAheadMs = 0;

  constructor(parts: DisruptorParts) {
    this.#parts = parts;
  }

  /** Goes on until `isOver` says so. */
  async run(schedule: Iterator<Planned, never>, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const planned = schedule.next().value;
      await pause(planned.pauseMs);
      if (isOver()) break;
      const text = describe(planned);
      this.#parts.say(text);
      this.#parts.world.note(text);
      await this.#do(planned);
    }
    await Promise.all(this.#later);
  }

  /** The clock goes on behind everything that was ever dated, so that nothing has to be waited for. */
  bringTimeForward(): void {
    this.#setClock(this.#mostAheadMs + LONGEST_PAUSE_MS);
  }

  #setClock(aheadMs: number): void {
    const { world, clockFile } = this.#parts;
    this.#mostAheadMs = Math.max(this.#mostAheadMs, aheadMs);
    if (aheadMs !== this.#aheadMs) world.sights.saw(aheadMs > this.#aheadMs ? "clock set forward" : "clock set back");
    this.#aheadMs = aheadMs;
    writeFileSync(clockFile, String(aheadMs));
  }

  async #do(disruption: Disruption): Promise<void> {
    const { world, service, providers, receiver, restores, disk, journal } = this.#parts;
    switch (disruption.kind) {
      case "kill":
        service.signal("SIGKILL");
        world.sights.saw("SIGKILL at random");
        return this.#restart();
      case "kill at":
        return this.#killAt(disruption.moment, disruption.count);
      case "terminate":
        return this.#terminate();
      case "lock journal":
        if (await lockJournal(journal, disruption.ms)) world.sights.saw("locked journal");
        return;
      case "full disk":
        if (disk !== undefined) await this.#failDisk("full-log", () => pause(disruption.ms), "full disk");
        return;
      case "failed sync":
        if (disk === undefined) return;
        service.expectEnd();
        await this.#failDisk("sync-log", () => Promise.race([service.ended(), pause(FATAL_LIMIT_MS)]), "failed sync");
        service.signal("SIGKILL");
        return this.#restart();
      case "set clock":
        return this.#setClock(disruption.aheadMs);
      case "storm":
        return this.#during(disruption.ms, providers.storm(disruption.storm));
      case "receiver down":
        return this.#during(disruption.ms, receiver.down());
      case "back up":
        return this.#tried("backup", () => restores.backUp());
      case "restore":
        return this.#restore(disruption.signal, disruption.wordAfterMs);
    }
  }

  async #restore(signal: "SIGKILL" | "SIGTERM", wordAfterMs: number): Promise<void> {
    const { restores } = this.#parts;
    // What an earlier restore holds must not be forgotten with it: whoever restores knows of one restore at a time.
    await this.#word();
    await this.#tried("backup", () => restores.backUp());
    await pause(wordAfterMs / 4);
    await restores.restore(signal);
    this.#later.add(pause(wordAfterMs).then(() => this.#word()));
  }

  async #word(): Promise<void> {
    const { restores } = this.#parts;
    await this.#tried("the word, by order", () => restores.confirmSome());
    await this.#tried("the word", () => restores.confirmAll());
  }

  async #restart(): Promise<void> {
    await this.#parts.service.ended();
    await this.#parts.service.start();
  }

  async #killAt(moment: Moment, count: number): Promise<void> {
    const { world, service, restores, journal } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<void>();
    world.moments.on(moment, moment === "backing up" || moment === "settling" ? 1 : count, () => {
      service.signal("SIGKILL");
      world.sights.saw("SIGKILL at a commit");
      resolve();
    });
    const watcher = moment === "writing" ? watch(`${journal}-wal`, () => world.moments.is("writing")) : undefined;
    if (moment === "backing up") void this.#tried("backup", () => restores.backUp());
    await Promise.race([promise, pause(MOMENT_LIMIT_MS)]);
    world.moments.off(moment);
    watcher?.close();
    service.signal("SIGKILL");
    await this.#restart();
  }

  async #terminate(): Promise<void> {
    const { world, service } = this.#parts;
    service.signal("SIGTERM");
    world.sights.saw("SIGTERM");
    const exit = await Promise.race([service.ended(), pause(DRAIN_LIMIT_MS)]);
    if (exit === undefined || exit.code !== 0) world.violation(`after SIGTERM the service ended with ${JSON.stringify(exit)}`);
    service.signal("SIGKILL");
    await this.#restart();
  }

  async #failDisk(fault: DiskFault, until: () => Promise<unknown>, sight: "full disk" | "failed sync"): Promise<void> {
    const { disk, world } = this.#parts;
    disk?.fail(fault);
    await until();
    disk?.mend(fault);
    if (disk?.hasFailed(fault)) world.sights.saw(sight);
  }

  #during(ms: number, end: () => void): void {
    this.#later.add(pause(ms).then(end));
  }

  /** The service may be down, or its journal locked. */
  async #tried(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#parts.world.note(`${what}: ${(error as Error).message}`);
    }
  }
}
