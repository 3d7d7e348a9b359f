import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CancelScope, type GroupOptions } from "../../../src/threads/index.ts";
import { eventually } from "../../support/eventually.ts";
import { ASKED, ENDS, type tasks } from "./hearing-tasks.ts";
import { type Cause, Opened } from "./opened.ts";

type Tasks = typeof tasks;

let opened: Opened<Tasks>;
/** Answers nothing. A request for `/n` adds to counter n; `hungUp` has the paths of those that were hung up on. */
let server: Server;
let url: string;
const hungUp: string[] = [];

beforeAll(async () => {
  opened = await Opened.open<Tasks>({ file: "./hearing-tasks.ts", exclusive: 1, graceMs: 60_000 });
  server = createServer((request, response) => {
    response.once("close", () => hungUp.push(request.url ?? ""));
    opened.counters.add(Number(request.url?.slice(1)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await opened.threads.close();
  server.closeAllConnections();
  server.close();
});

const stopped = (cause: string) => ({ status: "canceled", cause, started: true, stopped: true, progress: undefined });

test.each(ASKED)("%s is the first that sees a cancel: in the same turn all others know", async (asked) => {
  const { threads, counters } = opened;
  const [began = 0, gate = 0] = opened.take(2);
  await using group = threads.group();
  const task = group.run("asks", { asked, began, gate });
  await counters.reached(began);
  group.cancel("superseded");
  counters.add(gate);
  expect(await task).toEqual({
    // Nobody had told it.
    before: { aborted: false, cause: undefined },
    after: { aborted: true, reason: "superseded", cause: "superseded", listened: ["superseded"] },
  });
});

test("a sleep, a call, a listener, a loop that yields and one that never awaits hear it, all on threads that live on", async () => {
  const { threads, counters } = opened;
  const [began = 0, requested = 0] = opened.take(2);
  await using group = threads.group();
  group.run("sleeps", began);
  group.run("calls", { url: `${url}/${requested}`, began });
  group.run("listens", began);
  group.run("yields", began);
  group.run("computes", began, { on: "exclusive" });
  await counters.reached(began, 5);
  await counters.reached(requested);
  expect(threads.statistics().running).toBe(5);
  group.cancel("superseded");
  const { outcomes, cause } = await group.join();
  expect({ outcomes, cause }).toEqual({ outcomes: Array.from({ length: 5 }, () => stopped("superseded")), cause: "superseded" });
  await eventually("the call was hung up on", () => hungUp.includes(`/${requested}`));
  expect(opened.replaced).toEqual([]);
  opened.expectIdle();
});

interface Way {
  readonly cause: string;
  /** The options of the group, and what cancels it once its tasks run. */
  open(): { options: GroupOptions<Cause>; cancel: (group: ReturnType<Opened<Tasks>["threads"]["group"]>) => unknown };
}

const WAYS: Record<string, Way> = {
  "a deadline": { cause: "deadline", open: () => ({ options: {}, cancel: ({ scope }) => scope.cancelAfter(1) }) },
  "a sibling's failure": { cause: "sibling_failed", open: () => ({ options: {}, cancel: (group) => group.run("fails", undefined) }) },
  "an AbortSignal": {
    cause: "aborted",
    open() {
      const controller = new AbortController();
      return { options: { signal: controller.signal }, cancel: () => controller.abort() };
    },
  },
  "a parent": {
    cause: "superseded",
    open() {
      const parent = new CancelScope<Cause>();
      return { options: { parent }, cancel: () => parent.cancel("superseded") };
    },
  },
  "the end of its block": { cause: "aborted", open: () => ({ options: {}, cancel: (group) => void group[Symbol.asyncDispose]() }) },
};

test.each(Object.entries(WAYS))("by %s: tasks that wait and tasks that compute hear its cause", async (_way, { cause, open }) => {
  const { threads, counters } = opened;
  const [began = 0] = opened.take(1);
  const { options, cancel } = open();
  await using group = threads.group(options);
  const all = [group.run("sleeps", began), group.run("computes", began, { on: "exclusive" })];
  await counters.reached(began, 2);
  cancel(group);
  expect(await Promise.all(all.map(({ outcome }) => outcome))).toEqual([stopped(cause), stopped(cause)]);
});

test("the end of a block that returns what join gives cancels nothing, and waits", async () => {
  const { threads, counters } = opened;
  const [began = 0, gate = 0] = opened.take(2);
  const group = threads.group();
  async function block() {
    await using own = group;
    own.run("asks", { asked: "signal", began, gate });
    return own.join();
  }
  const result = block();
  await counters.reached(began);
  expect(group.scope.cause).toBeUndefined();
  counters.add(gate);
  expect(await result).toMatchObject({ outcomes: [{ status: "ok" }], cause: undefined });
});

test("by close: the tasks hear its cause, too", async () => {
  const own = await Opened.open<Tasks>({ file: "./hearing-tasks.ts", exclusive: 1, graceMs: 60_000 });
  const [began = 0] = own.take(1);
  await using group = own.threads.group();
  const all = [group.run("sleeps", began), group.run("computes", began, { on: "exclusive" })];
  await own.counters.reached(began, 2);
  const closed = own.threads.close();
  expect(await Promise.all(all.map(({ outcome }) => outcome))).toEqual([stopped("closed"), stopped("closed")]);
  await closed;
  expect(own.threads.alive).toBe(0);
});

test.each(ENDS)("a task %s: what it left behind is stopped, whatever it does, and its thread lives on", async (end) => {
  const { threads, counters } = opened;
  const [began = 0, gate = 0, requested = 0] = opened.take(3);
  const isCanceled = end === "hears its cancel";
  const cause = isCanceled ? "superseded" : "ended";
  opened.messages.length = 0;
  await using group = threads.group();
  const task = group.run("leaves", { end, url: `${url}/${requested}`, requested, began, gate });
  await counters.reached(began);
  if (isCanceled) group.cancel("superseded");
  const { status } = await task.outcome;
  expect(status).toBe(isCanceled ? "canceled" : end === "returns a value" ? "ok" : "failed");
  await group.join();
  const heardAtOnce = ["call", "signal", "sleep"].map((what) => `${what}: ${cause}`);
  await eventually(
    "the end was heard",
    () => opened.messages.toSorted(),
    (heard) => heard.length >= heardAtOnce.length,
  );
  expect(opened.messages.toSorted()).toEqual(heardAtOnce);
  await eventually("the call was hung up on", () => hungUp.includes(`/${requested}`));
  // The work that is left goes on only now, long after the end.
  counters.add(gate);
  await eventually("it has asked in every way", () => opened.messages.length >= heardAtOnce.length + ASKED.length);
  expect(opened.messages.slice(heardAtOnce.length)).toEqual(ASKED.map((asked) => `${asked} later: ${cause}`));
  expect([opened.replaced, opened.faults]).toEqual([[], []]);
  opened.expectIdle();
});
