import { Client } from "pg";
import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { Journal } from "../../src/journal/journal.ts";
import { parseAddress, targetsOf } from "../../src/journal/postgres/address.ts";
import { Connection } from "../../src/journal/postgres/connection.ts";
import { holdEverything } from "../../src/journal/postgres/continuity.ts";
import type { PostgresStore } from "../../src/journal/postgres/postgres-store.ts";
import { LOCK_CLASS } from "../../src/journal/postgres/schema.ts";
import type { AcceptResult } from "../../src/orders/order-journal.ts";
import { CLUSTER, JournalFixture, keyOf, NOW, pending } from "../journal/journal-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { seedOf } from "../support/seed.ts";

// Two nodes on one database get the same orders and keys at one time.

const SEED = seedOf("CONTESTED_SEED");
const REQUESTS = 3_000;
const ORDERS = 400;
const KEYS = 300;
const CLIENTS = 200;

interface Asked {
  readonly orderId: string;
  readonly amount: number;
  readonly key: string | undefined;
}

test("two nodes accept no order twice, bind no key to two orders and change no answer", async () => {
  console.log(`CONTESTED_SEED=${SEED}`);
  const drawn = randomFrom(SEED);
  const random = (below: number) => Math.floor(drawn() * below);
  await using fixture = await JournalFixture.open("postgres", { events: true });
  const other = await Journal.open(fixture.file, { events: true, cluster: CLUSTER });
  try {
    const nodes = [fixture.journal, other] as const;
    const accepted = new Map<string, number>();
    const answers = new Map<string, string>();
    const ofKey = new Map<string, string>();
    const twice: string[] = [];
    const seen = { accepted: 0, running: 0, replayed: 0, conflict: 0, mismatch: 0, held: 0 };

    async function ask(node: Journal, { orderId, amount, key }: Asked): Promise<void> {
      // Another body under a key: what it names is hashed.
      const body = key === undefined ? undefined : keyOf(key, `${orderId} ${amount}`);
      const result = await node.accept({ orderId, amount, nowMs: NOW, ...(body !== undefined && { key: body }) });
      seen[result.type]++;
      note(result, orderId, key);
      if (result.type !== "accepted") return;
      const answer = { json: JSON.stringify({ order_id: orderId, attempt: result.attempt }) };
      await node.finish({ orderId, attempt: result.attempt, answer, answered: true, compensations: [], nowMs: NOW });
    }

    function note(result: AcceptResult, orderId: string, key: string | undefined): void {
      if (result.type === "accepted") {
        const count = (accepted.get(orderId) ?? 0) + 1;
        accepted.set(orderId, count);
        if (count > 1) twice.push(orderId);
      }
      if (result.type === "replayed") {
        const before = answers.get(orderId) ?? result.answer.json;
        answers.set(orderId, before);
        if (before !== result.answer.json || !before.includes(`"${orderId}"`)) twice.push(`answer of ${orderId}`);
      }
      if (key !== undefined && ["accepted", "replayed", "running"].includes(result.type)) {
        const bound = ofKey.get(key) ?? orderId;
        ofKey.set(key, bound);
        if (bound !== orderId) twice.push(`key ${key}`);
      }
    }

    // First without keys, so that nothing is looked up before; then with some.
    for (const share of [0, 2]) {
      const asked = Array.from({ length: REQUESTS / 2 }, (): [number, Asked] => {
        const number = random(ORDERS) + share * ORDERS;
        const key = random(3) < share ? `k${random(KEYS)}` : undefined;
        return [random(2), { orderId: `o${number}`, amount: 1 + (random(20) === 0 ? 1 : 0), key }];
      });
      // Twins in one batch, and at both nodes.
      const left = asked.values();
      const client = async () => {
        for (const [node, one] of left) await ask(nodes[node] as Journal, one);
      };
      await Promise.all(Array.from({ length: CLIENTS }, client));
    }

    expect(twice).toEqual([]);
    expect(Math.min(seen.accepted, seen.running, seen.replayed, seen.conflict, seen.mismatch)).toBeGreaterThan(0);
    const { sql } = fixture.journal.cluster as PostgresStore;
    const [rows] = await sql.rows<[number, number, number]>({
      name: "contested",
      text: `SELECT count(*), count(DISTINCT order_id), count(*) FILTER (WHERE open_by IS NOT NULL OR ended_ms IS NULL) FROM attempts`,
    });
    expect(rows).toEqual([seen.accepted, seen.accepted, 0]);
    const [keys] = await sql.rows<[number, number]>({
      name: "contested_keys",
      text: "SELECT count(*), count(*) FILTER (WHERE a.id IS NULL) FROM idempotency_keys k LEFT JOIN attempts a USING (order_id, attempt)",
    });
    expect(keys).toEqual([ofKey.size, 0]);
    expect(await fixture.deliverAll()).toHaveLength(seen.accepted);
  } finally {
    await other.close();
  }
});

test("what is held is confirmed once, though two nodes are told at one time", async () => {
  await using fixture = await JournalFixture.open("postgres", { events: true });
  await fixture.accept("a");
  await fixture.fail("a", { error: "internal", compensations: [pending("payment"), pending("vendor")] });
  await fixture.deliverAll();
  const node = await Journal.open(fixture.file, { events: true, cluster: CLUSTER });
  const other = new Client({ connectionString: fixture.file, options: "-c search_path=order_pipeline" });
  await other.connect();
  try {
    // As a restore leaves it.
    await other.query("UPDATE attempts SET interrupted = 2, open_by = NULL");
    await other.query("UPDATE compensations SET state = 'held', next_try_ms = NULL");
    await other.query("BEGIN; SELECT FROM compensations FOR UPDATE");
    const both = Promise.all([fixture.journal.confirmRestore("a", NOW, 10, "ann"), node.confirmRestore("a", NOW, 10, "ann")]);
    const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    await eventually("both wait", async () => (await node.cluster?.sql.rows({ name: "waiting", text: waiting }))?.length === 2);
    await other.query("COMMIT");
    expect((await both).map(({ compensations }) => compensations).toSorted()).toEqual([0, 2]);
    expect(await fixture.journal.actionsOn("a")).toHaveLength(1);
    expect(await fixture.payloads()).toHaveLength(1);
  } finally {
    await Promise.all([node.close(), other.end()]);
  }
});

test("what somebody locks by hand is refused after a lease, by name, and stored when it is free; others go on before", async () => {
  const faults: string[] = [];
  const onFault = (_: string, error: unknown) => faults.push(String(error));
  const cluster = { ...CLUSTER, node: { ...CLUSTER.node, leaseMs: 1_000 }, onFault };
  await using fixture = await JournalFixture.open("postgres", { cluster });
  await fixture.accept("locked");
  const other = new Client({ connectionString: fixture.file, options: "-c search_path=order_pipeline" });
  await other.connect();
  try {
    await other.query("BEGIN; SELECT FROM attempts FOR UPDATE");
    const reason = /another session of the database keeps rows locked .* lock timeout/;
    const beganMs = performance.now();
    const refused = expect(fixture.finish("locked")).rejects.toThrow(reason);
    // Behind the batch that waits.
    const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    await eventually("it to wait", async () => (await other.query(waiting)).rowCount === 1);
    const next = fixture.accept("other");
    await refused;
    // Another node that stands still in its transaction is ended by then.
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(cluster.node.leaseMs);
    expect(await next).toMatchObject({ type: "accepted" });
    expect(faults).toEqual([expect.stringMatching(reason)]);
    await other.query("COMMIT");
    expect(await fixture.finish("locked")).toEqual([]);
  } finally {
    await other.end();
  }
});

test("a node that connects again while another one holds everything gives no attempt a number of before", async () => {
  await using fixture = await JournalFixture.open("postgres");
  const { journal, file } = fixture;
  const { life } = journal.cluster as PostgresStore;
  expect(await fixture.accept("before")).toEqual({ type: "accepted", attempt: 1 });
  const other = new Client({ connectionString: file });
  const locker = new Client({ connectionString: file });
  await Promise.all([other.connect(), locker.connect()]);
  const connection = await Connection.open(targetsOf(parseAddress(file) as never)[0] as never, { name: "other", timeoutMs: 60_000 });
  try {
    const locks = async (granted: boolean) =>
      (
        await other.query<{ pid: number }>(
          `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND granted = $3
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
          [LOCK_CLASS, life, granted],
        )
      ).rows.map(({ pid }) => pid);
    const waiting = () =>
      eventually(
        "one that waits for the lock of the life",
        () => locks(false),
        ({ length }) => length === 1,
      );
    // It has looked at the server, and comes no further.
    const locked = locker.query("SELECT pg_advisory_lock($1, $2)", [LOCK_CLASS, life]);
    await waiting();
    await other.query("SELECT pg_terminate_backend($1)", await locks(true));
    await locked;
    await waiting();
    const [{ continued_on: server }] = (await other.query("SELECT continued_on FROM order_pipeline.cluster")).rows as [
      { continued_on: string },
    ];
    expect(await holdEverything(connection, server, life)).toBe(true);
    await locker.query("SELECT pg_advisory_unlock($1, $2)", [LOCK_CLASS, life]);
    await eventually("a new life", () => journal.cluster?.life !== life && journal.healthy);
    expect(await fixture.accept("lost")).toMatchObject({ type: "accepted", attempt: expect.toSatisfy((attempt) => attempt > 1_000_000) });
  } finally {
    connection.close();
    await Promise.all([other.end(), locker.end()]);
  }
});

test("a node that is stopped before it has heard that others ended its life stops all the same", async () => {
  await using fixture = await JournalFixture.open("postgres");
  await fixture.journal.cluster?.sql.rows({ name: "end", text: "UPDATE nodes SET ended_ms = 1" });
  await expect(fixture.journal.close()).resolves.toBeUndefined();
});
