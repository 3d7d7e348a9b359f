import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import workerpool from "workerpool";
import { alive } from "../alive.ts";

interface Method {
  readonly worker: { addAbortListener(listener: () => Promise<void>): void };
}

function signalOf({ worker }: Method): AbortSignal {
  const abort = new AbortController();
  worker.addAbortListener(async () => abort.abort());
  return abort.signal;
}

workerpool.worker({
  async fails(this: Method, ms: number) {
    await sleep(ms, undefined, { signal: signalOf(this) });
    throw new Error("boom");
  },
  async waits(this: Method, ms: number) {
    const signal = signalOf(this);
    for (let n = 0; n < ms; n += 5) {
      await sleep(5, undefined, { signal });
      alive("w");
    }
  },
  async computes(this: Method, ms: number) {
    const signal = signalOf(this);
    for (const end = Date.now() + ms; Date.now() < end; ) {
      await turn(undefined, { signal });
      alive("c");
    }
  },
});
