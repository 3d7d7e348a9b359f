import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { newId, orderOf, postOrder, send } from "../support/http-client.ts";
import { startService } from "../support/service.ts";

const REFUSED = "order refused: it could not be written down";

test("while another program holds the journal's write lock each order is refused and logged by its ids, and readyz says so", async () => {
  const directory = mkdtempSync(join(tmpdir(), "locked-"));
  const file = join(directory, "orders.db");
  try {
    await using server = await startService({ JOURNAL: file });
    const ready = () => send(server.port, { path: "/readyz" });
    expect(await ready()).toMatchObject({ status: 200 });
    using other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    const ids = Array.from({ length: 20 }, () => newId("locked"));
    const answers = await Promise.all(
      ids.map((id) => postOrder(server.port, orderOf(id, 0), { headers: { "X-Request-Id": `request-${id}` } })),
    );
    for (const { status, json } of answers) expect([status, json.error.kind]).toEqual([500, "internal"]);
    const logged = () => server.logged.filter(({ msg }) => msg.startsWith(REFUSED));
    // Equal faults of one second are one line, which is the first one's, and their number.
    const refusals = () => logged().reduce((sum, { count }) => sum + Number(count ?? 1), 0);
    await eventually("each refusal to be counted", () => refusals() === ids.length);
    const lines = logged();
    expect(lines.length).toBeLessThan(ids.length);
    const [{ order_id: id, request_id: request, reason, err }] = lines as [(typeof lines)[number]];
    expect(ids).toContain(id);
    expect(request).toBe(`request-${id}`);
    expect(reason).toMatch(/^another process has it open/);
    expect(err).toBeUndefined();
    const { status, json } = await ready();
    expect([status, json.status]).toEqual([503, "journal_unavailable"]);
    other.exec("COMMIT");
    await eventually("ready again", async () => (await ready()).status === 200, Boolean, 20_000);
    expect(await postOrder(server.port, orderOf(ids[0] as string, 0))).toMatchObject({ status: 200 });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
