import { type Context, type InvocationPromise, type Serde, serde } from "@restatedev/restate-sdk";

/** A handler of another object, as a handler names it. */
export interface Callee {
  readonly service: string;
  readonly key: string;
  readonly method: string;
}

const json = <Value>() => serde.json as Serde<Value>;

/** Calls a handler and waits for its answer. */
export function callObject<Request, Answer>(context: Context, callee: Callee, parameter: Request): InvocationPromise<Answer> {
  return context.genericCall<Request, Answer>({ ...callee, parameter, inputSerde: json(), outputSerde: json() });
}

/** Sees to it that a handler is called, once, now or after `delayMs`. */
export function sendToObject<Request>(context: Context, callee: Callee, parameter: Request, delayMs = 0): void {
  context.genericSend<Request>({ ...callee, parameter, inputSerde: json(), ...(delayMs > 0 && { delay: delayMs }) });
}
