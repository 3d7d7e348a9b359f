import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { perStep } from "../../src/orders/steps.ts";
import { drive } from "../drive.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { atLeast, atMost } from "../target.ts";
import { readNumbers } from "./numbers.ts";

const USAGE = `Reads and backs up the journal with the sqlite3 program while orders run, then starts a service on the backup and repeats the
orders that were answered before it began. Needs sqlite3 on the PATH.

usage: npm run bench:readers -- [--seconds N]

  --seconds N  of load before the backup, and after it began (default: 8)
`;
const run = promisify(execFile);

runBench(async () => {
  const options = readNumbers(USAGE, { seconds: 8 });
  if (options === undefined) return [];
  const directory = mkdtempSync(join(tmpdir(), "readers-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const [file, copy] = [join(directory, "orders.db"), join(directory, "copy.db")];
  const order = { amount: 7, delay_ms: perStep(() => 0) };
  let perSecond = 0;
  const counts: number[] = [];
  let backupMs = 0;
  let second = "";
  {
    await using server = await ServerProcess.start({ JOURNAL: file, COURIER_CAPACITY: "128" });
    const load = (seconds: number) => drive({ url: server.orderUrl, connections: 64, seconds, order, answerHas: '"status":"ok"' });
    await load(options.seconds);
    const during = load(options.seconds);
    const sqlite = (...commands: string[]) => run("sqlite3", [file, ...commands]);
    counts.push(Number((await sqlite("SELECT count(*) FROM attempts")).stdout));
    const startMs = performance.now();
    // In a transaction, which holds one state of the journal. Without it every order would make the backup start again.
    await sqlite("BEGIN", "SELECT count(*) FROM attempts", `.backup ${copy}`, "COMMIT");
    backupMs = performance.now() - startMs;
    counts.push(Number((await sqlite("SELECT count(*) FROM attempts")).stdout));
    second = await ServerProcess.start({ JOURNAL: file }).then(
      () => "a second process came up",
      (error: Error) => error.message.split("\n").find((line) => line.includes("JOURNAL")) ?? error.message,
    );
    const result = await during;
    perSecond = result.perSecond;
    if (result.wrongBodies + result.socketErrors > 0)
      throw new Error(`${result.wrongBodies} wrong answers, ${result.socketErrors} broken connections`);
  }
  const query = (db: string, sql: string) =>
    execFileSync("sqlite3", [db, sql], { encoding: "utf8", maxBuffer: 2 ** 30 })
      .trim()
      .split("\n");
  // Every answer that was sent before the backup began was durable before its first read.
  const [first = 0, later = 0] = counts;
  const missing = Number(
    query(
      file,
      `ATTACH '${copy}' AS copy; SELECT count(*) FROM (SELECT order_id, answer FROM main.attempts ORDER BY id LIMIT ${first}) AS a
       WHERE NOT EXISTS (SELECT 1 FROM copy.attempts AS b WHERE b.order_id = a.order_id AND b.answer = a.answer)`,
    )[0],
  );
  let wrong = 0;
  {
    await using restored = await ServerProcess.start({ JOURNAL: copy });
    // The copy takes the orders that ran at that moment for interrupted: they had no answer yet.
    for (const line of query(
      copy,
      "SELECT order_id || char(9) || answer FROM attempts WHERE interrupted = 0 ORDER BY random() LIMIT 200",
    )) {
      const [orderId = "", answer = ""] = line.split("\t");
      const response = await fetch(restored.orderUrl, { method: "POST", body: JSON.stringify({ order_id: orderId, ...order }) });
      if ((await response.text()) !== answer || response.headers.get("idempotent-replayed") !== "true") wrong++;
    }
  }
  process.stdout.write(
    `${perSecond.toFixed(0)} orders/s while ${first} to ${later} orders were read and backed up: ${backupMs.toFixed(0)} ms, ${(statSync(copy).size / 2 ** 20).toFixed(0)} MB\n`,
  );
  process.stdout.write(`a second process: ${second}\n`);
  return [
    atLeast("orders a second meanwhile", perSecond, 5_000),
    atMost("orders answered before the backup that it lacks", missing, 0),
    atMost("repeats on the backup that get another answer, of 200", wrong, 0),
    atMost("second processes on one journal", second.includes("another process has it open") ? 0 : 1, 0),
  ];
});
