import { expect, test } from "vitest";
import { parseAddress, targetsOf } from "../../src/journal/postgres/address.ts";
import { Connection } from "../../src/journal/postgres/connection.ts";
import { migrate } from "../../src/journal/postgres/migrate.ts";
import { MIGRATIONS, type Migration } from "../../src/journal/postgres/schema.ts";
import { eventually } from "../support/eventually.ts";
import { newId, type Received } from "../support/http-client.ts";
import { Site } from "./site.ts";

const CLIENTS = 8;
const ENOUGH = 40;
const ALL_STORED = ["attempts", "compensations", "outbox", "idempotency_keys", "nodes", "waiters", "dead_letters"];

/** What a later version may do while this one runs. */
const EXPAND: Migration = {
  worksWith: 1,
  sql: ALL_STORED.map((table) => `ALTER TABLE ${table} ADD COLUMN since_next text DEFAULT 'next'`).join(";"),
};
/** And what it may not. */
const CONTRACT: Migration = { worksWith: 3, sql: "ALTER TABLE attempts DROP COLUMN amount" };

/** As a node of a later version does it at its start. */
async function upgrade(url: string, migrations: readonly Migration[]) {
  const connection = await Connection.open(targetsOf(parseAddress(url) as never)[0] as never, { name: "next", timeoutMs: 5_000 });
  try {
    return await migrate(connection, migrations);
  } finally {
    connection.close();
  }
}

test("two versions run beside each other: a schema that the older one can use comes under load and fails no request, one that it cannot waits for its end", async () => {
  await using site = await Site.open();
  const nodes = [await site.start("one"), await site.start("two")] as const;
  const answers: (Received | undefined)[] = [];
  let isOn = true;
  const client = async (index: number) => {
    while (isOn) {
      const id = newId("upgrade");
      const headers = { "idempotency-key": id };
      // The second time it is repeated.
      for (const node of index % 2 === 0 ? nodes : nodes.slice(0, 1)) answers.push(await node.order(id, { headers }));
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
  const more = async () => {
    const wanted = answers.length + ENOUGH;
    await eventually("more answers", () => answers.length >= wanted);
  };
  await more();
  const before = await upgrade(site.url, MIGRATIONS);
  expect(await upgrade(site.url, [...MIGRATIONS, EXPAND])).toEqual(before);
  await more();
  expect(await upgrade(site.url, [...MIGRATIONS, EXPAND, CONTRACT])).toEqual({
    failure: "schema 3 would stop the nodes one, two, which run and know up to less than 3",
  });
  // One of the older version, as after a rollback.
  const three = await site.start("three");
  expect(await three.order()).toMatchObject({ status: 200 });
  await more();
  isOn = false;
  await clients;
  expect(answers.filter((answer) => answer?.status !== 200).map((answer) => answer?.text)).toEqual([]);
  expect(await site.count("attempts", "since_next = 'next' AND error IS NULL")).toBeGreaterThanOrEqual(ENOUGH / 2);
  for (const node of [...nodes, three]) {
    expect(node.warnings).toEqual([]);
    expect(await node.stop()).toEqual({ code: 0, signal: null });
  }
  expect(await upgrade(site.url, [...MIGRATIONS, EXPAND, CONTRACT])).toEqual(before);
});
