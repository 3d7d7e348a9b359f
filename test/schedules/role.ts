import type { LayoutHandle } from "../../src/threads/layout.ts";

/** What a thread of a scenario does. */
export interface Role {
  readonly layout: LayoutHandle;
  /** A schedule begins; what it does here comes before the switches that are explored. */
  begin(): void;
  take(message: string): void;
}
