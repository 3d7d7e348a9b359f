import express from "express";
import { afterEach, expect, test } from "vitest";
import { type AdminParts, adminApp } from "../../src/admin/admin-app.ts";
import { diagnosisRoutes } from "../../src/admin/diagnosis-routes.ts";
import { LiveEvents } from "../../src/admin/live/live-events.ts";
import { LiveFeed } from "../../src/admin/live/live-feed.ts";
import { Metrics } from "../../src/admin/metrics.ts";
import { TraceRecorder } from "../../src/diagnosis/trace-recorder.ts";
import type { Listener } from "../../src/http/listener.ts";
import { addRoutes } from "../../src/http/routes.ts";
import { JournalBusy, JournalUnavailable } from "../../src/orders/order-journal.ts";
import { perStep } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { listenPlainly } from "./listen-plainly.ts";
import { QUIET } from "./quiet-sources.ts";

const ROUTES: readonly (readonly [method: string, path: string, body?: object])[] = [
  ["GET", "/orders"],
  ["GET", "/orders/a"],
  ["GET", "/compensations"],
  ["POST", "/compensations/1/retry"],
  ["POST", "/compensations/1/settle", { note: "by hand" }],
  ["GET", "/dead-letters"],
  ["POST", "/dead-letters/1/redeliver"],
  ["GET", "/webhooks"],
  ["GET", "/nodes"],
  ["POST", "/backup", { name: "a.db" }],
];

let listener: Listener | undefined;
afterEach(() => listener?.close());

/** The admin listener over a journal that answers everything with this error. */
async function startWith(error: Error, faults: unknown[]): Promise<number> {
  const fails = () => Promise.reject(error);
  const journal: AdminParts["journal"] = {
    find: fails,
    rowIdOf: () => 1,
    orders: fails,
    compensations: fails,
    compensation: fails,
    takeCompensation: fails,
    settleCompensation: fails,
    deadLetters: fails,
    redeliver: fails,
    noteAction: fails,
    actionsOn: fails,
    backlog: fails,
    backup: fails,
    restore: fails,
    heldAttempts: fails,
    confirmRestore: fails,
    nodes: fails,
  };
  const threads = { ...QUIET.threads, killThread: () => undefined };
  const capacity = { limit: 1, inUse: 0, waiting: 0 };
  const app = adminApp({
    ...QUIET,
    readiness: () => "ready",
    threads,
    orderService: { inFlight: 0, place: fails },
    onRefused: () => {},
    live: new LiveFeed(new LiveEvents(), {
      ...QUIET,
      longSteps: { mark: () => {}, sample: () => [], forget: () => {} },
      capacities: perStep(() => capacity),
      circuitState: () => "closed",
      backlog: fails,
      simulated: false,
      onFault: () => {},
    }),
    metrics: new Metrics(),
    traces: new TraceRecorder(),
    journal,
    backlog: fails,
    compensator: { tryNow: async () => {}, waitsFor: () => "bulkhead" },
    backups: { directory: "/nowhere", store: "file" },
    onDue: () => {},
    onAction: () => {},
    onFault: (_message, fault) => faults.push(fault),
  });
  listener = await listenPlainly(app);
  return listener.port;
}

test("a journal with too many reads is overloaded, and says when to come again", async () => {
  const faults: unknown[] = [];
  const port = await startWith(new JournalBusy("256 reads wait already"), faults);
  for (const [method, path, body] of ROUTES) {
    const { status, headers, json } = await send(port, { method, path, body });
    expect([path, status, json.error]).toEqual([path, 503, { kind: "overloaded", message: "the journal is busy: 256 reads wait already" }]);
    expect(headers["retry-after"]).toMatch(/^[1-9]\d*$/);
  }
  expect(faults).toEqual([]);
  expect((await send(port, { path: "/metrics" })).status).toBe(200);
});

test("a journal that cannot be used says why", async () => {
  const faults: unknown[] = [];
  const port = await startWith(new JournalUnavailable("the disk is full (SQLite 13: database or disk is full)"), faults);
  for (const [method, path, body] of ROUTES) {
    const { status, json } = await send(port, { method, path, body });
    const message = "the journal could not do that: the disk is full (SQLite 13: database or disk is full)";
    expect([path, status, json.error]).toEqual([path, 500, { kind: "internal", message }]);
  }
  expect(faults).toEqual([]);
});

test("a bug goes to the log, and the operator gets 500 without details", async () => {
  const faults: unknown[] = [];
  const port = await startWith(new TypeError("x is undefined"), faults);
  for (const [method, path, body] of ROUTES) {
    const { status, json } = await send(port, { method, path, body });
    expect([path, status, json.error]).toEqual([path, 500, { kind: "internal", message: "internal error" }]);
  }
  expect(faults).toHaveLength(ROUTES.length);
});

// More than the kernel keeps for a connection.
const LARGE = "x".repeat(12 * 1024 * 1024);
const UNREAD_MS = 500;

test("a client that does not read its trace is cut off, and the next one is served; who reads has all of it", async () => {
  let recording = 0;
  const traces = {
    get isRecording() {
      return recording > 0;
    },
    record(out: NodeJS.WritableStream) {
      recording++;
      out.once("close", () => recording--);
      out.end(LARGE);
    },
  };
  const app = express();
  addRoutes(
    app,
    diagnosisRoutes(traces, () => [], UNREAD_MS),
  );
  const own = await listenPlainly(app);
  listener = own;
  const path = "/debug/trace?seconds=1";
  using unread = await RawConnection.open(own.port);
  unread.socket.pause();
  await unread.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await eventually("the answer begins", () => unread.socket.readableLength > 0);
  expect((await send(own.port, { path })).status).toBe(503);
  await eventually("the cut", () => own.connections.open === 0);
  const read = await send(own.port, { path });
  expect([read.status, read.text.length]).toEqual([200, LARGE.length]);
});
