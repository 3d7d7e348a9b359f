import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { bytesAnOrder, holdAtService } from "../held-memory.ts";
import { pairsOf, smallOrders } from "../interleaved.ts";
import { residentKiB } from "../resident-memory.ts";
import { ServerProcess } from "../server-process.ts";
import { PROJECT, type ProjectCopy } from "./project-copy.ts";

/** What one order costs with a trick and without it, in the unit of the trick. */
export interface Pair {
  readonly trick: number;
  readonly plain: number;
}

export interface Sizes {
  readonly processes: number;
  readonly pairs: number;
  readonly seconds: number;
  readonly warmup: number;
  readonly orders: number;
}

const REST_MS = 2_000;
const SETTINGS = { COURIER_CAPACITY: "128" };
// In each thread of the service. Dead objects would count as memory until a collection, which comes when it likes.
const COLLECTING = `import { renameSync, writeFileSync } from "node:fs";
import { threadId } from "node:worker_threads";
setInterval(() => {
  gc();
  const { heapUsed, external } = process.memoryUsage();
  const file = process.env.HEAP_SIZES + "/" + threadId;
  writeFileSync(file + ".new", String(heapUsed + external));
  renameSync(file + ".new", file);
}, 1000).unref();`;

/** Microseconds of CPU of the service. Both run new processes each time: what V8's compiler makes of one differs from the next by some percent. */
export async function cpuOfService(copy: ProjectCopy, { processes, pairs, seconds, warmup }: Sizes): Promise<Pair[]> {
  const all: Pair[] = [];
  for (let n = 0; n < processes; n++) {
    await using service = await ServerProcess.start(SETTINGS);
    await using plain = await ServerProcess.start(SETTINGS, copy.script);
    await smallOrders(service, warmup);
    await smallOrders(plain, warmup);
    const way = (name: string, server: ServerProcess) => ({ name, run: () => smallOrders(server, seconds) });
    const rounds = await pairsOf(way("trick", service), way("plain", plain), pairs);
    all.push(...rounds.map(({ one, other }) => ({ trick: one.cpuMicros, plain: other.cpuMicros })));
  }
  return all;
}

/** Microseconds of CPU of this process, which is the client. */
export async function cpuOfClient(copy: ProjectCopy, { pairs, seconds, warmup }: Sizes): Promise<Pair[]> {
  const other: typeof import("../interleaved.ts") = await import(pathToFileURL(`${copy.directory}/load/interleaved.ts`).href);
  await using service = await ServerProcess.start(SETTINGS);
  const way = (name: string, send: typeof smallOrders) => ({
    name,
    async run() {
      const before = process.cpuUsage();
      const round = await send(service, seconds);
      const { user, system } = process.cpuUsage(before);
      return { ...round, cpuMicros: (user + system) / (round.perSecond * seconds) };
    },
  });
  await smallOrders(service, warmup);
  await other.smallOrders(service, warmup);
  const rounds = await pairsOf(way("trick", smallOrders), way("plain", other.smallOrders), pairs);
  return rounds.map(({ one, other: plain }) => ({ trick: one.cpuMicros, plain: plain.cpuMicros }));
}

// Of the project as it is, by process. Two such figures differ by less than 0.5 %, so all tricks are compared with the same ones.
const heapsOfOrder: number[] = [];

/** Bytes of a waiting order on the heaps of all threads, after full collections. */
export async function memoryOfService(copy: ProjectCopy, { processes, orders }: Sizes): Promise<Pair[]> {
  const all: Pair[] = [];
  for (let n = 0; n < processes; n++) {
    const trick = heapsOfOrder[n] ?? (await heapOfOrder(orders));
    heapsOfOrder[n] = trick;
    all.push({ trick, plain: await heapOfOrder(orders, copy.script) });
  }
  return all;
}

async function heapOfOrder(orders: number, script?: string): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "heap-sizes-"));
  try {
    const held = await holdAtService(orders, {
      ...(script !== undefined && { script }),
      settings: {
        NODE_OPTIONS: `--expose-gc --import=data:text/javascript,${encodeURIComponent(COLLECTING)}`,
        HEAP_SIZES: directory,
      },
      memoryKiB: () => sumOf(directory) / 1024,
    });
    return bytesAnOrder(held);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function sumOf(directory: string): number {
  const files = readdirSync(directory).filter((name) => !name.endsWith(".new"));
  return files.reduce((sum, name) => sum + Number(readFileSync(join(directory, name), "utf8")), 0);
}

/** Mebibytes of resident memory some seconds after a start that found what the one before it has compiled. */
export async function memoryAtRest(copy: ProjectCopy, { processes }: Sizes): Promise<Pair[]> {
  const script = (directory: string) => join(directory, "src/start.js");
  await restOf(script(PROJECT), 0);
  await restOf(script(copy.directory), 0);
  const all: Pair[] = [];
  for (let n = 0; n < processes; n++) {
    all.push({ trick: await restOf(script(PROJECT), REST_MS), plain: await restOf(script(copy.directory), REST_MS) });
  }
  return all;
}

async function restOf(script: string, ms: number): Promise<number> {
  await using service = await ServerProcess.start({}, script);
  await pause(ms);
  const mebibytes = residentKiB(service.pid) / 1024;
  await service.stop();
  return mebibytes;
}
