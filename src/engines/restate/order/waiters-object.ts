import { handlers, InvocationIdParser, type ObjectContext, object } from "@restatedev/restate-sdk";
import { QUICK } from "../durable-options.ts";
import { cancelSignal, OBJECTS, type WaiterJoins, type WaiterLeaves } from "../objects.ts";

/** Who waits for the attempt that was joined or left last. */
interface Waiters {
  /** Token of the request that began it. */
  readonly attempt: string;
  /** Tokens of those that joined it. */
  readonly joined: readonly string[];
  /** The request that began it does not wait any more. */
  readonly begunLeft: boolean;
}

const STATE = "waiters";

/**
 * Who waits for an attempt, over all nodes: a hang-up cancels the attempt only when nobody waits any more. The request that began it needs
 * no call to wait, so this object is called only where an attempt is joined or left.
 */
export const waitersObject = object({
  name: OBJECTS.waiters,
  handlers: { join: handlers.object.exclusive(QUICK, join), leave: handlers.object.exclusive(QUICK, leave) },
});

/** False: nobody waited any more, so the attempt is being canceled. */
async function join(context: ObjectContext, { attempt, token }: WaiterJoins): Promise<boolean> {
  const waiters = of(attempt, await context.get<Waiters>(STATE));
  if (waiters.begunLeft && waiters.joined.length === 0) return false;
  context.set<Waiters>(STATE, { ...waiters, joined: [...waiters.joined, token] });
  return true;
}

async function leave(context: ObjectContext, { attempt, token, invocationId, cause }: WaiterLeaves): Promise<void> {
  const before = of(attempt, await context.get<Waiters>(STATE));
  const waiters = {
    attempt,
    joined: before.joined.filter((each) => each !== token),
    begunLeft: before.begunLeft || token === attempt,
  };
  context.set<Waiters>(STATE, waiters);
  if (!waiters.begunLeft || waiters.joined.length > 0) return;
  context.invocation(InvocationIdParser.fromString(invocationId)).signal(cancelSignal(attempt)).resolve(cause);
}

function of(attempt: string, state: Waiters | null): Waiters {
  return state?.attempt === attempt ? state : { attempt, joined: [], begunLeft: false };
}
