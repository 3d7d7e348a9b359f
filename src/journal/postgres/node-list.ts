import type { NodeState } from "../../orders/operator-journal.ts";
import { type Sql, statement } from "./sql.ts";

type Row = readonly [name: string, life: number, version: string, leaseMs: number, startedMs: number, ordersUnderWay: number];

// The order of the bytes, whatever the collation of the database is.
const NODES = statement("nodes")`
    SELECT name, life, version, lease_ms, started_ms, (SELECT count(*) FROM attempts WHERE open_by = life)
    FROM nodes WHERE ended_ms IS NULL ORDER BY name COLLATE "C", life`;

/** The nodes that live, by name; one that died less than a lease ago may be among them. `own`: the life that asks. */
export async function listNodes(sql: Sql, own: number): Promise<readonly NodeState[]> {
  const rows = await sql.rows<Row>(NODES);
  return rows.map(([name, life, version, leaseMs, startedMs, ordersUnderWay]) => ({
    name,
    life,
    version,
    leaseMs,
    startedMs,
    ordersUnderWay,
    isThis: life === own,
  }));
}
