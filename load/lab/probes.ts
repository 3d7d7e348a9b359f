import { request } from "node:http";
import { quantile } from "../quantile.ts";

/**
 * A process of its own, as an orchestrator is: asks for a page fifty times a second, on a new connection each time, and measures nothing
 * but the service. In the process of the other clients the turns of their event loop would count as well.
 *
 * Argument: the URL. Prints five times a second how many were answered with 200, how many had another answer or none within a second, and
 * the 99th percentile of those that were answered.
 */
const [url = ""] = process.argv.slice(2);

// So often that within a few seconds there are some beyond the 99th percentile.
const EVERY_MS = 20;
const TELL_EVERY_MS = 200;
// A kubelet's default.
const TIMEOUT_MS = 1_000;

const latenciesMs: number[] = [];
let failed = 0;

function ask(): void {
  const startMs = performance.now();
  let answered = false;
  const asked = request(url, { agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) }, (response) => {
    answered = true;
    if (response.statusCode === 200) latenciesMs.push(performance.now() - startMs);
    else failed++;
    response.on("error", () => {}).resume();
  });
  asked.on("error", () => {
    if (!answered) failed++;
    answered = true;
  });
  asked.end();
}

setInterval(ask, EVERY_MS);
setInterval(() => {
  const p99Ms = latenciesMs.length === 0 ? Number.NaN : quantile(latenciesMs, 0.99);
  process.stdout.write(`${latenciesMs.length} answered, ${failed} failed, p99 ${p99Ms.toFixed(2)} ms\n`);
}, TELL_EVERY_MS);
