import { request } from "node:http";

const EVERY_MS = 100;
// A kubelet's default.
const TIMEOUT_MS = 1_000;

/** Asks for a page ten times a second, on a new connection each time, as an orchestrator asks whether a service lives. */
export class Probes implements Disposable {
  /** Of those that were answered with 200. */
  readonly latenciesMs: number[] = [];
  #failed = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(url: string) {
    this.#timer = setInterval(() => this.#ask(url), EVERY_MS);
  }

  /** How many had another answer, or none within a second. */
  get failed(): number {
    return this.#failed;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #ask(url: string): void {
    const startMs = performance.now();
    let answered = false;
    const asked = request(url, { agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) }, (response) => {
      answered = true;
      if (response.statusCode === 200) this.latenciesMs.push(performance.now() - startMs);
      else this.#failed++;
      response.on("error", () => {}).resume();
    });
    asked.on("error", () => {
      if (!answered) this.#failed++;
      answered = true;
    });
    asked.end();
  }
}
