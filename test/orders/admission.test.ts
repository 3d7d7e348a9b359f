import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

const LIMIT = 5;
const FOR_EVER_MS = 300_000;
// Of each test another one.
let hot = orderOf("", 0);
// Half of the requests come pipelined on one connection, half on connections of their own.
const HALF = 60;

let running: TestService;

beforeAll(async () => {
  running = await startService({ MAX_IN_FLIGHT: String(LIMIT), ORDER_TIMEOUT_MS: String(FOR_EVER_MS) });
});
afterAll(() => running.stop());

const inFlight = () => running.service.orderService.inFlight;
const stepsRunning = () => running.service.threads.statistics().running;
beforeEach(() => {
  hot = orderOf(newId("hot"), FOR_EVER_MS);
});

function pipelined(order: object, count: number): string {
  const body = JSON.stringify(order);
  return `POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`.repeat(count);
}

/** So many requests that stay until `hangUp` is called. */
function clients(count: number) {
  const gone = new AbortController();
  const answers = Array.from({ length: count }, () => postOrder(running.port, hot, { signal: gone.signal }).catch(() => undefined));
  return { answers, hangUp: () => gone.abort() };
}

/** Everything that the requests held is free again, exactly. */
async function expectAllPlacesBack(): Promise<void> {
  await eventually("the places back", () => inFlight() === 0);
  const answers = await Promise.all(Array.from({ length: LIMIT }, () => postOrder(running.port, orderOf(newId("after"), 0))));
  expect(answers.map(({ status }) => status)).toEqual(Array(LIMIT).fill(200));
  expect(inFlight()).toBe(0);
  const { running: steps, started, finished } = running.service.threads.statistics();
  expect([steps, started - finished]).toEqual([0, 0]);
  expect(running.service.threads.counters()).toMatchObject({ groups: 0, unsettled: 0 });
}

test("requests that wait for another's answer count: 120 for one id and a limit of 5, the first ones pipelined", async () => {
  using pipe = await RawConnection.open(running.port);
  await pipe.write(pipelined(hot, HALF));
  await eventually("the limit", () => inFlight() === LIMIT);
  const { answers } = clients(HALF);
  for (const answer of await Promise.all(answers)) {
    expect(answer).toMatchObject({ status: 503, json: { error: { kind: "overloaded" } } });
    expect(answer?.headers["retry-after"]).toMatch(/^[1-9]/);
  }
  expect(inFlight()).toBe(LIMIT);
  await eventually("its steps", () => stepsRunning() === STEPS.length);
  // A body that breaks a rule gets 400 even then: a retry would not help. And the service is ready.
  expect((await postOrder(running.port, "{}")).status).toBe(400);
  expect((await send(running.port, { path: "/readyz" })).status).toBe(200);
  pipe.socket.destroy();
  await expectAllPlacesBack();
});

test("requests that wait for another's answer count: 120 for one id and a limit of 5, the last ones pipelined", async () => {
  const { answers, hangUp } = clients(HALF);
  const refused: number[] = [];
  for (const answer of answers) void answer.then((received) => received !== undefined && refused.push(received.status));
  await eventually("the refusals", () => refused.length === HALF - LIMIT);
  using pipe = await RawConnection.open(running.port);
  await pipe.write(pipelined(hot, HALF));
  const text = await eventually(
    "all answers",
    () => pipe.received,
    (received) => received.split('"overloaded"').length > HALF,
  );
  expect(text.match(/HTTP\/1\.1 503 /g)).toHaveLength(HALF);
  expect(refused).toEqual(Array(HALF - LIMIT).fill(503));
  expect(inFlight()).toBe(LIMIT);
  expect(stepsRunning()).toBe(STEPS.length);
  hangUp();
  await expectAllPlacesBack();
});

test("a place of one that waits is free as soon as it has left, and the order runs on for the others", async () => {
  const first = clients(1);
  await eventually("the order to run", () => stepsRunning() === STEPS.length);
  const others = clients(LIMIT - 1);
  await eventually("the limit", () => inFlight() === LIMIT);
  others.hangUp();
  await eventually("their places back", () => inFlight() === 1);
  expect(await postOrder(running.port, orderOf(newId("another"), 0))).toMatchObject({ status: 200 });
  expect(running.service.threads.statistics().running).toBe(STEPS.length);
  first.hangUp();
  await expectAllPlacesBack();
});
