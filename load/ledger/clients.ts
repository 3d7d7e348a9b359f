import { setTimeout as pause } from "node:timers/promises";
import type { Requests } from "../requests.ts";
import { randomFrom } from "../stand-in/random.ts";
import { type Asked, noteAnswer, noteAsked } from "./answers.ts";
import type { KnownOrder } from "./known-order.ts";
import type { Reachable } from "./service.ts";
import type { World } from "./world.ts";

const RECENT = 200;
const KEYS = 2;
// While the service is down or takes nothing.
const PAUSE_MS = 15;
// Only the answers of attempts have it.
const STEPS = '"steps"';
const HANG_UP_WITHIN_MS = 300;

/** What the n-th request of a campaign is. Depends on the seed and n alone. */
export interface Intent {
  readonly order: number;
  readonly amount: number;
  readonly key?: string;
  /** Hangs up after so long. */
  readonly hangUpMs?: number;
  /** How often it is sent at the same moment. */
  readonly copies: number;
  /** Once more after the answer: exactly so, or with another body. */
  readonly again?: "same" | "other";
}

/** The n-th request of a campaign, n from 0 on. */
export function intentOf(seed: number, n: number): Intent {
  const random = randomFrom(`${seed} request ${n}`);
  const draw = random();
  // Two thirds are new orders. The others are asked for again: mostly recent ones, which may run just now, sometimes any.
  const back = draw < 0.66 ? 0 : Math.ceil(random() * (draw < 0.94 ? Math.min(n, RECENT) : n));
  const order = n - back;
  const amountOf = 100 + (order % 1_000) * 2;
  const isOther = back > 0 && random() < 0.12;
  const hasKey = random() < 0.6;
  const key = `k-${order}-${Math.floor(random() * KEYS)}`;
  const hangsUp = random() < 0.07;
  const after = random();
  return {
    order,
    amount: isOther ? amountOf + 1 : amountOf,
    ...(hasKey && { key }),
    ...(hangsUp && { hangUpMs: random() * HANG_UP_WITHIN_MS }),
    copies: random() < 0.05 ? 2 + Math.floor(random() * 2) : 1,
    ...(after < 0.12 && { again: after < 0.1 ? "same" : "other" }),
  };
}

/** Asks for orders, one after another or at once, and compares every answer with what was answered before. */
export class Clients {
  readonly #world: World;
  readonly #service: Reachable;
  readonly #requests: Requests;
  #next = 0;
  #inFlight = 0;

  constructor(world: World, service: Reachable, requests: Requests) {
    this.#world = world;
    this.#service = service;
    this.#requests = requests;
  }

  /** How many requests have been sent. */
  get sent(): number {
    return this.#next;
  }

  /** Requests without an answer or an end. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** `clients` at one time, until `isOver` says so. */
  async run(clients: number, isOver: () => boolean): Promise<void> {
    const one = async () => {
      while (!isOver()) {
        if (this.#service.ports === undefined) await pause(PAUSE_MS);
        else await this.#place(intentOf(this.#world.seed, this.#next++));
      }
    };
    await Promise.all(Array.from({ length: clients }, one));
  }

  /** Sends a request as it was sent before. Resolves with whether an answer came. */
  async ask(order: KnownOrder, amount: number, key: string | undefined, hangUpMs?: number): Promise<boolean> {
    const world = this.#world;
    const { sights } = world;
    const { ports } = this.#service;
    if (ports === undefined) return false;
    const beforeMs = order.lastMs;
    const asked: Asked = { amount, ...(key !== undefined && { key }), sentMs: world.nowMs };
    noteAsked(order, asked);
    const signal = hangUpMs === undefined ? undefined : AbortSignal.timeout(Math.ceil(hangUpMs));
    this.#inFlight++;
    try {
      const body = { order_id: order.id, amount };
      const sending = this.#requests.send(ports.api, { method: "POST", path: "/order", body, key, ...(signal && { signal }) });
      const answer = await sending.finally(() => this.#inFlight--);
      world.moments.is("answered");
      this.#note(order, asked, answer, beforeMs);
      if (answer.status >= 500 && !answer.text.includes(STEPS)) await pause(PAUSE_MS);
      return true;
    } catch (error) {
      sights.saw(signal?.aborted === true ? "hang-up" : "connection broken by the service");
      world.touch(order, `asked for ${amount} under ${key}: ${signal?.aborted === true ? "hung up" : (error as Error).message}`);
      await pause(PAUSE_MS);
      return false;
    }
  }

  #note(order: KnownOrder, asked: Asked, answer: { status: number; text: string; replayed: boolean }, beforeMs: number): void {
    const world = this.#world;
    const { status, text, replayed } = answer;
    const wasQuiet = order.lastMs === asked.sentMs;
    world.touch(order, `asked for ${asked.amount} under ${asked.key}: ${status}${replayed ? " replayed" : ""} ${text}`);
    const wrong = noteAnswer(order, asked, { ...answer, atMs: world.nowMs });
    if (wrong !== undefined) world.violation(`${wrong}; now: ${status} ${text}`, order);
    // It has changed nothing: a journal from before it is as good.
    if (replayed && wasQuiet) order.lastMs = beforeMs;
    if (replayed) world.sights.saw("repeat answered from the journal");
    if (status === 422) world.sights.saw("key refused with another body");
    else if (status === 409) world.sights.saw("id refused with another amount");
    else if (!text.includes(STEPS)) world.sights.saw("refused without a step");
    else if (!replayed) world.sights.saw(status === 200 ? "placed" : "failed");
  }

  async #place({ order, amount, key, hangUpMs, copies, again }: Intent): Promise<void> {
    const known = this.#world.orders.known(`o${order}`, amount);
    if (copies > 1) this.#world.sights.saw("several at once");
    // Copies under one key, and one without.
    const keyOf = (copy: number) => (copy === 2 ? undefined : key);
    const answers = await Promise.all(
      Array.from({ length: copies }, (_, copy) => this.ask(known, amount, keyOf(copy), copy === 0 ? hangUpMs : undefined)),
    );
    if (again !== undefined && answers[0]) await this.ask(known, again === "same" ? amount : amount + 1, key);
  }
}
