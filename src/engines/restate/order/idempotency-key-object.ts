import { handlers, type InvocationPromise, type ObjectContext, object } from "@restatedev/restate-sdk";
import { QUICK } from "../durable-options.ts";
import { type Callee, callObject, sendToObject } from "../object-calls.ts";
import { type KeyBinding, type KeyClaim, type KeyClaimed, type KeyRelease, OBJECTS, type RequestKey } from "../objects.ts";

/** State of a key, under one name. */
interface KeyState {
  readonly bodyHash: string;
  /** Wall clock: from then on it is as if it had never been used. */
  readonly untilMs: number;
  /** Absent while it is only claimed. */
  readonly attempt?: number;
  /** Of the claim. */
  readonly token?: string;
}

const STATE = "key";
// A request that claims a key binds or releases it within its order's life. Its node may die in between, and the key must not stay claimed.
const CLAIMED_MS = 60_000;

/** The object of an Idempotency-Key: which body it came with, and which attempt of that body's order it stands for. */
export function idempotencyKeyObject() {
  return object({
    name: OBJECTS.idempotencyKey,
    handlers: {
      claim: handlers.object.exclusive(QUICK, claim),
      bind: handlers.object.exclusive(QUICK, bind),
      release: handlers.object.exclusive(QUICK, release),
      expire: handlers.object.exclusive(QUICK, expire),
    },
  });
}

/** Binds the key of a request to its attempt, from a handler of another object. */
export function bindKey(
  context: ObjectContext,
  { id, bodyHash, expiresMs }: RequestKey,
  attempt: number,
  nowMs: number,
): InvocationPromise<void> {
  return callObject<KeyBinding, void>(context, calleeOf(id, "bind"), { bodyHash, attempt, expiresMs, nowMs });
}

export function releaseKey(context: ObjectContext, id: string, released: KeyRelease): void {
  sendToObject<KeyRelease>(context, calleeOf(id, "release"), released);
}

function calleeOf(key: string, method: "bind" | "release" | "expire"): Callee {
  return { service: OBJECTS.idempotencyKey, key, method };
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
  const isIt = "token" in released ? known.token === released.token : known.attempt === released.attempt;
  if (isIt) context.clear(STATE);
}

/** Sent when a state ought to be over; one that was renewed has another on its way. */
async function expire(context: ObjectContext, untilMs: number): Promise<void> {
  const known = await context.get<KeyState>(STATE);
  if (known !== null && known.untilMs <= untilMs) context.clear(STATE);
}

/** A state must not stay for ever. */
function forgetAt(context: ObjectContext, untilMs: number, delayMs: number): void {
  sendToObject(context, calleeOf(context.key, "expire"), untilMs, Math.max(1, delayMs));
}
