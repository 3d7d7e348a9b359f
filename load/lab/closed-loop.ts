import { fileURLToPath } from "node:url";
import { perStep } from "../../src/orders/steps.ts";
import { Child } from "../child-process.ts";
import { type Drive, type DriveResult, drive } from "../drive.ts";
import { ServerProcess } from "../server-process.ts";
import type { Percentiles, Round, Sample, Scope, Variant } from "./experiment.ts";
import { cpuSeconds, residentKiB, threadSeconds } from "./proc.ts";

const SAMPLE_EVERY_MS = 500;
const BARE_EXPRESS = fileURLToPath(new URL("./bare-express.ts", import.meta.url));
export const NO_DELAYS = { amount: 1200, delay_ms: perStep(() => 0) };

/** Clients who each send their next order when the last one is answered. */
export interface Load extends Partial<Pick<Drive, "order" | "answerHas" | "keyed" | "repeats">> {
  readonly connections: number;
  readonly seconds: number;
}

/** Environment variables of the service. */
export type Settings = Readonly<Record<string, string>>;

/** A server under load; without a pid nothing is known of its CPU and memory. */
export interface Server {
  readonly orderUrl: string;
  readonly pid?: number;
  /** Node's ids of the threads that run steps. */
  readonly stepThreads?: ReadonlySet<number>;
}

/** Seconds of CPU by kind of thread. Worker threads have Node's ids in the order of their age, from 1. */
export function cpuByKind({ pid = 0, stepThreads }: Server): Record<string, number> {
  const { main, workers, helpers } = threadSeconds(pid);
  if (stepThreads === undefined) return { main, helpers };
  const of = (areSteps: boolean) => workers.reduce((sum, cpu, n) => sum + (stepThreads.has(n + 1) === areSteps ? cpu : 0), 0);
  return { main, journal: of(false), steps: of(true), helpers };
}

export interface Service extends Server {
  readonly pid: number;
  readonly process: ServerProcess;
}

/** What a round of a closed loop gives. */
export interface Driven extends Round {
  readonly driven: DriveResult;
}

/** The service with these settings, as the experiments load it. */
export async function startService(scope: Scope, settings: Settings): Promise<Service> {
  const process = scope.stack.use(await ServerProcess.start({ COURIER_CAPACITY: "128", ...settings }, scope.script));
  const { threads } = (await (await fetch(`${process.adminUrl}/debug/threads`)).json()) as { threads: { id: number }[] };
  return { orderUrl: process.orderUrl, pid: process.pid, stepThreads: new Set(threads.map(({ id }) => id)), process };
}

/** Drives a server for one round. Throws when an answer is wrong or missing. */
export async function closedLoop(server: Server, { order = NO_DELAYS, answerHas = '"status":"ok"', ...load }: Load): Promise<Driven> {
  const { orderUrl, pid } = server;
  using sampler = new Sampler(server);
  const before = pid === undefined ? 0 : cpuSeconds(pid);
  const driven = await drive({ url: orderUrl, ...load, order, answerHas, onAnswer: sampler.count });
  const cpu = pid === undefined ? 0 : cpuSeconds(pid) - before;
  const wrong = driven.wrongBodies + driven.socketErrors + driven.timeouts;
  if (wrong > 0 || driven.answers === 0) throw new Error(`${wrong} of ${driven.answers} answers of ${orderUrl} were wrong or missing`);
  const { p50, p90, p99, p999, max } = driven.latencyMs;
  const latencyMs: Percentiles = [
    [50, p50],
    [90, p90],
    [99, p99],
    [99.9, p999],
    [100, max],
  ];
  const figures = {
    "orders/s": [driven.perSecond, "orders/s"],
    ...(pid !== undefined && { "CPU per order": [(cpu / driven.answers) * 1e6, "us"] }),
  } as Round["figures"];
  return { figures, latencyMs, overTime: sampler.samples, driven };
}

/** A load that each process gets for some seconds first. */
export type WarmLoad = Load & { readonly warmup: number };

/** A server under a load. `around` is what else is done in a round; by default nothing. */
export function underLoad<S extends Server>(
  name: string,
  { warmup, ...load }: WarmLoad,
  start: (scope: Scope) => S | Promise<S>,
  around: (server: S, drive: () => Promise<Driven>) => Promise<Round> = (_server, drive) => drive(),
): Variant {
  return {
    name,
    async open(scope) {
      const server = await start(scope);
      await closedLoop(server, { ...load, seconds: warmup });
      return () => around(server, () => closedLoop(server, load));
    },
  };
}

/** The service under a load. */
export function serviceUnder(
  name: string,
  load: WarmLoad,
  settings: (scope: Scope) => Settings | Promise<Settings> = () => ({}),
  around?: (server: Service, drive: () => Promise<Driven>) => Promise<Round>,
): Variant {
  return { ...underLoad(name, load, async (scope) => startService(scope, await settings(scope)), around), ofTree: true };
}

/** What Express alone can do. */
export function bareExpressUnder(load: WarmLoad): Variant {
  return underLoad("bare Express", load, ({ stack }) => startBareExpress(stack));
}

/** Another server, wherever it runs. */
export function peerUnder(url: string, load: WarmLoad): Variant {
  return underLoad(url, load, () => ({ orderUrl: new URL("/order", url).href }));
}

export async function startBareExpress(
  stack: AsyncDisposableStack,
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<Server & { readonly pid: number; readonly process: Child }> {
  const child = stack.use(await Child.start({ args: [BARE_EXPRESS, ...args], env, up: /bare Express on (\d+)/ }));
  return { orderUrl: `http://127.0.0.1:${child.groups[0]}/order`, pid: child.pid, process: child };
}

/** Looks twice a second at what a server does. */
class Sampler implements Disposable {
  readonly samples: Sample[] = [];
  readonly #server: Server;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #last: { readonly atMs: number; readonly cpu: Record<string, number> };
  #answers = 0;

  constructor(server: Server) {
    this.#server = server;
    this.#last = { atMs: this.#startMs, cpu: server.pid === undefined ? {} : cpuByKind(server) };
    if (server.pid !== undefined) this.#timer = setInterval(() => this.#look(server.pid as number), SAMPLE_EVERY_MS);
  }

  readonly count = (): void => {
    this.#answers++;
  };

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(pid: number): void {
    const [now, atMs] = [cpuByKind(this.#server), performance.now()];
    const seconds = (atMs - this.#last.atMs) / 1000;
    const cpu = Object.fromEntries(
      Object.entries(now).map(([kind, used]) => [kind, round((used - (this.#last.cpu[kind] ?? 0)) / seconds)]),
    );
    const s = round((atMs - this.#startMs) / 1000);
    this.samples.push({ s, ordersPerSecond: Math.round(this.#answers / seconds), rssMib: Math.round(residentKiB(pid) / 1024), cpu });
    this.#answers = 0;
    this.#last = { atMs, cpu: now };
  }
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
