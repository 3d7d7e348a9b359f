import type { Logger } from "pino";
import { LiveEvents } from "../admin/live/live-events.ts";
import { Metrics } from "../admin/metrics.ts";
import type { Config } from "../config.ts";
import { TraceRecorder } from "../diagnosis/trace-recorder.ts";
import { FaultLog } from "../fault-log.ts";
import { TooManyConnections } from "../http/listener.ts";
import type { EndedOrder, OnOrderEnded } from "../orders/ended-order.ts";
import type { ErrorKind } from "../orders/error-kind.ts";
import type { OnFault } from "../orders/faults.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { orderLog } from "../telemetry/order-log.ts";
import { startTracing, type Tracing } from "../telemetry/tracing.ts";

/** All that is told what happens. They ask nothing of the service, so they are there before it. */
export class Observers {
  readonly log: Logger;
  readonly faults: FaultLog;
  readonly metrics = new Metrics();
  readonly live = new LiveEvents();
  readonly traces = new TraceRecorder();
  /** Absent where no collector is configured. */
  readonly tracing: Tracing | undefined;
  readonly #ended: readonly OnOrderEnded[];

  private constructor(log: Logger, tracing: Tracing | undefined) {
    this.log = log;
    this.tracing = tracing;
    this.faults = new FaultLog({ log, expected: [JournalUnavailable, TooManyConnections] });
    const { metrics, traces, live } = this;
    this.#ended = [
      (order) => metrics.orders.ended(order),
      (order) => traces.ended(order),
      (order) => live.orderEnded(order),
      ...(log.isLevelEnabled("info") ? [orderLog(log)] : []),
      ...(tracing === undefined ? [] : [tracing.orderEnded]),
    ];
  }

  static async start({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }: Config, log: Logger): Promise<Observers> {
    return new Observers(log, endpoint === undefined ? undefined : await startTracing(endpoint, log));
  }

  readonly onFault: OnFault = (message, error, fields) => this.faults.report(message, error, fields);

  readonly onOrderEnded = (order: EndedOrder): void => {
    for (const observe of this.#ended) observe(order);
  };

  readonly onRefused = (kind: ErrorKind): void => {
    this.metrics.orders.refused(kind);
    this.live.orderRefused(kind);
  };

  readonly onCommit = (requests: number, milliseconds: number): void => {
    this.metrics.committed(milliseconds);
    this.live.committed(requests, milliseconds);
  };

  readonly onReplaced = (pool: string, thread: number, reason: string): void => {
    this.log.warn({ pool, thread, reason }, "thread replaced");
    this.live.threadReplaced(pool, thread, reason);
    this.traces.replaced({ id: thread, pool }, reason);
  };

  async close(): Promise<void> {
    await this.tracing?.close();
    this.faults.close();
  }
}
