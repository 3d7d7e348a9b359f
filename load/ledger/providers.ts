import { perStepSetting, STEP_TABLE, type StepName } from "../../src/orders/steps.ts";
import type { Call } from "../stand-in/call.ts";
import { drawFaultMode, type FaultMode } from "../stand-in/fault-mode.ts";
import { CALM, type FaultRates } from "../stand-in/fault-rates.ts";
import { randomFrom } from "../stand-in/random.ts";
import { type StandIn, startStandIn } from "../stand-in/stand-in.ts";
import { known } from "./keys.ts";
import type { KnownOrder } from "./known-order.ts";
import { stands } from "./verdict.ts";
import type { World } from "./world.ts";

/** How a provider behaves in an ordinary hour: bad enough to show everything, good enough for most orders to be placed. */
const CALLS: FaultRates = {
  ...CALM,
  hang: 0.004,
  refuse: 0.03,
  failBefore: 0.01,
  failAfter: 0.02,
  hangUpBefore: 0.006,
  hangUpAfter: 0.02,
  hangUpHalfway: 0.004,
  late: 0.015,
  slow: 0.3,
  slowMs: [2, 60],
  lateMs: [100, 1_500],
};

const UNDOS: FaultRates = { ...CALLS, hang: 0.01, refuse: 0.05, failBefore: 0.05, failAfter: 0.03, hangUpAfter: 0.03, late: 0.03 };

/** What a provider does to all calls of a kind during a storm. */
export const STORMS = ["hang", "hangUpAfter", "failAfter", "wait", "late", "refuse"] as const;

export interface Storm {
  readonly step: StepName;
  readonly action: Call["action"];
  readonly how: (typeof STORMS)[number];
}

/** Counts the calls for couriers that are under way. */
export interface CourierCount {
  /** A call has come. Gives how it is to be treated, which may be another way than that drawn for it. */
  began(call: Call, mode: FaultMode): FaultMode;
  /** The client closed the connection before it had an answer. */
  gone(call: Call): void;
  /** A call is over, answered or not. */
  ended(call: Call): void;
}

// Half of what the service waits for an undo.
const GIVEN_UP_WITHIN_MS = 400;
const OTHER_REFUSALS = [400, 404] as const;

/** All providers, in this process: what they did is known in the moment they did it. */
export class Providers {
  readonly #world: World;
  readonly #standIn: StandIn;
  readonly #couriers: CourierCount | undefined;
  readonly #storms = new Set<Storm>();
  /** Keys of undos that are under way. */
  readonly #undoing = new Map<string, number>();

  private constructor(world: World, standIn: StandIn, couriers: CourierCount | undefined) {
    this.#world = world;
    this.#standIn = standIn;
    this.#couriers = couriers;
  }

  /** `couriers`: who counts the calls for couriers, where a node may be frozen during one. */
  static async start(world: World, couriers?: CourierCount): Promise<Providers> {
    const standIn = await startStandIn({
      seed: String(world.seed),
      faultModeOf: (call) => providers.#receive(call),
      onGone: (call) => couriers?.gone(call),
      onEnd: (call) => providers.#ended(call),
    });
    const providers = new Providers(world, standIn, couriers);
    return providers;
  }

  get settings(): Record<string, string> {
    return perStepSetting("URL", () => this.#standIn.url);
  }

  readonly effects = (step: StepName, key: string) => this.#standIn.ledger.find(step, key);

  get counts() {
    return this.#standIn.ledger.counts;
  }

  /** Connections of a process that has ended stay until all that it sent has been read. */
  get openConnections(): number {
    return this.#standIn.connections.open;
  }

  get malformed(): readonly string[] {
    return this.#standIn.ledger.snapshot().malformed;
  }

  /** An operator has a step undone by hand, as by telephone: what it did is taken back, and a call that comes later is refused. */
  undoByHand(step: StepName, orderId: string, attempt: number, amount: number): void {
    const undoes = `${orderId}:${attempt}:${step}`;
    const body = STEP_TABLE[step].compensate.hasAmount ? { order_id: orderId, undoes, amount } : { order_id: orderId, undoes };
    this.#standIn.ledger.compensate(step, body);
  }

  isBeingUndone(step: StepName, orderId: string, attempt: number): boolean {
    return this.#undoing.has(`${orderId}:${attempt}:${step}`);
  }

  /** Returns how to end it. */
  storm(storm: Storm): () => void {
    this.#storms.add(storm);
    return () => void this.#storms.delete(storm);
  }

  /** Resolves when nothing is left that they would do later. */
  quiet(): Promise<void> {
    return this.#standIn.quiet();
  }

  close(): Promise<void> {
    return this.#standIn.close();
  }

  #receive(call: Call): FaultMode {
    const world = this.#world;
    const mode = this.#modeOf(call);
    const { step, action, nth } = call;
    const { attempt, order } = known(world, call);
    world.touch(order, `${action} ${step} of attempt ${attempt}, for the ${nth}. time: ${mode.type}${mode.status ?? ""}`);
    const seenAt = order.attempts.get(attempt);
    if (seenAt === undefined) order.attempts.set(attempt, world.restores);
    const isFromBefore = seenAt !== undefined && seenAt < world.restores;
    if (action === "perform") {
      if (isFromBefore) world.violation(`attempt ${attempt} is given again: a restore must not give a number twice`, order);
      if (seenAt === undefined) world.moments.is("called");
    } else {
      this.#undoing.set(call.body.undoes ?? "", nth);
      if (seenAt !== undefined && seenAt < order.heldSince)
        world.violation(`${step} of attempt ${attempt} is undone before the word`, order);
      // After a restore an operator may have undone what stood by an operator's word before.
      const isTold = order.events.some((event) => event.type === "order.compensated" && event.attempt === attempt) && !order.rewound;
      if (isTold && stands(this.effects(step, call.body.undoes ?? "")))
        world.violation(`${step} of attempt ${attempt} stands still, and order.compensated has come`, order);
      const hand = order.hand(attempt, step);
      if (hand !== undefined) {
        this.#suspect(call, order, `${step} of attempt ${attempt} is undone after an operator settled it as ${hand}`);
        return { type: "hang" };
      }
      if (isFromBefore) order.undoneByWord.add(attempt);
      world.sights.saw(nth === 1 ? "undone" : "undone again");
      if (nth === 1) world.moments.is("undoing");
    }
    this.#count(mode);
    return isCourier(call) && this.#couriers !== undefined ? this.#couriers.began(call, mode) : mode;
  }

  /** An undo that must not be. One that was given up before and is read late closes its connection; whoever waits for the answer does not. */
  #suspect({ body: { undoes = "" }, nth }: Call, order: KnownOrder, text: string): void {
    setTimeout(() => {
      if (this.#undoing.get(undoes) === nth) this.#world.violation(text, order);
    }, GIVEN_UP_WITHIN_MS);
  }

  #ended(call: Call): void {
    if (isCourier(call)) this.#couriers?.ended(call);
    const {
      action,
      body: { undoes = "" },
      nth,
    } = call;
    // A later try may have begun.
    if (action === "compensate" && this.#undoing.get(undoes) === nth) this.#undoing.delete(undoes);
  }

  #modeOf(call: Call): FaultMode {
    const { step, action, key, nth } = call;
    if (this.#world.calm) return { type: "answer" };
    for (const storm of this.#storms) if (storm.step === step && storm.action === action) return modeIn(storm);
    const seed = String(this.#world.seed);
    const mode = drawFaultMode(action === "perform" ? CALLS : UNDOS, seed, call);
    const random = randomFrom(`${seed} more ${nth} ${key}`);
    if (mode.type === "failBefore") {
      const [status, headers] = random() < 0.5 ? [503, { "retry-after": "1" }] : [500, {}];
      return { ...mode, status, headers };
    }
    if (mode.type === "refuse" && random() < 0.5) {
      const status = OTHER_REFUSALS[Math.floor(random() * OTHER_REFUSALS.length)] ?? 400;
      return { ...mode, status };
    }
    return mode;
  }

  #count({ type, headers }: FaultMode): void {
    const { sights } = this.#world;
    if (headers?.["retry-after"] !== undefined) sights.saw("provider asked to wait");
    else if (type === "failBefore" || type === "failAfter") sights.saw("provider failed");
    if (type === "hang") sights.saw("provider hung");
    if (type === "late") sights.saw("provider acted late");
    if (type === "refuse") sights.saw("provider refused");
    if (type === "hangUpBefore" || type === "hangUpAfter" || type === "hangUpHalfway") sights.saw("provider cut the connection");
  }
}

function isCourier({ step, action }: Call): boolean {
  return step === "courier" && action === "perform";
}

function modeIn({ how }: Storm): FaultMode {
  if (how === "wait") return { type: "failBefore", status: 503, headers: { "retry-after": "1" } };
  if (how === "failAfter") return { type: how, status: 500 };
  return how === "late" ? { type: how, lateMs: 1_500 } : { type: how };
}
