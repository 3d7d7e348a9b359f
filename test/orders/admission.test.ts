import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { STEPS } from "../../src/orders/steps.ts";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, type Received, send } from "../support/http-client.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startService, type TestService } from "../support/service.ts";

const LIMIT = 5;
const FOR_EVER_MS = 300_000;
// Of each test another one.
let hot = orderOf("", 0);
const CLIENTS = 120;

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

test(`requests that wait for another's answer count: ${CLIENTS} for one id and a limit of ${LIMIT}`, async () => {
  const { answers, hangUp } = clients(CLIENTS);
  const refused: Received[] = [];
  for (const answer of answers) void answer.then((received) => received !== undefined && refused.push(received));
  await eventually("the refusals", () => refused.length === CLIENTS - LIMIT);
  for (const answer of refused) {
    expect(answer).toMatchObject({ status: 503, json: { error: { kind: "overloaded" } } });
    expect(answer.headers["retry-after"]).toMatch(/^[1-9]/);
  }
  await eventually("its steps", () => stepsRunning() === STEPS.length);
  expect([refused.length, inFlight()]).toEqual([CLIENTS - LIMIT, LIMIT]);
  // A body that breaks a rule gets 400 even then: a retry would not help. And the service is ready.
  expect((await postOrder(running.port, "{}")).status).toBe(400);
  expect((await send(running.port, { path: "/readyz" })).status).toBe(200);
  hangUp();
  await expectAllPlacesBack();
});

test("however many requests a client pipelines, one has a place at a time", async () => {
  const first = clients(1);
  await eventually("its steps", () => stepsRunning() === STEPS.length);
  const body = JSON.stringify(hot);
  using pipe = await RawConnection.open(running.port);
  await pipe.write(`POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`.repeat(2 * LIMIT));
  await eventually("a place for it", () => inFlight() === 2);
  const others = clients(LIMIT - 2);
  await eventually("the limit", () => inFlight() === LIMIT);
  pipe.socket.destroy();
  // The order runs on, and none of those behind it in the pipe ever had a place.
  await eventually("its place back", () => inFlight() === LIMIT - 1);
  expect(stepsRunning()).toBe(STEPS.length);
  others.hangUp();
  first.hangUp();
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
