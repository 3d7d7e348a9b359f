import { expect, test } from "vitest";
import { accept, type Behavior, hangUp, refuse } from "./receiver.ts";
import { Rig } from "./rig.ts";
import { seeded, takeSeed } from "./seed.ts";

const EVENTS = 3_000;
const ORDERS = 150;

test("whatever the receiver, the journal and restarts do: every event, in order per order, signed", async () => {
  const random = seeded(takeSeed());
  const chance = (share: number) => random() < share;
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  await using rig = await Rig.open({ random, maxRequests: 8 });

  const late: Behavior = (arrival, response, request) => {
    const later = (turns: number): void => void (turns === 0 ? accept(arrival, response, request) : setImmediate(later, turns - 1));
    later(Math.floor(random() * 30));
  };
  const ill: readonly Behavior[] = [
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
    rig.receiver.keepSilent,
  ];
  let illness = 0.1;
  rig.receiver.behavior = (arrival, response, request) => pick(chance(illness) ? ill : [accept, late])(arrival, response, request);

  rig.delivery.start();
  let restarts = 0;
  while (rig.outbox.events.length < EVENTS) {
    for (let count = Math.floor(random() * 60); count > 0; count--) rig.add(`order ${Math.floor(random() * ORDERS)}`);
    rig.delivery.notify();
    illness = pick([0, 0.1, 0.5, 1]);
    if (chance(0.9)) await rig.receiver.listen();
    rig.outbox.unavailable = chance(0.1);
    // An hour at most: nothing is to be given up here.
    const untilMs = rig.clock.nowMs() + pick([0, 1_000, 60_000, 600_000]);
    const left = rig.outbox.size * random();
    await rig.until(() => rig.outbox.size <= left || rig.clock.nowMs() >= untilMs);
    if (chance(0.2)) {
      restarts++;
      await rig.restart();
    }
    if (chance(0.5)) await rig.receiver.close();
  }

  rig.outbox.unavailable = false;
  illness = 0;
  await rig.receiver.listen();
  await rig.delivered();
  rig.expectAllInOrder();
  expect(rig.outbox.dead.size).toBe(0);
  expect(restarts).toBeGreaterThan(0);
  expect(rig.delivery.state()).toEqual({ receiver: "up", inFlight: 0 });
}, 120_000);
