import { Canceled } from "../../../src/threads/canceled.ts";

export interface Subscription {
  unsubscribe(): void;
}

type Listener<Cause extends string> = (cause: Cause) => void;

const OVER: Subscription = { unsubscribe() {} };

let listenerFault = (error: unknown): void => process.emitWarning(String(error));

export function onListenerFault(report: (error: unknown) => void): void {
  listenerFault = report;
}

/** `Cancelable` with its listeners in a `Set`. */
export class Cancelable<Cause extends string = string> {
  #cause: Cause | undefined;
  readonly #listeners = new Set<Listener<Cause>>();
  #controller: AbortController | undefined;

  get cause(): Cause | undefined {
    return this.#cause;
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cause !== undefined) this.#controller.abort(new Canceled(this.#cause));
    }
    return this.#controller.signal;
  }

  onCancel(listener: Listener<Cause>): Subscription {
    if (this.#cause !== undefined) {
      call(listener, this.#cause);
      return OVER;
    }
    const own = (cause: Cause) => listener(cause);
    this.#listeners.add(own);
    return { unsubscribe: () => void this.#listeners.delete(own) };
  }

  throwIfCanceled(): void {
    if (this.#cause !== undefined) throw new Canceled(this.#cause);
  }

  protected latch(cause: Cause): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    for (const listener of this.#listeners) {
      this.#listeners.delete(listener);
      call(listener, cause);
    }
    this.#controller?.abort(new Canceled(cause));
  }
}

function call<Cause extends string>(listener: Listener<Cause>, cause: Cause): void {
  try {
    listener(cause);
  } catch (error) {
    listenerFault(error);
  }
}
