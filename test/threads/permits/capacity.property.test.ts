import fc from "fast-check";
import { expect, test } from "vitest";
import { Canceled, CancelScope, Capacity, monotonicMs, type Permit, type Subscription } from "../../../src/threads/index.ts";
import { CAUSES, type Cause } from "../causes.ts";
import { drain, interleave } from "../interleaving.ts";
import { type Ask, type AskState, CapacityModel, type ModelScope, WEIGHTS } from "./capacity-model.ts";

/** `pick` chooses among whatever fits when the command runs, so that shrinking keeps commands meaningful. */
type Action =
  | {
      readonly do: "acquire";
      readonly scope: "none" | "own" | "shared";
      readonly pick: number;
      readonly eager: boolean;
      readonly priority: number;
    }
  | { readonly do: "tryAcquire" }
  | { readonly do: "pass"; readonly units: number }
  | { readonly do: "release" | "releaseAgain"; readonly pick: number }
  | { readonly do: "cancel"; readonly whose: AskState; readonly pick: number; readonly cause: Cause };
type Command = Action | { readonly do: "turn" } | { readonly do: "drain" };

const pick = fc.nat(1_000);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("acquire"),
      scope: fc.constantFrom("none", "own", "shared"),
      pick,
      eager: fc.boolean(),
      priority: fc.constantFrom(0, 1, 1, 1, 2),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("tryAcquire") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pass"), units: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("release"), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("releaseAgain"), pick }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("cancel"),
      // A grant is due only until the next turn: asked for no oftener than the rest, it would rarely be met.
      whose: fc.constantFrom("queued", "granted", "granted", "accepted", "held"),
      pick,
      cause: fc.constantFrom(...CAUSES),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("turn") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drain") }) },
);

// So long that no deadline comes by itself and the time that the test takes does not count.
const UNIT_MS = 1_000_000;
const STARTED_MS = Math.ceil(monotonicMs());

/** What the caller of one `acquire` or `tryAcquire` has seen. */
interface Seen {
  permit: Permit | undefined;
  failure: unknown;
  subscription: Subscription | undefined;
}

class Run {
  readonly model: CapacityModel;
  readonly #real: Capacity;
  readonly #seen = new Map<Ask, Seen>();
  readonly #scopes = new Map<ModelScope, CancelScope>();
  readonly #timers: (() => void)[] = [];

  constructor(limit: number, met: Set<string>) {
    this.model = new CapacityModel(limit, met);
    this.#real = new Capacity(limit, {
      endsHopelessWaits: true,
      // A unit is longer than any patience; that hold times are doubted then is none of the model's rules.
      patienceMs: Number.POSITIVE_INFINITY,
      nowMs: () => STARTED_MS + this.model.now * UNIT_MS,
    });
    this.#real.weigh(WEIGHTS);
  }

  apply(command: Action): void {
    switch (command.do) {
      case "acquire":
        this.#acquire(this.#scopeFor(command.scope, command.pick), command.eager, command.priority);
        return;
      case "pass":
        this.model.now += command.units;
        return;
      case "tryAcquire": {
        const permit = this.#real.tryAcquire();
        expect(permit !== undefined).toBe(this.model.tryAcquire());
        const ask = this.model.asks.at(-1);
        if (permit !== undefined && ask !== undefined) this.#seen.set(ask, { permit, failure: undefined, subscription: undefined });
        return;
      }
      case "release": {
        const ask = choose(this.model.inState("held"), command.pick);
        if (ask !== undefined) this.release(ask);
        return;
      }
      case "releaseAgain": {
        const ask = choose(this.model.inState("released"), command.pick);
        if (ask !== undefined) expect(() => this.#seenBy(ask).permit?.release()).toThrow("permit released twice");
        return;
      }
      case "cancel": {
        const scope = choose(this.model.inState(command.whose), command.pick)?.scope;
        if (scope === undefined) return;
        const first = scope.cause === undefined;
        this.model.cancel(scope, command.cause);
        expect(this.#scopes.get(scope)?.cancel(command.cause)).toBe(first);
      }
    }
  }

  release(ask: Ask): void {
    const seen = this.#seenBy(ask);
    this.model.release(ask);
    seen.subscription?.unsubscribe();
    seen.permit?.release();
  }

  check(): void {
    const { limit, inUse, waiting } = this.#real;
    expect({ limit, inUse, waiting }).toEqual({ limit: this.model.limit, inUse: this.model.inUse, waiting: this.model.queue.length });
    expect(inUse).toBeLessThanOrEqual(limit);
    for (const [ask, { permit }] of this.#seen) expect(permit !== undefined).toBe(ask.state === "held" || ask.state === "released");
    for (const [scope, real] of this.#scopes) expect(real.listenerCount).toBe(this.model.listenersOn(scope));
  }

  checkEnd(): void {
    expect({ inUse: this.#real.inUse, waiting: this.#real.waiting }).toEqual({ inUse: 0, waiting: 0 });
    for (const [ask, { failure }] of this.#seen) {
      expect(failure instanceof Canceled ? failure.causedBy : failure).toBe(ask.failure);
      expect(ask.state).toBe(ask.failure === undefined ? "released" : "failed");
    }
    for (const real of this.#scopes.values()) expect(real.listenerCount).toBe(0);
  }

  /** Nothing fires after the test. */
  stopTimers(): void {
    for (const stop of this.#timers) stop();
  }

  #acquire(scope: ModelScope | undefined, eager: boolean, priority: number): void {
    const real = scope && this.#scopes.get(scope);
    const seen: Seen = { permit: undefined, failure: undefined, subscription: undefined };
    this.#real.acquire(real, priority).then(
      (permit) => {
        seen.permit = permit;
        if (eager) seen.subscription = real?.onCancel(() => permit.release());
      },
      (error: unknown) => (seen.failure = error),
    );
    this.model.acquire(scope, eager && real !== undefined, priority);
    const ask = this.model.asks.at(-1);
    if (ask !== undefined) this.#seen.set(ask, seen);
  }

  #scopeFor(which: "none" | "own" | "shared", pick: number): ModelScope | undefined {
    if (which === "none") return undefined;
    const shared = which === "shared" ? choose([...this.#scopes.keys()], pick) : undefined;
    if (shared !== undefined) return shared;
    const real = new CancelScope();
    // Every other one has a deadline, between two units so that no rounding decides.
    const units = pick % 2 === 0 ? (pick % 13) + 0.5 : undefined;
    if (units !== undefined) this.#timers.push(real.cancelAfter(STARTED_MS - monotonicMs() + (this.model.now + units) * UNIT_MS));
    const deadline = units === undefined ? undefined : this.model.now + units;
    const own: ModelScope = { deadline, cause: undefined, listeners: [] };
    this.#scopes.set(own, real);
    return own;
  }

  #seenBy(ask: Ask): Seen {
    const seen = this.#seen.get(ask);
    if (seen === undefined) throw new Error("an ask of the model without one of the capacity");
    return seen;
  }
}

function choose<T>(from: readonly T[], pick: number): T | undefined {
  return from[pick % from.length];
}

test("a capacity does what the model does under every interleaving", async () => {
  const met = new Set<string>();
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 3 }),
    fc.array(command, { maxLength: 50, size: "max" }),
    async (limit, commands) => {
      const run = new Run(limit, met);
      await interleave(run, commands);
      for (let held = run.model.inState("held"); held.length > 0; held = run.model.inState("held")) {
        // A release may end a hopeless wait, and with it its scope, whose eager holders release by themselves.
        for (const ask of held) if (ask.state === "held") run.release(ask);
        await drain(run);
        run.check();
      }
      run.checkEnd();
      run.stopTimers();
    },
  );
  await fc.assert(property, { numRuns: 700 });
  const expected = [
    "canceled before",
    "canceled before, permit free",
    "tryAcquire refused",
    "granted after a wait",
    "handed on",
    "handed back",
    "overtaken",
    "a lower priority first",
    "hopeless",
    "hopeless, but alone",
  ];
  const states = ["queued", "granted", "accepted", "held"].map((state) => `canceled while ${state}`);
  expect([...met]).toEqual(expect.arrayContaining([...expected, ...states]));
});
