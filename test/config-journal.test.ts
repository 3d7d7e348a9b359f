import { describe, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { parseAddress } from "../src/journal/postgres/address.ts";
import { refusalOf } from "./support/config-refusal.ts";

describe("JOURNAL", () => {
  const HIDDEN = "JOURNAL (its value is not shown, for it may hold a secret)";
  const RULE =
    "must be postgres://USER@HOST[:PORT][,HOST[:PORT]]/DATABASE, then perhaps ?sslmode=disable|require|verify-ca|verify-full and &sslrootcert=FILE";

  test.each(["memory", "data/orders.db", "/var/lib/orders.db", "C:\\orders.db", "postgres", "postgres.db"])("takes %s", (value) => {
    expect(readConfig({ JOURNAL: value }).JOURNAL).toBe(value);
  });

  test.each([
    ["postgres://shop@db/orders", { hosts: [{ host: "db", port: 5432 }], user: "shop", database: "orders", sslmode: "disable" }],
    ["postgresql://shop@10.0.0.7:6432/orders?sslmode=require", { hosts: [{ host: "10.0.0.7", port: 6432 }], sslmode: "require" }],
    [
      "postgres://shop%40eu@db-1.example:5433,db-2.example,[::1]:5434/my%20orders?sslmode=verify-full&sslrootcert=/etc/ca.pem",
      {
        hosts: [
          { host: "db-1.example", port: 5433 },
          { host: "db-2.example", port: 5432 },
          { host: "::1", port: 5434 },
        ],
        user: "shop@eu",
        database: "my orders",
        sslmode: "verify-full",
        sslrootcert: "/etc/ca.pem",
      },
    ],
  ])("takes the address %s", (value, address) => {
    expect(readConfig({ JOURNAL: value }).JOURNAL).toBe(value);
    expect(parseAddress(value)).toMatchObject(address);
  });

  test.each([
    "postgres:",
    "postgres://",
    "postgres://shop@db",
    "postgres://shop@db/",
    "postgres://shop@/orders",
    "postgres://shop@db,/orders",
    "postgres://shop@db:0/orders",
    "postgres://shop@db:65536/orders",
    "postgres://shop@db:x/orders",
    "postgres://shop@::1/orders",
    "postgres://shop@db/orders/more",
    "postgres://shop@db/orders#x",
    "postgres://sh%op@db/orders",
    "postgres://shop@db/orders?sslmode=prefer",
    "postgres://shop@db/orders?sslmode=disable&sslmode=verify-full",
    "postgres://shop@db/orders?sslrootcert=/etc/ca.pem",
    "postgres://shop@db/orders?sslmode=verify-ca&sslrootcert=",
    "postgres://shop@db/orders?target_session_attrs=read-write",
  ])("refuses %s, and shows nothing of it", (value) => {
    expect(refusalOf({ JOURNAL: value })).toBe(`${HIDDEN}: ${RULE}`);
  });

  test("refuses an address without a user, and shows its host", () => {
    expect(refusalOf({ JOURNAL: "postgres://db/orders" })).toBe(`JOURNAL="postgres://db/...": ${RULE}`);
  });

  test.each([
    "postgres://shop:hunter2@db/orders",
    "postgres://:hunter2@db/orders",
    "postgres://shop:hunter@2@db/orders",
    "postgres://shop:hunter/2@db/orders",
    "postgres://shop:@db/orders",
    "postgresql://shop@db/orders?password=hunter2",
    "postgresql://shop@db/orders?sslmode=require&PASSWORD=hunter2",
  ])("refuses a password, and does not show it: %s", (value) => {
    expect(refusalOf({ JOURNAL: value })).toBe(`${HIDDEN}: must hold no password: that belongs into JOURNAL_PASSWORD_FILE`);
  });

  test.each(["mysql://shop:hunter2@db/orders", "postgress://shop:hunter2@db/orders", "POSTGRES://shop@db/orders"])(
    "takes %s for no file",
    (value) => expect(refusalOf({ JOURNAL: value })).toBe(`${HIDDEN}: must be a file, memory or postgres://...`),
  );

  const POSTGRES = { JOURNAL: "postgres://shop@db/orders" };

  test("on PostgreSQL may have a password in a file, which needs it", () => {
    const file = { JOURNAL_PASSWORD_FILE: "/run/secrets/journal-password" };
    expect(readConfig({ ...POSTGRES, ...file })).toMatchObject(file);
    expect(refusalOf(file)).toBe("JOURNAL_PASSWORD_FILE: needs JOURNAL=postgres://... as well");
    // Who gives the password itself is not shown it.
    expect(refusalOf({ JOURNAL_PASSWORD_FILE: "hunter2" })).not.toContain("hunter2");
  });

  test("on PostgreSQL needs a lease in which couriers can be used and canceled", () => {
    const grace = { CANCEL_GRACE_MS: "2300" };
    expect(readConfig({ ...POSTGRES, ...grace }).NODE_LEASE_MS).toBe(5_000);
    expect(refusalOf({ ...POSTGRES, ...grace, NODE_LEASE_MS: "4999" })).toBe(
      'NODE_LEASE_MS="4999": must be at least 5000 where CANCEL_GRACE_MS is 2300, or no courier could be used',
    );
    expect(readConfig({ ...grace, NODE_LEASE_MS: "4999" }).NODE_LEASE_MS).toBe(4_999);
    expect(readConfig({ ...POSTGRES, NODE_LEASE_MS: "1000" }).NODE_LEASE_MS).toBe(1_000);
  });

  test("on PostgreSQL needs deadlines after which a dead node's orders can be compensated", () => {
    const atMost = { ORDER_TIMEOUT_MS: "45000" };
    expect(readConfig({ ...POSTGRES, ...atMost }).ORDER_TIMEOUT_MS).toBe(45_000);
    const tooLong = { ORDER_TIMEOUT_MS: "45001", COMPENSATION_TIMEOUT_MS: "5000" };
    expect(refusalOf({ ...POSTGRES, ...tooLong })).toBe(
      'ORDER_TIMEOUT_MS="45001", COMPENSATION_TIMEOUT_MS="5000": must be at most 50000 together with JOURNAL=postgres://...',
    );
    expect(readConfig(tooLong).ORDER_TIMEOUT_MS).toBe(45_001);
  });

  test("on PostgreSQL has no BACKUP_DIR, and may have real providers", () => {
    expect(refusalOf({ ...POSTGRES, BACKUP_DIR: "/backups" })).toBe(
      'BACKUP_DIR="/backups": must not be set with JOURNAL=postgres://..., whose backups PostgreSQL makes',
    );
    expect(readConfig({ ...POSTGRES, PAYMENT_URL: "http://127.0.0.1:1" }).JOURNAL).toBe(POSTGRES.JOURNAL);
  });
});
