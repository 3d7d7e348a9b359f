import type { Logger } from "pino";
import type { RetriedCompensation } from "../orders/compensator.ts";
import type { EndedOrder } from "../orders/ended-order.ts";
import type { SpanData } from "../orders/span-data.ts";
import { spanOfRetry, spansOf } from "./order-span.ts";
import { otlpSender } from "./otlp-sender.ts";
import { SpanQueue } from "./span-queue.ts";

/** Takes the spans of the service. */
export type Tracing = Awaited<ReturnType<typeof startTracing>>;

// A healthy collector takes the waiting spans in some milliseconds; another one must not delay the end of the process.
const CLOSE_MS = 2_000;

/** Exports spans to the collector at `endpoint`, a base URL. An unreachable collector is one line in the log. */
export async function startTracing(endpoint: string, log: Logger) {
  const sender = await otlpSender(endpoint);
  const queue = new SpanQueue({
    send: sender.send,
    onDown: (down, error) =>
      down
        ? log.warn({ reason: error === undefined ? "it is too slow" : reasonOf(error) }, "spans are lost: the collector does not take them")
        : log.info({ spans_dropped: queue.dropped }, "the collector takes spans again"),
  });
  return {
    orderEnded: (order: EndedOrder) => queue.add(spansOf(order)),
    compensationRetried: (retry: RetriedCompensation) => queue.add(spanOfRetry(retry)),
    /** Spans that a worker thread has made. */
    spansEnded: (spans: readonly SpanData[]) => queue.add(spans),
    /** How many spans were dropped or lost. */
    dropped: () => queue.dropped,
    /** Sends the waiting spans, for two seconds at most. */
    async close(): Promise<void> {
      const left = await queue.close(CLOSE_MS);
      if (left > 0) log.warn({ spans: left }, "spans are lost: the collector did not take them before the end");
      // Not awaited: it waits for the batch under way without a limit.
      void sender.close().catch(() => {});
    },
  };
}

/** A code or a class only: the exporter's message may quote the endpoint, which may hold a key. */
function reasonOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return String(code ?? name);
}
