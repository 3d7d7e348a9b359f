import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CancelScope } from "../../src/threads/index.ts";
import { timers } from "../leaks/timers.ts";
import { eventually } from "../support/eventually.ts";
import {
  admin,
  close,
  fail,
  faults,
  node,
  noWaiters,
  open,
  resultOf,
  timersBefore,
  unreachable,
  waiterRows,
  waiters,
} from "./waiting-fixture.ts";

describe("a request that waits for an attempt of another node", () => {
  test("gets its answer once it is closed, and not when it has only ended; its row is there until then", async () => {
    const { sql, waiting } = await node(2);
    await open("o");
    const end = waiting.endOf("o", 1, new CancelScope());
    const result = resultOf(end);
    await waiterRows("o:1 by 2");
    await sql.more("waiters_closed");
    await fail("o");
    await sql.more("waiters_closed");
    expect([result(), await waiters()]).toEqual(["waits", ["o:1 by 2"]]);
    // A row before a look: else a hang-up at the other node may see neither.
    expect(sql.asked.slice(0, 2)).toEqual(["waiters_register", "waiters_closed"]);
    await close("o", 1, '{"late":1}');
    expect(await end).toEqual({ error: "no_courier", json: '{"late":1}' });
    await noWaiters();
    expect(sql.times("waiters_register")).toBe(1);
  });

  test("is to ask the journal again where nobody received the answer, and where the attempt is gone", async () => {
    const { waiting } = await node(2);
    await open("o");
    await open("p");
    const ends = [waiting.endOf("o", 1, new CancelScope()), waiting.endOf("p", 1, new CancelScope())];
    await waiterRows("o:1 by 2", "p:1 by 2");
    await close("o", 0);
    await admin.query("DELETE FROM attempts WHERE order_id = 'p'");
    expect(await Promise.all(ends)).toEqual([undefined, undefined]);
    // One that was closed before is found at once, a placed order's without an error.
    await open("q");
    await close("q", 1, '{"status":"ok"}');
    expect(await waiting.endOf("q", 1, new CancelScope())).toEqual({ json: '{"status":"ok"}' });
  });

  test("waits for its attempt, not for another one of the order", async () => {
    const { sql, waiting } = await node(2);
    await open("o", 1);
    await close("o", 1, "the first");
    await open("o", 2);
    const end = waiting.endOf("o", 2, new CancelScope());
    const result = resultOf(end);
    await sql.more("waiters_closed");
    expect(result()).toBe("waits");
    await admin.query("UPDATE attempts SET open_by = NULL, answered = 1, answer = 'the second' WHERE attempt = 2");
    expect(await end).toEqual({ json: "the second" });
  });

  test("leaves at once; the row goes with the last one, comes back with the next, and is no other attempt's", async () => {
    const { sql, waiting } = await node(2);
    await open("o");
    await open("o", 2);
    const other = waiting.endOf("o", 2, new CancelScope());
    const scopes = [1, 2, 3].map(() => new CancelScope());
    const [first, second, third] = scopes as [CancelScope, CancelScope, CancelScope];
    const left = waiting.endOf("o", 1, first);
    const leaving = waiting.endOf("o", 1, second);
    await waiterRows("o:1 by 2", "o:2 by 2");
    first.cancel("client_disconnected");
    expect(await left).toBeUndefined();
    await sql.more("waiters_closed");
    expect(await waiters()).toEqual(["o:1 by 2", "o:2 by 2"]);
    second.cancel("client_disconnected");
    expect(await leaving).toBeUndefined();
    await waiterRows("o:2 by 2");
    const end = waiting.endOf("o", 1, third);
    await waiterRows("o:1 by 2", "o:2 by 2");
    await close("o", 1);
    expect([await end, await other]).toEqual([{ json: "{}" }, { json: "{}" }]);
    await noWaiters();
    expect(scopes.map(({ listenerCount }) => listenerCount)).toEqual([0, 0, 0]);
  });

  test.each(["it left", "its attempt ended"])(
    "is not lost where it comes while the row of one before is deleted, because %s",
    async (why) => {
      const { sql, waiting } = await node(2);
      await open("o");
      const scope = new CancelScope();
      const first = waiting.endOf("o", 1, scope);
      await waiterRows("o:1 by 2");
      const second = new Promise((resolve) => {
        sql.before = (name) => {
          if (name !== "waiters_unregister") return;
          sql.before = undefined;
          resolve(waiting.endOf("o", 1, new CancelScope()));
        };
      });
      if (why === "it left") scope.cancel("client_disconnected");
      else await close("o", 1);
      await first;
      await sql.more("waiters_register", 1);
      await close("o", 1);
      expect(await second).toEqual({ json: "{}" });
    },
  );

  test("leaves no row behind where its reply was lost and it left meanwhile, or where the delete failed", async () => {
    const { sql, waiting } = await node(2);
    await open("o");
    const scope = new CancelScope();
    let deletes = 0;
    sql.before = (name) => name === "waiters_unregister" && deletes++ < 2 && unreachable();
    sql.after = (name) => {
      if (name !== "waiters_register") return;
      scope.cancel("client_disconnected");
      unreachable();
    };
    expect(await waiting.endOf("o", 1, scope)).toBeUndefined();
    expect(await waiters()).toEqual(["o:1 by 2"]);
    await noWaiters();
    expect(deletes).toBe(3);
  });

  test("is registered again where its node has a new life", async () => {
    let life = 2;
    const { waiting } = await node(() => life);
    await open("o");
    const end = waiting.endOf("o", 1, new CancelScope());
    await waiterRows("o:1 by 2");
    await admin.query("DELETE FROM waiters");
    life = 3;
    await waiterRows("o:1 by 3");
    await close("o", 1);
    await end;
  });

  test("costs nothing once nobody waits", async () => {
    const { sql, waiting } = await node(2);
    await open("o");
    const end = waiting.endOf("o", 1, new CancelScope());
    await eventually("a poll", () => timers() > timersBefore);
    await close("o", 1);
    await end;
    await eventually("the delete", () => sql.times("waiters_unregister") === 1);
    await eventually("no poll", () => timers() === timersBefore);
    const { length } = sql.asked;
    await pause(300);
    expect(sql.asked).toHaveLength(length);
  });

  test("shares its look with all others of the node", async () => {
    const { sql, waiting } = await node(2);
    const ids = Array.from({ length: 200 }, (_, n) => `"o,${n}"\\{}`);
    await admin.query(
      "INSERT INTO attempts (order_id, attempt, amount, accepted_ms, open_by) SELECT id, 1, 1, 0, 1 FROM unnest($1::text[]) id",
      [ids],
    );
    const ends = ids.map((id) => waiting.endOf(id, 1, new CancelScope()));
    await eventually("their rows", waiters, ({ length }) => length === ids.length);
    await sql.more("waiters_closed");
    await admin.query("UPDATE attempts SET open_by = NULL, answered = 1, answer = order_id");
    expect((await Promise.all(ends)).map((end) => end?.json)).toEqual(ids);
    await noWaiters();
    // Those of the first turn, and the rest of them.
    expect(sql.times("waiters_register")).toBeLessThanOrEqual(2);
    expect(sql.times("waiters_unregister")).toBeLessThanOrEqual(2);
  });
});

test("what the server refuses is a fault, and requests wait on", async () => {
  const { waiting } = await node(2);
  await open("o");
  await admin.query("ALTER TABLE waiters RENAME TO others");
  const end = waiting.endOf("o", 1, new CancelScope());
  await eventually("faults", () => faults.length >= 2);
  await admin.query("ALTER TABLE others RENAME TO waiters");
  await close("o", 1);
  expect(await end).toEqual({ json: "{}" });
  expect(faults).toContainEqual(expect.objectContaining({ message: expect.stringContaining("waiters") }));
  faults.length = 0;
});
