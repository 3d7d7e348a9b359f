import type { Logger } from "pino";
import type { Service } from "./composition/service.ts";
import { exitDespiteThreads } from "./threads/index.ts";

// A Ctrl-C reaches this process from the terminal and once more from npm, which passes on its own.
// A second signal that a person or a supervisor sends comes later than that.
const SAME_SIGNAL_MS = 300;
const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** Ends a process that has not stopped, and `main.ts` writes its log. Node waits for every thread first, so the next signal kills it. */
export function exit(code: number): void {
  for (const name of STOP_SIGNALS) process.removeAllListeners(name);
  // After a fault nobody has closed the threads, and one may be in a call that nothing can end.
  if (code !== 0) exitDespiteThreads();
  process.exit(code);
}

/** SIGTERM and SIGINT from the start on: the first one drains the service, a second one cancels the orders in flight. */
export class Signals {
  readonly #log: Logger;
  #service: Service | undefined;
  #stoppingSinceMs: number | undefined;
  #reloadPending = false;

  /** `reloads`: a SIGHUP reads key files again. Without key files it ends the process, as it does any other. */
  constructor(log: Logger, { reloads }: { readonly reloads: boolean }) {
    this.#log = log;
    for (const name of STOP_SIGNALS) process.on(name, (signal) => this.#on(signal));
    if (reloads) process.on("SIGHUP", () => this.#reload());
  }

  /** The service is up. */
  serve(service: Service): void {
    this.#service = service;
    if (this.#reloadPending) this.#reload();
  }

  /** A start may have read the files before the signal came, so a signal during the start is kept until the start has ended. */
  #reload(): void {
    if (this.#service === undefined) this.#reloadPending = true;
    else void this.#service.reloadKeys?.();
  }

  #on(signal: NodeJS.Signals): void {
    const log = this.#log;
    if (this.#service === undefined) {
      // No client has an answer yet, and the next start finishes what the journal has half done.
      log.info({ signal }, "stopped before the start was over");
      exit(0);
      return;
    }
    if (this.#stoppingSinceMs !== undefined) {
      if (performance.now() - this.#stoppingSinceMs < SAME_SIGNAL_MS) return;
      log.warn({ signal }, "canceling the orders still in flight");
      this.#service.cancelAll();
      return;
    }
    this.#stoppingSinceMs = performance.now();
    void this.#stop(this.#service, signal);
  }

  async #stop(service: Service, signal: NodeJS.Signals): Promise<void> {
    const log = this.#log;
    log.info({ signal, orders_in_flight: service.orderService.inFlight }, "draining");
    try {
      await service.stop();
      log.info("stopped");
      // A step is in a call that nothing can end, and Node would wait for it.
      if (service.threads.alive > 0) exitDespiteThreads();
      // A handle that a library has left open must not keep a stopped server alive. It still listens: what it stopped for is done, and one
      // signal more, such as that of a supervisor that has not seen the end yet, must not make a failure of it.
      process.exit(0);
    } catch (error) {
      log.fatal({ err: error }, "could not stop cleanly");
      exit(1);
    }
  }
}
