import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { fail } from "../admin/fixture.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send } from "../support/http-client.ts";
import { freePort } from "../support/postgres/free-port.ts";

const DEPLOY = fileURLToPath(new URL("../../deploy/prometheus/", import.meta.url));
const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 };
// A minute of the rules is a second here.
const FASTER = 60;

const WITHOUT = spawnSync("prometheus", ["--version"]).status === 0 ? undefined : "Debian's prometheus is not installed";
if (WITHOUT !== undefined) console.warn(`alerts are not tried with a real Prometheus: ${WITHOUT}`);

interface Prometheus {
  alerts(): Promise<string[]>;
  /** When the process began that answers, in seconds since 1970; 0 where none does. */
  processStart(): Promise<number>;
}

/** The shipped files, with another target and key, and times that pass faster; but in the longest the service can start eight times. */
async function startPrometheus(target: string, keyFile: string, startMs: number): Promise<Prometheus> {
  const directory = mkdtempSync(join(tmpdir(), "prometheus-"));
  const rules = readFileSync(join(DEPLOY, "alerts.yml"), "utf8").replaceAll(
    /(\[|for: )(\d+)([smhd])/g,
    (all, before: string, count: string, unit: keyof typeof SECONDS) =>
      `${before}${Math.ceil(Math.max((Number(count) * SECONDS[unit] * 1_000) / FASTER, all === "[15m" ? 8 * startMs : 0))}ms`,
  );
  writeFileSync(join(directory, "alerts.yml"), rules);
  const config = readFileSync(join(DEPLOY, "prometheus.yml"), "utf8")
    .replace("scrape_interval: 15s", "scrape_interval: 250ms\n    scrape_timeout: 250ms")
    .replace("/etc/prometheus/order-pipeline.key", keyFile)
    .replace("127.0.0.1:9090", target);
  writeFileSync(join(directory, "prometheus.yml"), `global: { evaluation_interval: 250ms }\n${config}`);
  const port = await freePort();
  const args = [
    `--config.file=${directory}/prometheus.yml`,
    `--storage.tsdb.path=${directory}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = spawn("prometheus", args, { stdio: "ignore" });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    rmSync(directory, { recursive: true, force: true });
  });
  const ready = () =>
    send(port, { path: "/-/ready" }).then(
      ({ status }) => status === 200,
      () => false,
    );
  await eventually("Prometheus to be ready", ready);
  const query = async (text: string): Promise<{ metric: Record<string, string>; value: unknown[] }[]> =>
    (await send(port, { path: `/api/v1/query?query=${encodeURIComponent(text)}` })).json.data.result;
  return {
    alerts: async () => (await query('ALERTS{alertstate="firing"}')).map(({ metric }) => `${metric.alertname} ${metric.step ?? ""}`.trim()),
    processStart: async () => Number((await query("process_start_time_seconds"))[0]?.value[1] ?? 0),
  };
}

test.skipIf(WITHOUT !== undefined)(
  "with a real Prometheus: a refund that is overdue rings until it is paid, also while the process is dead; whatever else goes wrong rings while it lasts",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "alerts-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const failing = new Set(["/refunds"]);
    const provider = createServer((request, response) => {
      request.resume().on("end", () => response.writeHead(failing.has(request.url ?? "") ? 500 : 200).end("{}"));
    });
    onTestFinished(() => void provider.close());
    await once(provider.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
    const key = randomBytes(24).toString("hex");
    const keyFile = join(directory, "key");
    writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
    const adminPort = await freePort();
    const journal = join(directory, "orders.db");
    const settings = {
      PAYMENT_URL: url,
      VENDOR_URL: url,
      COURIER_URL: url,
      MAX_IN_FLIGHT: "2",
      JOURNAL: journal,
      ADMIN_PORT: String(adminPort),
      ADMIN_KEYS_FILE: keyFile,
    };
    const place = (port: number, orderId: string) => postOrder(port, { order_id: orderId, amount: 5 });
    const before = await Journal.open(journal);
    await fail(before, "owed", ["payment"], Date.now() - 600_000);
    await before.close();
    const startedMs = performance.now();
    await using first = new ChildServer(settings);
    await first.ports();
    const { alerts, processStart } = await startPrometheus(`127.0.0.1:${adminPort}`, keyFile, performance.now() - startedMs);
    const rings = (...names: string[]) => eventually(names.join(), alerts, (all) => names.every((name) => all.includes(name)));
    const stops = (...names: string[]) => eventually(`no ${names}`, alerts, (all) => !names.some((name) => all.includes(name)));

    await rings("RefundOverdue payment");
    expect(await alerts()).not.toContain("ServiceDown");
    await first[Symbol.asyncDispose]();
    await rings("ServiceDown");
    expect(await alerts()).toContain("RefundOverdue payment");

    let beganS = 0;
    await eventually(
      "a process that ends again and again to ring",
      async () => {
        // Its start is told in whole seconds.
        await eventually("another second", () => Date.now() / 1_000 > beganS + 1);
        await using crashing = new ChildServer(settings);
        await crashing.ports();
        beganS = await eventually("it to be seen", processStart, (startS) => startS > beganS);
        return alerts();
      },
      (all) => all.includes("Restarting"),
    );

    await using again = new ChildServer(settings);
    const { port } = await again.ports();
    const asOperator = (path: string, method = "GET", shown = key) =>
      send(adminPort, { method, path, headers: { authorization: `Bearer ${shown}` } });
    const [owed] = (await asOperator("/compensations")).json.compensations;
    failing.clear();
    await asOperator(`/compensations/${owed.id}/retry`, "POST");
    await stops("ServiceDown", "RefundOverdue payment");

    failing.add("/orders");
    let orders = 0;
    await eventually(
      "what is wrong now to ring",
      async () => {
        const several = [1, 2, 3, 4];
        await Promise.all(several.flatMap(() => [place(port, `o-${orders++}`), asOperator("/orders", "GET", "not the key")]));
        return alerts();
      },
      (all) => ["OrdersFailing", "OrdersRefused", "CircuitOpen vendor", "KeysRefused"].every((name) => all.includes(name)),
    );
    failing.clear();
    {
      // Another program writes to the journal, and does not come to an end.
      using other = new DatabaseSync(journal, { timeout: 5_000 });
      other.exec("BEGIN IMMEDIATE");
      const unwritten = place(port, `o-${orders++}`);
      await rings("JournalRefusing");
      other.exec("ROLLBACK");
      await unwritten;
    }
    await eventually(
      "all to stop",
      async () => {
        await place(port, `o-${orders++}`);
        return alerts();
      },
      (all) => all.length === 0,
    );
  },
);
