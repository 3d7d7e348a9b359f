import { parentPort, workerData } from "node:worker_threads";
import { type Change, loadVersions, urlOf } from "./changed-sources.ts";

// A thread of its own, so that a changed `Capacity` can be loaded. It tries every order of what may happen to a capacity of one permit
// with one holder and three who want it.
loadVersions([workerData as readonly Change[]], "", []);
type Library = typeof import("../../src/threads/index.ts");
type Permit = import("../../src/threads/permits/grants.ts").Permit;
type Scope = import("../../src/threads/cancel-scope.ts").CancelScope;
const load = (file: string): Promise<Library> => import(urlOf(`../../src/threads/${file}`, 0));
const { CancelScope } = await load("cancel-scope.ts");
const { Capacity } = await load("permits/capacity.ts");
const { Canceled } = await load("canceled.ts");

/** In every order; `turn` lets the microtasks come one step further. */
const EVENTS = ["release", "cancel first", "cancel second", "newcomer", "cancel newcomer", "turn", "turn", "turn"] as const;
type Event = (typeof EVENTS)[number];

/** How far the microtasks have come. */
let turns = 0;

class Asker {
  readonly scope: Scope = new CancelScope();
  asked = false;
  permit: Permit | undefined;
  failed: unknown;
  /** The scope was canceled before the permit was accepted. */
  canceledFirst = false;
  #canceledIn: number | undefined;

  ask(capacity: InstanceType<typeof Capacity>): void {
    this.asked = true;
    capacity.acquire(this.scope, 0).then(
      (permit) => {
        this.permit = permit;
        // Had it been accepted when the cancel came, it would have arrived before the next turn.
        this.canceledFirst &&= turns > (this.#canceledIn ?? turns) + 1;
      },
      (error: unknown) => (this.failed = error),
    );
  }

  cancel(): void {
    this.canceledFirst = this.permit === undefined;
    this.#canceledIn = turns;
    this.scope.cancel("deadline");
  }
}

async function tried(order: readonly Event[]): Promise<string | undefined> {
  const capacity = new Capacity(1);
  const holder = capacity.tryAcquire();
  const [first, second, newcomer] = [new Asker(), new Asker(), new Asker()];
  first.ask(capacity);
  second.ask(capacity);
  const askers = [first, second, newcomer];
  for (const event of order) {
    if (event === "release") holder?.release();
    else if (event === "cancel first") first.cancel();
    else if (event === "cancel second") second.cancel();
    else if (event === "cancel newcomer") newcomer.cancel();
    else if (event === "newcomer") newcomer.ask(capacity);
    else await nextTurn();
    if (capacity.inUse > 1 || capacity.inUse < 0) return `${capacity.inUse} permits of 1 are in use`;
    const mayWait = askers.filter(({ asked, scope, permit }) => asked && scope.cause === undefined && permit === undefined).length;
    if (capacity.waiting < 0 || capacity.waiting > mayWait) return `${capacity.waiting} wait, of ${mayWait} who may`;
  }
  const granted: Asker[] = [];
  // Whoever has the permit gives it back until everybody has had an answer.
  for (let n = 0; n < 20; n++) {
    await nextTurn();
    for (const asker of askers) {
      if (asker.permit === undefined || granted.includes(asker)) continue;
      granted.push(asker);
      if (newcomer === asker && granted.length === 1 && !second.canceledFirst && second.asked)
        return "the newcomer overtook one who waited";
      asker.permit.release();
    }
  }
  for (const [n, { canceledFirst, permit, failed }] of askers.entries()) {
    if (canceledFirst && !(failed instanceof Canceled))
      return `asker ${n} was canceled first and has ${permit === undefined ? "no answer" : "the permit"}`;
    if (!canceledFirst && permit === undefined) return `asker ${n} was not canceled and never got the permit`;
  }
  if (capacity.inUse !== 0 || capacity.waiting !== 0)
    return `${capacity.inUse} permits are in use and ${capacity.waiting} wait when all is over`;
  for (const { scope } of askers) if (scope.listenerCount !== 0) return "somebody still listens when all is over";
  return undefined;
}

function nextTurn(): Promise<void> {
  turns++;
  return Promise.resolve();
}

function* ordersOf(left: readonly Event[]): Generator<Event[]> {
  if (left.length === 0) yield [];
  for (const next of new Set(left)) {
    const rest = left.toSpliced(left.indexOf(next), 1);
    for (const order of ordersOf(rest)) yield [next, ...order];
  }
}

let schedules = 0;
let fault: string | undefined;
for (const order of ordersOf(EVENTS)) {
  schedules++;
  try {
    fault = await tried(order);
  } catch (error) {
    fault = String(error);
  }
  if (fault === undefined) continue;
  fault += `: ${order.join(", ")}`;
  break;
}
parentPort?.postMessage({ schedules, fault });
