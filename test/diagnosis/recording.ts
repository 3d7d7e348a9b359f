import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type Received, send } from "../support/http-client.ts";
import type { TestService } from "../support/service.ts";
import { type CheckedEvent, offencesIn } from "./trace-format.ts";

/** A trace that has passed the check. */
export interface Trace {
  readonly events: readonly CheckedEvent[];
  readonly otherData: Readonly<Record<string, unknown>>;
  readonly received: Received;
  /** The name of an event's track. */
  trackOf(event: CheckedEvent): string;
}

/** Records until `during` is through, however long that takes. */
export async function traceOf({ service, adminPort }: TestService, during: () => Promise<void>): Promise<Trace> {
  const received = send(adminPort, { path: "/debug/trace?seconds=60" });
  await eventually("the recording", () => service.traces.isRecording);
  await during();
  service.traces.close();
  return checked(await received);
}

export function checked(received: Received): Trace {
  expect([received.status, received.headers["content-type"]]).toEqual([200, "application/json; charset=utf-8"]);
  const { traceEvents: events, otherData } = received.json;
  expect(offencesIn(received.json)).toEqual([]);
  const names = new Map<number, string>(
    events.filter(({ name }: CheckedEvent) => name === "thread_name").map(({ tid, args }: CheckedEvent) => [tid, args.name]),
  );
  return { events, otherData, received, trackOf: ({ tid }) => names.get(tid) ?? "" };
}
