import type { SpanData } from "../orders/span-data.ts";

/** What steps post beside their outcomes. */
export type ThreadNews = SpansNews | LogNews;

export interface SpansNews {
  readonly type: "spans";
  readonly spans: readonly SpanData[];
}

export interface LogNews {
  readonly type: "log";
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const LEVELS: readonly unknown[] = ["debug", "info", "warn", "error"];

/** Undefined for anything else: whatever a step loads may post as well. Main thread. */
export function parseThreadNews(value: unknown): ThreadNews | undefined {
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  const { type, spans, level, message, fields } = value as Record<string, unknown>;
  if (type === "spans")
    return Array.isArray(spans) && spans.every((span) => typeof span?.spanId === "string") ? (value as SpansNews) : undefined;
  const isLog = type === "log" && LEVELS.includes(level) && typeof message === "string" && typeof fields === "object" && fields !== null;
  return isLog ? (value as LogNews) : undefined;
}
