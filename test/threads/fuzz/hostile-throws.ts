import { inspect } from "node:util";
import { Canceled, Failure } from "../../../src/threads/worker/index.ts";
import type { Body } from "./good-tasks.ts";
import type { MyNotes } from "./notes.ts";

/** Tasks that throw what nobody should. Each fails, and nothing else happens. */
export const HOSTILE_THROWS = {
  throwNull: throwing(() => null),
  throwUndefined: throwing(() => undefined),
  throwSymbol: throwing((n) => Symbol(`task ${n}`)),
  throwFunction: throwing((n) => () => n),
  throwProxy: throwing(() => hostileProxy()),
  throwRevokedProxy: throwing(() => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  }),
  throwErrorWithGetters: throwing((n) => {
    const error = new Error("with getters");
    // Any of the three, or all.
    const fields = n % 4 === 3 ? ["name", "message", "stack"] : [["name", "message", "stack"][n % 4] as string];
    for (const field of fields) Object.defineProperty(error, field, { get: thrower(`the getter of ${field}`) });
    return error;
  }),
  throwErrorOfProxies: throwing(() => Object.assign(new Error("of proxies"), { name: hostileProxy(), message: hostileProxy(), stack: 17 })),
  throwHostileInspect: throwing(() => ({ [inspect.custom]: thrower("inspect"), toString: thrower("toString") })),
  throwHuge: throwing(() => new Error("x".repeat(1_000_000))),
  throwForgedCanceled: throwing(() => new Canceled("deadline")),
  throwForgedFailure: throwing(() => ({
    [Symbol.for("cancelable-threads.Failure")]: true,
    get message() {
      throw new Error("the getter of a forged failure");
    },
  })),
  failWithFunction: throwing((n) => new Failure({ run: () => n }, "with a function")),
  failWithProxy: throwing(() => new Failure(hostileProxy(), "with a proxy")),
  progressOfFunction: throwing(
    () => new Error("with progress that cannot be cloned"),
    (context) => (context.progress = () => {}),
  ),
  progressThrows: throwing(
    () => new Error("with progress that throws"),
    (context) => Object.defineProperty(context, "progress", { get: thrower("the getter of progress") }),
  ),
} satisfies Record<string, Body>;

/** Half of them throw at once, the others from a promise. */
function throwing(what: (n: number) => unknown, before?: (context: Parameters<Body>[1]) => void): Body {
  return ({ n }, context, me) => {
    before?.(context);
    if (n % 2 === 0) raise(what(n), me);
    return Promise.resolve().then(() => raise(what(n), me));
  };
}

function raise(what: unknown, me: MyNotes): never {
  me.ends("threw");
  throw what;
}

/** Every trap of it throws. */
export function hostileProxy(): object {
  const traps = Reflect.ownKeys(Reflect).map((trap) => [trap, thrower(`the trap ${String(trap)}`)]);
  return new Proxy(() => {}, Object.fromEntries(traps));
}

function thrower(what: string): () => never {
  return () => {
    throw new Error(`${what} throws`);
  };
}
