import { readdirSync } from "node:fs";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { postOrder, send, type ThreadsPage, threadsPage } from "../support/http-client.ts";
import { converse } from "./conversation.ts";
import { type FuzzCase, fuzzCase } from "./fuzz-case.ts";

export interface FuzzRun {
  readonly seed: number;
  /** How many requests to send, over as many connections as they need. */
  readonly requests: number;
  /** Only this case, then. */
  readonly onlyCase?: number;
  readonly onProgress?: (requests: number) => void;
}

export interface FuzzReport {
  readonly requests: number;
  readonly connections: number;
  /** How many answers there were of each status. */
  readonly statuses: ReadonlyMap<number, number>;
  /** The most steps that were seen running at one time. */
  readonly mostRunning: number;
  readonly stepsStarted: number;
  /** File descriptors of the server before and after, where the system tells. */
  readonly openFiles?: readonly [before: number, after: number];
}

/** A fault of the server's, with what reproduces it. */
export class FuzzFailure extends Error {}

const CONNECTIONS = 200;
const LOOK_EVERY_MS = 50;
const SHOWN_CHARACTERS = 2_000;
const SETTINGS = {
  CPU_THREADS: "2",
  LOG_LEVEL: "warn",
  // Orders that take ten minutes come often; what is looked at is how they end.
  ORDER_TIMEOUT_MS: "300",
  COURIER_CAPACITY: "128",
  // No thread may be lost, however slow the machine is.
  CANCEL_GRACE_MS: "60000",
};

/** Sends the cases of a seed to a server of its own and looks at everything that comes back and stays behind. Throws `FuzzFailure`. */
export async function fuzz({ seed, requests, onlyCase, onProgress }: FuzzRun): Promise<FuzzReport> {
  await using server = new ChildServer(SETTINGS);
  const ports = await server.ports();
  const port = ({ listener }: FuzzCase) => (listener === "public" ? ports.port : ports.adminPort);
  const statuses = new Map<number, number>();
  let [sent, connections, next, mostRunning] = [0, 0, onlyCase ?? 0, 0];
  let failure: unknown;

  const isDown = () => server.process.exitCode !== null || server.process.signalCode !== null;
  const client = async () => {
    while (failure === undefined && sent < requests && (onlyCase === undefined || next === onlyCase)) {
      const one = fuzzCase(seed, next++);
      sent += one.requests;
      connections++;
      try {
        for (const { status } of await converse(one, port(one))) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      } catch (error) {
        failure ??= isDown()
          ? new FuzzFailure(`the server has ended\n${described(seed, one)}\n${server.stderr}`)
          : new FuzzFailure(`${(error as Error).message}\n${described(seed, one)}`, { cause: error });
      }
    }
  };
  // Whatever a first request makes for good.
  for (const to of [ports.port, ports.adminPort]) await send(to, { path: "/orders" });
  // Threads that compute have files of their own.
  await postOrder(ports.port, { order_id: "first", amount: 1, cpu_ms: { payment: 1 } });
  await eventually("the threads that compute", async () => {
    const { threads, running } = await threadsPage(ports.adminPort);
    return running === 0 && threads.filter(({ pool }) => pool === "exclusive").length === Number(SETTINGS.CPU_THREADS);
  });
  const filesBefore = openFiles(server.process.pid);
  const watching = setInterval(() => {
    onProgress?.(sent);
    threadsPage(ports.adminPort).then(
      ({ running }) => (mostRunning = Math.max(mostRunning, running)),
      () => {},
    );
  }, LOOK_EVERY_MS);
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
  } finally {
    clearInterval(watching);
  }
  if (failure !== undefined) throw failure;

  const page = await eventually(
    "the counters at zero",
    () => threadsPage(ports.adminPort),
    (seen) => seen.running === 0 && seen.orders_in_flight === 0,
  );
  expectBalanced(page);
  const filesAfter =
    filesBefore &&
    (await eventually(
      `no more files open than ${filesBefore} before`,
      () => openFiles(server.process.pid),
      (count) => count !== undefined && count <= filesBefore,
    ));
  server.signal("SIGTERM");
  const { code } = await server.exited;
  if (code !== 0) throw new FuzzFailure(`the server ended with code ${code}: ${server.stderr}`);
  const complaints = `${server.stdout}${server.stderr}`.split("\n").filter((line) => /"level":[4-9]\d|Warning/.test(line));
  if (complaints.length > 0) throw new FuzzFailure(`the server's log has complaints:\n${complaints.slice(0, 20).join("\n")}`);
  return {
    requests: sent,
    connections,
    statuses,
    mostRunning,
    stepsStarted: page.started,
    ...(filesBefore !== undefined && filesAfter !== undefined && { openFiles: [filesBefore, filesAfter] as const }),
  };
}

function expectBalanced({ started, finished, replaced }: ThreadsPage): void {
  if (started !== finished || replaced > 0)
    throw new FuzzFailure(`${started} steps started, ${finished} finished, ${replaced} threads replaced`);
}

function openFiles(pid = 0): number | undefined {
  return process.platform === "linux" ? readdirSync(`/proc/${pid}/fd`).length : undefined;
}

function described(seed: number, { n, listener, pieces, ending }: FuzzCase): string {
  return `again: npm run fuzz -- --seed ${seed} --case ${n}\n${listener} listener, ${ending}, in these pieces:\n${pieces.map(cut).join("\n")}`;
}

/** As a JSON string in latin1: one character a byte. The seed and the case give the rest. */
function cut(bytes: Buffer): string {
  const text = JSON.stringify(bytes.toString("latin1"));
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}... (${bytes.length} bytes)`;
}
