import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { seedOf } from "../support/seed.ts";
import { Fixture } from "./fixture.ts";
import { accept, type Behavior, hangUp, refuse } from "./receiver.ts";

const EVENTS = 1_000;
const ORDERS = 60;

test("whatever the receiver, the journal and restarts do: every event, in order per order, signed", async () => {
  const seed = seedOf("SEED");
  console.log(`SEED=${seed}`);
  const random = randomFrom(seed);
  const chance = (share: number) => random() < share;
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  await using fixture = await Fixture.open({ random, maxRequests: 8 });

  const late: Behavior = (arrival, response, request) => {
    const later = (turns: number): void => void (turns === 0 ? accept(arrival, response, request) : setImmediate(later, turns - 1));
    later(Math.floor(random() * 30));
  };
  const faulty: readonly Behavior[] = [
    hangUp,
    (_arrival, response) => void response.socket?.end("HTTP/1.1 200 OK\r\n"),
    (_arrival, response) => void response.writeHead(200, { "content-length": 9 }).write("half", () => response.destroy()),
    // Taken in, but the receiver's word of it is lost.
    (arrival, response, request) => {
      request.socket.destroy();
      return accept(arrival, response, request);
    },
    refuse(500),
    refuse(404),
    refuse(302, { location: "/" }),
    refuse(429),
    refuse(503, { "retry-after": "2" }),
    fixture.receiver.keepSilent,
  ];
  let faultRate = 0.1;
  fixture.receiver.behavior = (arrival, response, request) => pick(chance(faultRate) ? faulty : [accept, late])(arrival, response, request);

  fixture.delivery.start();
  let restarts = 0;
  while (fixture.outbox.events.length < EVENTS) {
    for (let count = Math.floor(random() * 60); count > 0; count--) fixture.add(`order ${Math.floor(random() * ORDERS)}`);
    fixture.delivery.notify();
    faultRate = pick([0, 0.1, 0.5, 1]);
    if (chance(0.9)) await fixture.receiver.listen();
    fixture.outbox.unavailable = chance(0.1);
    // An hour at most: nothing is to be given up here.
    const untilMs = fixture.clock.nowMs() + pick([0, 1_000, 60_000, 600_000]);
    const left = fixture.outbox.size * random();
    await fixture.until(() => fixture.outbox.size <= left || fixture.clock.nowMs() >= untilMs);
    if (chance(0.2)) {
      restarts++;
      await fixture.restart();
    }
    if (chance(0.5)) await fixture.receiver.close();
  }

  fixture.outbox.unavailable = false;
  faultRate = 0;
  await fixture.receiver.listen();
  await fixture.delivered();
  fixture.expectAllInOrder();
  expect(fixture.outbox.dead.size).toBe(0);
  expect(restarts).toBeGreaterThan(0);
  expect(fixture.delivery.state()).toEqual({ receiver: "up", inFlight: 0 });
}, 120_000);
