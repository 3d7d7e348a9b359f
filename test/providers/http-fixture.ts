import { createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { Call } from "../../load/stand-in/call.ts";
import type { FaultMode } from "../../load/stand-in/fault-mode.ts";
import { type StandIn, startStandIn } from "../../load/stand-in/stand-in.ts";
import type { AttemptInput } from "../../src/orders/step.ts";
import { perStep, STEP_TABLE, type StepName } from "../../src/orders/steps.ts";
import type { LogNews } from "../../src/telemetry/thread-news.ts";
import type { Threads } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { NOTHING_LEFT, runStep, startThreads } from "./threads.ts";

export const NOT_COMPENSATED = { status: "failed", kind: "internal", effect: "unknown" };
let faultMode: (call: Call) => FaultMode | undefined = () => undefined;
export const calls: Call[] = [];
export const gone: Call[] = [];
export const logs: LogNews[] = [];
export let standIn: StandIn;
export let threads: Threads;
let nextOrder = 1;

beforeAll(async () => {
  standIn = await startStandIn({
    faultModeOf(call) {
      calls.push(call);
      return faultMode(call);
    },
    onGone: (call) => void gone.push(call),
  });
  // One thread, so that connections can be counted.
  const urls = {
    ...perStep(() => standIn.url),
    payment: `${standIn.url}/`,
    vendor: `${standIn.url}/shop/v1`,
    courier: `${standIn.url}/a/b/`,
  };
  threads = await startThreads(urls, logs, 1);
});
beforeEach(() => {
  faultMode = () => undefined;
  calls.length = 0;
  gone.length = 0;
  logs.length = 0;
});
afterEach(() => {
  expect(threads.counters()).toEqual(NOTHING_LEFT);
  expect(threads.statistics().running).toBe(0);
  expect([...threads.statistics().replaced]).toEqual([]);
  expect(standIn.ledger.snapshot().malformed).toEqual([]);
});
afterAll(async () => {
  await threads.close();
  await eventually("the threads' connections are closed", () => standIn.connections.open === 0);
  await standIn.close();
});

/** How the provider fails until the end of the test. */
export function setFaultMode(ofCall: typeof faultMode): void {
  faultMode = ofCall;
}

export function newOrder(more: Partial<AttemptInput> = {}): AttemptInput {
  return { orderId: `http-${nextOrder++}`, amount: 4200, attempt: 1, ...more };
}

/** Milliseconds in which this machine surely gets two calls done, by how long one takes now. */
export async function longerThanCalls(step: StepName): Promise<number> {
  const startedAt = performance.now();
  await runStep(threads, step, "perform", newOrder());
  calls.length = 0;
  return 50 + 20 * (performance.now() - startedAt);
}

export function ledgerCounts(step: StepName, { orderId, attempt }: AttemptInput): { acted: number; compensated: number } | undefined {
  const entry = standIn.ledger.find(step, `${orderId}:${attempt}:${step}`);
  return entry && { acted: entry.acted.length, compensated: entry.compensated.length };
}

const UNREACHABLE: Record<StepName, string> = {
  ...perStep((step) => STEP_TABLE[step].meaning.unreachable),
  payment: "payment_unavailable",
  vendor: "vendor_unavailable",
  courier: "internal",
};

export const unreachable = (step: StepName, effect: "none" | "unknown") => ({
  status: "failed",
  kind: UNREACHABLE[step],
  effect,
  unavailable: {},
});

/** A server that speaks no HTTP by itself: `respond` gets every connection once a request has come in on it. */
export async function rawServer(respond: (socket: Socket) => void): Promise<{ url: string; sockets: Set<Socket>; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => respond(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    sockets,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
