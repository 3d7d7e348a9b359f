import { startCpuProfile } from "node:v8";
import { describe, expect, test } from "vitest";
import { mendProfile } from "../../src/diagnosis/thread-inspector.ts";
import { CancelScope } from "../../src/threads/index.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, type Received, send } from "../support/http-client.ts";
import { startService, type TestService } from "../support/service.ts";

const LONG = 60_000;
const SETTINGS = { THREADS: "1", CPU_THREADS: "1", ORDER_TIMEOUT_MS: "60000", CANCEL_GRACE_MS: "20000" };

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string } }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** A profile as DevTools opens it: samples point to nodes, and each has its time. */
function profileIn({ status, headers, json }: Received): Profile {
  expect([status, headers["content-type"]]).toEqual([200, "application/json; charset=utf-8"]);
  const { nodes, samples, timeDeltas, startTime, endTime }: Profile & { startTime: number; endTime: number } = json;
  const ids = new Set(nodes.map(({ id }) => id));
  expect(samples.length).toBeGreaterThan(0);
  expect(timeDeltas.length).toBe(samples.length);
  expect(samples.filter((id) => !ids.has(id))).toEqual([]);
  expect(endTime).toBeGreaterThan(startTime);
  return json;
}

const functionsOf = ({ nodes }: Profile) => nodes.map(({ callFrame }) => callFrame.functionName);

function threadOf({ service }: TestService, pool: string): number {
  return service.threads.statistics().threads.find((thread) => thread.pool === pool)?.id ?? Number.NaN;
}

/** Places an order that computes until the client hangs up. */
async function computing(running: TestService): Promise<AbortController> {
  const client = new AbortController();
  void postOrder(running.port, { ...orderOf(newId("computes"), 0), cpu_ms: { vendor: LONG } }, { signal: client.signal }).catch(() => {});
  const { threads, capacities } = running.service;
  await eventually("it to compute", () =>
    threads.statistics().threads.some((thread) => thread.pool === "exclusive" && thread.running === 1),
  );
  // Until then the shared thread may have more steps in flight, and the chaos route kills the busiest thread.
  await eventually("its other steps to end", () => capacities.payment.inUse === 0 && capacities.courier.inUse === 0);
  return client;
}

describe("GET /debug/profile", () => {
  test("shows what the main thread does, and what a thread does that never returns to its event loop", async () => {
    await using running = await startService(SETTINGS, { exclusiveAtStart: true });
    const { inspector } = running.service;
    const id = threadOf(running, "exclusive");
    const worker = send(running.adminPort, { path: `/debug/profile?thread=${id}&seconds=1` });
    await eventually("the profile", () => inspector.busy);
    const client = await computing(running);
    const received = await worker;
    expect(functionsOf(profileIn(received))).toContain("compute");
    expect(received.headers["content-disposition"]).toMatch(
      new RegExp(`^attachment; filename="orders-thread-${id}-1s-[\\dTZ-]+\\.cpuprofile"$`),
    );
    // One that begins in the midst of the loop gets its samples too. (V8 does not name code that it replaced under a loop before.)
    expect(JSON.parse(await inspector.cpuProfile(id, 100, new CancelScope())).samples.length).toBeGreaterThan(0);
    client.abort();

    let over = false;
    const main = send(running.adminPort, { path: "/debug/profile?seconds=1" }).finally(() => (over = true));
    while (!over) await postOrder(running.port, orderOf(newId("meanwhile"), 0));
    const profile = await main;
    expect(functionsOf(profileIn(profile))).not.toContain("compute");
    expect(profile.headers["content-disposition"]).toMatch(/filename="orders-main-1s-/);
    expect(inspector.busy).toBe(false);
  });

  test("one at a time; a client that hangs up makes room and leaves nothing behind", async () => {
    await using running = await startService(SETTINGS, { exclusiveAtStart: true });
    const { inspector } = running.service;
    await postOrder(running.port, orderOf(newId("warm"), 0));
    const before = timers();
    for (const thread of [0, threadOf(running, "shared")]) {
      const client = new AbortController();
      const answer = send(running.adminPort, { path: `/debug/profile?thread=${thread}&seconds=60`, signal: client.signal }).catch(
        () => "hung up",
      );
      await eventually("the profile", () => inspector.busy);
      for (const other of ["", `&thread=${threadOf(running, "shared")}`]) {
        const refused = await send(running.adminPort, { path: `/debug/profile?seconds=1${other}` });
        expect([refused.status, refused.json.error]).toEqual([
          503,
          { kind: "overloaded", message: "a profile is being taken, and there is one at a time" },
        ]);
      }
      client.abort();
      expect(await answer).toBe("hung up");
      await eventually("room", () => !inspector.busy);
    }
    await eventually("no timer to be left", () => timers() <= before);
  });

  test("says at once that its thread has ended", async () => {
    await using running = await startService(SETTINGS, { exclusiveAtStart: true });
    const client = await computing(running);
    const id = threadOf(running, "exclusive");
    const answer = send(running.adminPort, { path: `/debug/profile?thread=${id}&seconds=60` });
    await eventually("the profile", () => running.service.inspector.busy);
    expect((await send(running.adminPort, { method: "POST", path: "/chaos/kill-thread" })).json.killed).toBe(id);
    const { status, json } = await answer;
    expect([status, json.error]).toEqual([500, { kind: "internal", message: `thread ${id} has ended meanwhile` }]);
    expect(running.service.inspector.busy).toBe(false);
    client.abort();
  });
});

test("a thread that there is not is named, and what is no id at all", async () => {
  await using running = await startService(SETTINGS, { exclusiveAtStart: true });
  const rule = "thread: must be the id of a thread as GET /debug/threads shows it, or 0 for the main thread";
  const path = "/debug/profile?seconds=1&thread=";
  const unknown = await send(running.adminPort, { path: `${path}4711` });
  expect([unknown.status, unknown.json.error]).toEqual([
    404,
    { kind: "not_found", message: `${rule}; no thread of the pools has the id 4711` },
  ]);
  for (const wrong of ["main", "-1", "1e3", "01", "1&thread=2"]) {
    const { status, json } = await send(running.adminPort, { path: path + wrong });
    expect([wrong, status, json.error]).toEqual([wrong, 400, { kind: "bad_request", message: rule }]);
  }
  expect(running.service.inspector.busy).toBe(false);
});

const NODE = '{"nodes":[{"callFrame":{"functionName":"';
const REST = '","lineNumber":-1}},{"callFrame":{"functionName":"f","lineNumber":2}}]}';

test.each(["RegExp: ^[^/\\\\%]+\\d", 'RegExp: "\\w*?"', 'RegExp: ","line', "(idle)"])("a profile with the name %s is JSON", (name) => {
  const { nodes } = JSON.parse(mendProfile(NODE + name + REST));
  expect(nodes.map(({ callFrame }: { callFrame: { functionName: string } }) => callFrame.functionName)).toEqual([name, "f"]);
});

test("one that V8 took beside regular expressions is JSON", () => {
  const profile = startCpuProfile();
  const text = `"a${"a".repeat(2_000)}"`;
  for (const endMs = performance.now() + 100; performance.now() < endMs; ) text.replace(/"\w*?\d"/g, "");
  expect(JSON.parse(mendProfile(profile.stop())).nodes.length).toBeGreaterThan(1);
});
