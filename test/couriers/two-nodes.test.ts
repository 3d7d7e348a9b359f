import { expect, test } from "vitest";
import { CourierShare } from "../../src/couriers/courier-share.ts";
import { SharedCapacity } from "../../src/couriers/shared-capacity.ts";
import { shareCouriers } from "../../src/journal/postgres/courier-shares.ts";
import { monotonicMs } from "../../src/threads/index.ts";
import { eventually } from "../support/eventually.ts";
import { SharesDatabase } from "./shares-database.ts";

const TOTAL = 5;

/** A node at which more orders wait for couriers than there are, each of which keeps its courier until `isOpen` says no. */
async function node(database: SharesDatabase, isOpen: () => boolean) {
  const [sql, life] = [await database.sql(), await database.begin()];
  const capacity = new SharedCapacity(TOTAL);
  const faults: unknown[] = [];
  const couriers = new CourierShare({
    capacity,
    total: TOTAL,
    cancelGraceMs: 250,
    sureUntilMs: () => monotonicMs() + 5_000,
    sync: (request) => shareCouriers(sql, () => life, request),
    onFault: (_message, error) => faults.push(error),
  });
  const client = async () => {
    while (isOpen()) {
      using _permit = await capacity.acquire();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const clients = Promise.all(Array.from({ length: 2 * TOTAL }, client));
  return { life, capacity, couriers, faults, clients };
}

test("two nodes share by the database; the couriers of one that has ended are used by the other; in the end all are given back", async () => {
  await using database = await SharesDatabase.open();
  let isOpen = true;
  const [a, b] = [await node(database, () => isOpen), await node(database, () => isOpen)];
  const held = async () => (await database.alive()).map((each) => each.held);
  await eventually("each has its part", held, ([ofA = 0, ofB = 0]) => ofA >= 2 && ofB >= 2 && ofA + ofB === TOTAL);
  a.couriers.stop();
  await database.end(a.life);
  await eventually(
    "the other uses all",
    () => b.capacity.inUse,
    (inUse) => inUse === TOTAL,
  );
  isOpen = false;
  await b.clients;
  await eventually("all are given back", held, ([ofB]) => ofB === 0);
  b.couriers.stop();
  expect([a.faults, b.faults]).toEqual([[], []]);
});
