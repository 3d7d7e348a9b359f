import type { Logger } from "pino";
import type { RetriedCompensation } from "../orders/compensation-call.ts";
import type { OnOrderEnded } from "../orders/ended-order.ts";
import type { SpanData } from "../orders/span-data.ts";
import { spanOfRetry, spansOf } from "./order-span.ts";
import { otlpSender } from "./otlp-sender.ts";
import { SpanQueue } from "./span-queue.ts";

/** Where spans come in from. Main thread only; none of it throws or waits. */
export interface Tracing {
  readonly orderEnded: OnOrderEnded;
  readonly compensationRetried: (retry: RetriedCompensation) => void;
  /** Made by a thread. */
  readonly spansEnded: (spans: readonly SpanData[]) => void;
  /** Spans that did not arrive. */
  readonly dropped: () => number;
  /** Sends what waits, for a second or two at most. */
  close(): Promise<void>;
}

// A collector that works takes what waits in some milliseconds; one that does not must not hold up the end of the process.
const CLOSE_MS = 2_000;

/** Exports spans to the collector at `endpoint`, a base URL. A collector that is not there is one line in the log. */
export async function startTracing(endpoint: string, log: Logger): Promise<Tracing> {
  const sender = await otlpSender(endpoint);
  const queue = new SpanQueue({
    send: sender.send,
    onDown: (down, error) =>
      down
        ? log.warn({ reason: reasonOf(error) }, "spans are lost: the collector does not take them")
        : log.info({ spans_dropped: queue.dropped }, "the collector takes spans again"),
  });
  return {
    orderEnded: (order) => queue.add(spansOf(order)),
    compensationRetried: (retry) => queue.add(spanOfRetry(retry)),
    spansEnded: (spans) => queue.add(spans),
    dropped: () => queue.dropped,
    async close() {
      const left = await queue.close(CLOSE_MS);
      if (left > 0) log.warn({ spans: left }, "spans are lost: the collector did not take them before the end");
      // Waits for a batch that is under way, for as long as the collector likes.
      void sender.close().catch(() => {});
    },
  };
}

/** No more than a code or a class: what the exporter says may hold the endpoint, and with it a key. */
function reasonOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return String(code ?? name);
}
