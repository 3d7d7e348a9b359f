import { setTimeout as pause } from "node:timers/promises";
import type { Requests } from "../requests.ts";
import type { Admin } from "./admin.ts";
import type { Clients } from "./clients.ts";
import type { KnownKey, KnownOrder } from "./known-order.ts";
import type { Operators } from "./operators.ts";
import type { Providers } from "./providers.ts";
import type { Restores } from "./restores.ts";
import type { Reachable } from "./service.ts";
import { type ShownAttempt, type ShownOrder, verdictOn } from "./verdict.ts";
import type { World } from "./world.ts";

const READERS = 16;
// Every key of a small campaign, and enough of a large one.
const MOST_REPEATS = 5_000;
const LOOK_EVERY_MS = 100;
// Backoff has grown to some minutes at most, and operators have everything tried at once.
const QUIET_LIMIT_MS = 300_000;

export interface ClosingParts {
  readonly world: World;
  readonly service: Reachable;
  readonly requests: Requests;
  readonly admin: Admin;
  readonly clients: Clients;
  readonly operators: Operators;
  readonly providers: Providers;
  /** Absent where nothing is ever restored. */
  readonly restores?: Restores;
  readonly say: (text: string) => void;
}

/** When all faults are over: waits until nothing is pending, and judges every order. */
export class Closing {
  readonly #parts: ClosingParts;

  constructor(parts: ClosingParts) {
    this.#parts = parts;
  }

  async run(): Promise<void> {
    const { world, providers, operators, restores, say } = this.#parts;
    await operators.finish();
    await restores?.confirmAll();
    say("asking again under known keys");
    await this.#repeat();
    say("waiting until nothing is pending");
    await this.#quiet();
    await providers.quiet();
    say(`judging ${world.orders.size} orders`);
    await this.#judge();
    for (const text of providers.malformed) world.violation(`a call of another form than the contract's: ${text}`);
  }

  /** Who asks again gets the same bytes. */
  async #repeat(): Promise<void> {
    const { world, clients } = this.#parts;
    const all = [...world.orders].flatMap((order) => order.keys.map((known) => ({ order, known })));
    const kept = all.filter(({ known }) => known.kept !== undefined);
    const every = Math.max(1, Math.floor(kept.length / MOST_REPEATS));
    await inParallel(
      kept.filter((_, index) => index % every === 0),
      async ({ order, known: { key, kept } }: { order: KnownOrder; known: KnownKey }) => {
        if (kept !== undefined) await clients.ask(order, kept.amount, key);
      },
    );
  }

  async #quiet(): Promise<void> {
    const { world, admin, operators } = this.#parts;
    const endMs = performance.now() + QUIET_LIMIT_MS;
    for (;;) {
      await operators.retryAll();
      const waiting = await this.#waiting();
      if (Object.values(waiting).every((count) => count === 0)) break;
      if (performance.now() > endMs) return world.violation(`it never becomes quiet: ${JSON.stringify(waiting)}`);
      await pause(LOOK_EVERY_MS);
    }
    const deadLetters = await admin.metric("dead_letters");
    if (deadLetters > 0) world.violation(`${deadLetters} events were given up within a day`);
    const { started, finished } = await this.#threads();
    if (started !== finished) world.violation(`${started} steps were started and ${finished} finished`);
  }

  async #waiting(): Promise<Record<string, number>> {
    const { admin } = this.#parts;
    const [pending, trying, held, events, threads] = await Promise.all([
      admin.rows("pending", 1),
      admin.rows("trying", 1),
      admin.rows("held", 1),
      admin.metric("events_pending"),
      this.#threads(),
    ]);
    const { running, orders_in_flight } = threads;
    return { pending: pending.length, trying: trying.length, held: held.length, events, running, orders_in_flight };
  }

  async #threads(): Promise<{ running: number; started: number; finished: number; orders_in_flight: number }> {
    return JSON.parse((await this.#parts.admin.get("/debug/threads")).text);
  }

  async #judge(): Promise<void> {
    const { world, providers } = this.#parts;
    await inParallel([...world.orders], async (order) => {
      const shown = await this.#look(order);
      for (const breach of verdictOn(order, shown, providers.effects, world.restores)) world.violation(breach, order);
    });
  }

  async #look({ id }: KnownOrder): Promise<ShownOrder | undefined> {
    const { service, requests } = this.#parts;
    const port = service.ports?.api ?? 0;
    let shown: (ShownOrder & { readonly attempts_total: number }) | undefined;
    const attempts: ShownAttempt[] = [];
    do {
      const before = attempts[0] === undefined ? "" : `?before=${attempts[0].attempt}`;
      const { status, text } = await requests.send(port, { path: `/order/${id}${before}` });
      if (status === 404) return undefined;
      if (status !== 200) throw new Error(`GET /order/${id}: ${status} ${text}`);
      const page = JSON.parse(text) as ShownOrder & { readonly attempts_total: number };
      shown ??= page;
      if (page.attempts.length === 0) break;
      attempts.unshift(...page.attempts);
    } while (attempts.length < shown.attempts_total);
    return { ...shown, attempts };
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const one = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: READERS }, one));
}
