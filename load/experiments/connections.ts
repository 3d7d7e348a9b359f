import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { eventually } from "../../test/support/eventually.ts";
import { Child } from "../child-process.ts";
import { comeAndGo } from "../come-and-go.ts";
import { closedLoop, serviceUnder, startService } from "../lab/closed-loop.ts";
import { defineExperiment, eachRound, type Round, type Variant } from "../lab/experiment.ts";
import { residentKiB, tooFewFiles } from "../lab/proc.ts";
import type { ServerProcess } from "../server-process.ts";
import { atLeast, atMost } from "../target.ts";

const [WITHOUT, BESIDE, OPENED] = ["without a crowd", "beside the crowd", "connections that come and go"];
const CROWD = fileURLToPath(new URL("../lab/crowd.ts", import.meta.url));
const PROBES = fileURLToPath(new URL("../lab/probes.ts", import.meta.url));
/** Processes, so that none of them needs more files than the service. */
const CROWDS = 2;
const ADDRESSES_EACH = 10;
const MAX_CONNECTIONS = 10_000;
const FURTHER_FILES = 100;
const LOOK_EVERY_MS = 500;
const AT_ONE_TIME = 100;
const SETTINGS = { MAX_CONNECTIONS: String(MAX_CONNECTIONS), MAX_CONNECTIONS_PER_ADDRESS: "1000" };
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

/** Opens the crowd, from twenty addresses, and resolves when all have come. */
async function crowd(stack: AsyncDisposableStack, port: number, count: number): Promise<() => number> {
  const args = (n: number) => [CROWD, port, Math.ceil(count / CROWDS), 2 + n * ADDRESSES_EACH, ADDRESSES_EACH].map(String);
  const children = await Promise.all(Array.from({ length: CROWDS }, (_, n) => Child.start({ args: args(n), env: {}, up: /came/ })));
  for (const child of children) stack.use(child);
  const sum = (pattern: RegExp) => children.reduce((all, { output }) => all + (numbersOfLast(pattern, output)[0] ?? 0), 0);
  while (sum(/(\d+) came/g) < count) await sleep(LOOK_EVERY_MS);
  return () => sum(/(\d+) open/g);
}

/** What a child has told last. */
function numbersOfLast(pattern: RegExp, output: string): number[] {
  return [...output.matchAll(pattern)].at(-1)?.slice(1).map(Number) ?? [];
}

/** Ordinary clients and an orchestrator's probes. Each round has a service of its own: what a crowd has left is no part of another's. */
function ordinary(name: string, load: { readonly connections: number; readonly seconds: number }, count: number): Variant {
  return eachRound(name, async ({ script, directory }) => {
    await using stack = new AsyncDisposableStack();
    const server = await startService({ stack, script, directory }, SETTINGS);
    await closedLoop(server, load);
    const connected = count === 0 ? () => 0 : await crowd(stack, server.process.port, count);
    const probes = stack.use(await Child.start({ args: [PROBES, `${server.process.adminUrl}/healthz`], env: {}, up: /answered/ }));
    const { driven, figures, ...rest } = await closedLoop(server, load);
    const [answered = 0, failed = 0, p99Ms = 0] = numbersOfLast(/(\d+) answered, (\d+) failed, p99 (\S+) ms/g, probes.output);
    return {
      ...rest,
      figures: {
        ...figures,
        p99: [driven.latencyMs.p99, "ms"],
        "probes that were answered": [answered, ""],
        "probes, p99": [p99Ms, "ms"],
        "probes that failed": [failed, ""],
        "of the crowd connected": [connected(), ""],
        memory: [residentKiB(server.pid) / 1_024, "MiB"],
      },
    };
  });
}

function openAndClose(count: number): Variant {
  const load = { connections: AT_ONE_TIME, seconds: 1, warmup: 1 };
  return serviceUnder(
    OPENED,
    load,
    () => SETTINGS,
    ({ process }) => openedAndClosed(process, count),
  );
}

async function openedAndClosed({ pid, port }: ServerProcess, count: number): Promise<Round> {
  await settled(pid);
  const before = openFiles(pid);
  const startMs = performance.now();
  let [next, most] = [0, 0];
  const client = async () => {
    while (next < count) {
      const n = next++;
      await comeAndGo(port, SENT[n % SENT.length] ?? "", Math.floor(n / SENT.length) % 4);
      if (n % 100 === 0) most = Math.max(most, openFiles(pid));
    }
  };
  await Promise.all(Array.from({ length: AT_ONE_TIME }, client));
  const perSecond = (count * 1_000) / (performance.now() - startMs);
  await settled(pid);
  return {
    figures: {
      "connections/s": [perSecond, "connections/s"],
      "more files meanwhile": [most - before, ""],
      "more files after": [openFiles(pid) - before, ""],
    },
  };
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

export const experiment = defineExperiment({
  question:
    "What do ordinary clients and probes wait beside 20 000 connections that are idle, slow or do not read, and does a connection leave anything?",
  defaults: { rounds: 3, seconds: 6, connections: 64, crowd: 20_000, opened: 100_000 },
  about: { crowd: "its connections; half of them is how many files a process needs", opened: "connections that are opened and closed" },
  lab: { rounds: 2, seconds: 3, opened: 10_000 },
  missing: ({ crowd }) => tooFewFiles(FURTHER_FILES + Math.max(Math.ceil(crowd / CROWDS), Math.min(crowd, MAX_CONNECTIONS))),
  variants: ({ crowd, opened, ...load }) => [ordinary(WITHOUT, load, 0), ordinary(BESIDE, load, crowd), openAndClose(opened)],
  targets: (seen) => [
    atMost("p99 of ordinary clients beside the crowd, of that without", seen.ratio("p99", BESIDE, WITHOUT), 2, " times"),
    atMost("p99 of probes beside the crowd, of that without", seen.ratio("probes, p99", BESIDE, WITHOUT), 2, " times"),
    ...[WITHOUT, BESIDE].map((name) =>
      atLeast(`${name}: probes that were answered`, Math.min(...seen.values(name, "probes that were answered")), 1),
    ),
    ...[WITHOUT, BESIDE].map((name) => atMost(`${name}: probes that failed`, seen.most(name, "probes that failed"), 0)),
    atMost("file descriptors more than before", seen.most(OPENED, "more files after"), 0),
    atLeast("file descriptors more meanwhile", seen.most(OPENED, "more files meanwhile"), 1),
  ],
});
