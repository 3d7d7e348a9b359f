/** A span of an order's trace as plain data, made on any thread. Times are on the clock of `monotonicMs`. */
export interface SpanData {
  readonly name: string;
  /** `server`: an order; `internal`: one of its steps; `client`: a call to a provider. */
  readonly kind: "server" | "internal" | "client";
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the root of a trace. */
  readonly parentSpanId: string | undefined;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** What went wrong, in a word or two; undefined where nothing did. */
  readonly error: string | undefined;
  readonly events: readonly SpanEvent[];
}

export interface SpanEvent extends Pick<SpanData, "name" | "attributes"> {
  readonly atMs: number;
}
