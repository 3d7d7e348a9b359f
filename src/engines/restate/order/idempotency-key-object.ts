import { handlers, type InvocationPromise, type ObjectContext, object, rpc } from "@restatedev/restate-sdk";
import { QUICK } from "../durable-options.ts";
import { type KeyBinding, type KeyClaim, type KeyClaimed, type KeyRelease, OBJECTS, type RequestKey } from "../objects.ts";

/** State of a key, under one name. */
interface KeyState {
  readonly bodyHash: string;
  /** Wall clock: from then on the key counts as unused. */
  readonly untilMs: number;
  /** Absent while the key is only claimed. */
  readonly attempt?: number;
  /** Of the claim. */
  readonly token?: string;
}

const STATE = "key";
// A request binds or releases its key before its order ends. Its node may die before it does, and then the key must not stay claimed.
const CLAIMED_MS = 60_000;

/** The object of an Idempotency-Key: which body it came with, and which attempt of that body's order it stands for. */
export const idempotencyKeyObject = object({
  name: OBJECTS.idempotencyKey,
  handlers: {
    claim: handlers.object.exclusive(QUICK, claim),
    bind: handlers.object.exclusive(QUICK, bind),
    release: handlers.object.exclusive(QUICK, release),
    expire: handlers.object.exclusive(QUICK, expire),
  },
});

/** Binds the key of a request to its attempt, from a handler of another object. */
export function bindKey(
  context: ObjectContext,
  { id, bodyHash, expiresMs }: RequestKey,
  attempt: number,
  nowMs: number,
): InvocationPromise<void> {
  return context.objectClient<typeof idempotencyKeyObject>(idempotencyKeyObject, id).bind({ bodyHash, attempt, expiresMs, nowMs });
}

export function releaseKey(context: ObjectContext, id: string, released: KeyRelease): void {
  context.objectSendClient<typeof idempotencyKeyObject>(idempotencyKeyObject, id).release(released);
}

async function claim(context: ObjectContext, { bodyHash, nowMs, token }: KeyClaim): Promise<KeyClaimed> {
  const known = await context.get<KeyState>(STATE);
  if (known !== null && known.untilMs > nowMs) {
    if (known.bodyHash !== bodyHash) return { type: "mismatch" };
    if (known.attempt !== undefined) return { type: "bound", attempt: known.attempt };
  }
  context.set<KeyState>(STATE, { bodyHash, untilMs: nowMs + CLAIMED_MS, token });
  forgetAt(context, nowMs + CLAIMED_MS, CLAIMED_MS);
  return { type: "claimed" };
}

async function bind(context: ObjectContext, { bodyHash, attempt, expiresMs, nowMs }: KeyBinding): Promise<void> {
  const known = await context.get<KeyState>(STATE);
  if (known !== null && known.untilMs > nowMs && known.bodyHash !== bodyHash) return;
  if (known?.attempt === attempt) return;
  context.set<KeyState>(STATE, { bodyHash, untilMs: expiresMs, attempt });
  forgetAt(context, expiresMs, expiresMs - nowMs);
}

async function release(context: ObjectContext, released: KeyRelease): Promise<void> {
  const known = await context.get<KeyState>(STATE);
  if (known === null) return;
  const isSame = "token" in released ? known.token === released.token : known.attempt === released.attempt;
  if (isSame) context.clear(STATE);
}

/** A delayed call of the object to itself. A state that was renewed since has another such call coming. */
async function expire(context: ObjectContext, untilMs: number): Promise<void> {
  const known = await context.get<KeyState>(STATE);
  if (known !== null && known.untilMs <= untilMs) context.clear(STATE);
}

/** Deletes the state at its end. */
function forgetAt(context: ObjectContext, untilMs: number, delayMs: number): void {
  const delay = Math.max(1, delayMs);
  context.objectSendClient<typeof idempotencyKeyObject>(idempotencyKeyObject, context.key).expire(untilMs, rpc.sendOpts({ delay }));
}
