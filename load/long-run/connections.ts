import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { perStep } from "../../src/orders/steps.ts";
import { eventually } from "../../test/support/eventually.ts";
import { Child } from "../child-process.ts";
import { comeAndGo } from "../come-and-go.ts";
import { type DriveResult, drive } from "../drive.ts";
import { openFileLimit } from "../open-files.ts";
import { Probes } from "../probes.ts";
import { median, quantile } from "../quantile.ts";
import { residentKiB } from "../resident-memory.ts";
import { runBench } from "../run-bench.ts";
import { ServerProcess } from "../server-process.ts";
import { table } from "../table.ts";
import { atLeast, atMost } from "../target.ts";
import { readNumbers } from "./numbers.ts";

const USAGE = `What 64 ordinary clients and the probes of an orchestrator wait for their answers beside a crowd from 20 other addresses whose
connections are idle, send headers a byte a second or do not read, in rounds with and without it; then connections that come and go in all
ways, and the server's file descriptors before and after. Needs as many files for a process (ulimit -n) as half the crowd, or as the
service's MAX_CONNECTIONS, and a hundred more; the crowd that does not read holds up to 0.8 GB of the kernel's memory.

usage: npm run bench:connections -- [--crowd N] [--rounds N] [--seconds N] [--opened N]

  --crowd N    connections of the crowd (default: 20000)
  --rounds N   pairs of rounds (default: 4)
  --seconds N  of one round (default: 6)
  --opened N   connections that are opened and closed (default: 100000)
`;
const ORDER = { amount: 7, delay_ms: perStep(() => 0) };
const CROWD = fileURLToPath(new URL("crowd.ts", import.meta.url));
/** Processes, so that none of them needs more files than the service. */
const CROWDS = 2;
const ADDRESSES_EACH = 10;
const MAX_CONNECTIONS = 10_000;
const FURTHER_FILES = 100;
const LOOK_EVERY_MS = 500;
const AT_ONE_TIME = 100;
const HEALTH = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
/** What a connection sends before it goes: nothing, half a request, one, one and a half, rubbish, half a body. */
const SENT = [
  "",
  "GET /heal",
  HEALTH,
  `${HEALTH}GET /`,
  "rubbish\r\n\r\n",
  "POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
];

interface Round extends DriveResult {
  readonly p99Ms: number;
  readonly probesMs: readonly number[];
  readonly probesFailed: number;
  readonly mib: number;
}

/** Ordinary clients and probes for so long. */
async function ordinary(server: ServerProcess, seconds: number): Promise<Round> {
  using probes = new Probes(`${server.adminUrl}/healthz`);
  const driven = await drive({ url: server.orderUrl, connections: 64, seconds, order: ORDER, answerHas: '"status":"ok"' });
  return {
    ...driven,
    p99Ms: driven.answers === 0 ? Number.NaN : driven.latencyMs.p99,
    probesMs: probes.latenciesMs,
    probesFailed: probes.failed,
    mib: residentKiB(server.pid) / 1_024,
  };
}

interface Crowd extends AsyncDisposable {
  /** How many connections it has open, how many the server has ended, and how many have come at all. */
  counts(): { readonly open: number; readonly ended: number; readonly came: number };
}

async function crowd(port: number, count: number): Promise<Crowd> {
  const of = (n: number) => [CROWD, port, Math.ceil(count / CROWDS), 2 + n * ADDRESSES_EACH, ADDRESSES_EACH].map(String);
  const children = await Promise.all(Array.from({ length: CROWDS }, (_, n) => Child.start({ args: of(n), env: {}, up: /came/ })));
  return {
    counts() {
      const last = children.map(({ output }) => [...output.matchAll(/(\d+) open, (\d+) ended, (\d+) came/g)].at(-1));
      const sum = (group: number) => last.reduce((all, found) => all + Number(found?.[group] ?? 0), 0);
      return { open: sum(1), ended: sum(2), came: sum(3) };
    },
    async [Symbol.asyncDispose]() {
      for (const child of children) await child[Symbol.asyncDispose]();
    },
  };
}

function cellsOf({ perSecond, latencyMs, probesMs, mib }: Round): string[] {
  const probe = probesMs.length === 0 ? "none" : quantile(probesMs, 0.99).toFixed(1);
  return [perSecond.toFixed(0), String(latencyMs.p50), String(latencyMs.p99), probe, mib.toFixed(0)];
}

runBench(async () => {
  const options = readNumbers(USAGE, { crowd: 20_000, rounds: 4, seconds: 6, opened: 100_000 });
  if (options === undefined) return [];
  const files = FURTHER_FILES + Math.max(Math.ceil(options.crowd / CROWDS), Math.min(options.crowd, MAX_CONNECTIONS));
  if (openFileLimit() < files)
    throw new Error(`a process may open ${openFileLimit()} files here; this needs ${files} (ulimit -n ${files})`);
  const limits = { MAX_CONNECTIONS: String(MAX_CONNECTIONS), MAX_CONNECTIONS_PER_ADDRESS: "1000" };
  await using server = await ServerProcess.start({ COURIER_CAPACITY: "128", ...limits });
  await ordinary(server, 2);
  const rows: string[][] = [];
  const rounds: { readonly without: Round; readonly beside: Round }[] = [];
  for (let round = 0; round < options.rounds; round++) {
    // What the crowd before has left is no part of either round; nor is the moment when all come at once.
    await settled(server.pid);
    const without = await ordinary(server, options.seconds);
    await using others = await crowd(server.port, options.crowd);
    while (others.counts().came < options.crowd) await sleep(LOOK_EVERY_MS);
    const beside = await ordinary(server, options.seconds);
    rounds.push({ without, beside });
    const { open, ended } = others.counts();
    rows.push([String(round + 1), ...cellsOf(without), ...cellsOf(beside), String(open), String(ended)]);
    process.stderr.write(`round ${round + 1} of ${options.rounds}: ${open} of the crowd are connected, the service has ended ${ended}\n`);
  }
  const head = ["orders/s", "p50 ms", "p99 ms", "probes p99 ms", "MiB"];
  process.stdout.write(table(["round", ...head, `beside ${options.crowd}: ${head[0]}`, ...head.slice(1), "connected", "ended"], rows));
  const { before, most, after, seconds } = await openAndClose(server, options.opened);
  process.stdout.write(
    `${options.opened} connections opened and closed in ${seconds.toFixed(0)} s; file descriptors: ${before} before, ${most} at most, ${after} after\n`,
  );
  const all = rounds.flatMap(({ without, beside }) => [without, beside]);
  const probesP99 = (which: "without" | "beside"): number => {
    const waits = rounds.flatMap((round) => round[which].probesMs);
    return waits.length === 0 ? Number.NaN : quantile(waits, 0.99);
  };
  const wrong = all.reduce((sum, { wrongBodies, socketErrors, timeouts }) => sum + wrongBodies + socketErrors + timeouts, 0);
  return [
    atMost(
      "p99 of ordinary clients beside the crowd, of that without",
      median(rounds.map((of) => of.beside.p99Ms / of.without.p99Ms)),
      2,
      " times",
    ),
    atMost("p99 of probes beside the crowd, of that without", probesP99("beside") / probesP99("without"), 2, " times"),
    atMost(
      "probes that failed",
      all.reduce((sum, { probesFailed }) => sum + probesFailed, 0),
      0,
    ),
    atMost("wrong answers and broken connections of ordinary clients", wrong, 0),
    atMost("file descriptors more than before", after - before, 0),
    atLeast("file descriptors more meanwhile", most - before, 1),
  ];
});

interface Opened {
  readonly before: number;
  readonly most: number;
  readonly after: number;
  readonly seconds: number;
}

async function openAndClose({ pid, port }: ServerProcess, count: number): Promise<Opened> {
  await settled(pid);
  const before = openFiles(pid);
  const startMs = performance.now();
  let [next, most] = [0, 0];
  const client = async () => {
    while (next < count) {
      const n = next++;
      await comeAndGo(port, SENT[n % SENT.length] ?? "", n % 4);
      if (n % 100 === 0) most = Math.max(most, openFiles(pid));
    }
  };
  await Promise.all(Array.from({ length: AT_ONE_TIME }, client));
  const seconds = (performance.now() - startMs) / 1_000;
  await settled(pid);
  return { before, most, after: openFiles(pid), seconds };
}

/** Waits until the number of file descriptors has not changed for a second. */
async function settled(pid: number): Promise<void> {
  let [seen, sinceMs] = [openFiles(pid), performance.now()];
  await eventually("the file descriptors stay as they are", () => {
    const now = openFiles(pid);
    if (now !== seen) [seen, sinceMs] = [now, performance.now()];
    return performance.now() - sinceMs > 1_000;
  });
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
