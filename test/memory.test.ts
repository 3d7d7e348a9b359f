import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { requireMemory } from "../src/composition/memory.ts";
import { ChildServer } from "./support/child-server.ts";
import { eventually } from "./support/eventually.ts";
import { newId, postOrder, threadsPage } from "./support/http-client.ts";
import { seedOf } from "./support/seed.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** The command of a service on a machine with so many processors, and with a limit of memory where one is given. */
function machine(processors: number, memory?: number): string[] {
  const preload = `import os from "node:os"; import { syncBuiltinESMExports } from "node:module";
    os.availableParallelism = () => ${processors}; syncBuiltinESMExports();
    ${memory === undefined ? "" : `process.constrainedMemory = () => ${memory};`}`;
  return [process.execPath, "--import", `data:text/javascript,${encodeURIComponent(preload)}`, "src/main.ts"];
}

describe("threads and memory", () => {
  test.each([
    [4, 8, 512 * MIB],
    [1, 1, 192 * MIB],
    [27, 27, GIB],
    [256, 256, 16 * GIB],
  ])("%i and %i fit into %i bytes", (shared, exclusive, bytes) => {
    expect(() => requireMemory({ THREADS: shared, CPU_THREADS: exclusive }, bytes)).not.toThrow();
  });

  test.each([
    [
      64,
      64,
      GIB,
      "THREADS=64, CPU_THREADS=64: need 2208 MiB of memory, and this process may use 1024 MiB: lower them to THREADS=27 CPU_THREADS=27, or give it more",
    ],
    [
      4,
      64,
      512 * MIB,
      "THREADS=4, CPU_THREADS=64: need 1248 MiB of memory, and this process may use 512 MiB: lower them to THREADS=4 CPU_THREADS=18, or give it more",
    ],
    [
      4,
      8,
      256 * MIB,
      "THREADS=4, CPU_THREADS=8: need 352 MiB of memory, and this process may use 256 MiB: lower them to THREADS=3 CPU_THREADS=3, or give it more",
    ],
    [1, 1, 191 * MIB, "THREADS=1, CPU_THREADS=1: need 192 MiB of memory, and this process may use 191 MiB: no fewer than 192 MiB will do"],
  ])("%i and %i do not fit into %i bytes, and what does is said", (shared, exclusive, bytes, message) => {
    expect(() => requireMemory({ THREADS: shared, CPU_THREADS: exclusive }, bytes)).toThrow(message);
    const [, fewerShared, fewerExclusive] = /to THREADS=(\d+) CPU_THREADS=(\d+)/.exec(message) ?? [];
    if (fewerShared !== undefined) requireMemory({ THREADS: Number(fewerShared), CPU_THREADS: Number(fewerExclusive) }, bytes);
  });

  test("a start that does not fit says so in one line", async () => {
    await using server = new ChildServer({ CPU_THREADS: "64" }, machine(64, GIB));
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.stderr).toMatch(/^order-pipeline: THREADS=4, CPU_THREADS=64: need 1248 MiB .* 1024 MiB: lower them to .*\n$/);
  });
});

/** Where a cgroup with a limit of memory can be made: of version 1 below that of this process, of version 2 beside it or at the root. */
function places(): { readonly parent: string; readonly limit: string }[] {
  const cgroups = readFileSync("/proc/self/cgroup", "utf8");
  const [, first] = /^\d+:memory:(.*)$/m.exec(cgroups) ?? [];
  const [, second = "/"] = /^0::(.*)$/m.exec(cgroups) ?? [];
  if (first !== undefined) return [{ parent: join("/sys/fs/cgroup/memory", first), limit: "memory.limit_in_bytes" }];
  return [dirname(second), "/"].map((path) => ({ parent: join("/sys/fs/cgroup", path), limit: "memory.max" }));
}

interface Cgroup extends Disposable {
  /** Whoever writes its process id to this file is limited from then on. */
  readonly processes: string;
}

/** Undefined where the machine does not let us make one. */
function limited(bytes: number): Cgroup | undefined {
  if (!existsSync("/proc/self/cgroup")) return undefined;
  for (const { parent, limit } of places()) {
    const path = join(parent, `order-pipeline-${process.pid}`);
    try {
      mkdirSync(path);
      const dispose = () => rmdirSync(path);
      try {
        writeFileSync(join(path, limit), String(bytes));
      } catch (error) {
        dispose();
        throw error;
      }
      return { processes: join(path, "cgroup.procs"), [Symbol.dispose]: dispose };
    } catch {}
  }
  return undefined;
}

const tried = limited(GIB);
tried?.[Symbol.dispose]();
if (tried === undefined)
  console.warn("no cgroup with a limit of memory can be made here: the process is only told of the limit, and what it took is looked at");

/** Most of the memory of a process that was resident at one time, in bytes. Undefined where the system does not tell. */
function peakBytes(pid: number | undefined): number | undefined {
  const file = `/proc/${pid}/status`;
  const [, kib] = existsSync(file) ? (/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(file, "utf8")) ?? []) : [];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

// The worst one first.
const ALL = [512 * MIB, GIB, 2 * GIB].flatMap((bytes) => [64, 16, 2].map((processors) => [processors, bytes] as const));
const seed = seedOf("MEMORY_SEED");
console.log(`MEMORY_SEED=${seed}; MEMORY=all tries all sizes of machines`);

test.each(process.env.MEMORY === "all" ? ALL : ALL.filter((_size, n) => n === 0 || n === 1 + (seed % (ALL.length - 1))))(
  "with the defaults of %i processors in %i bytes it starts, computes on all its threads, and lives",
  async (processors, bytes) => {
    using group = limited(bytes);
    const command = machine(processors, group === undefined ? bytes : undefined)
      .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
      .join(" ");
    const enter = group === undefined ? "" : `echo $$ > ${group.processes}; `;
    await using server = new ChildServer({ COURIER_CAPACITY: "128", ORDER_TIMEOUT_MS: "60000" }, ["sh", "-c", `${enter}exec ${command}`]);
    const { port, adminPort } = await server.ports();
    const cpu_ms = { payment: 10, vendor: 10, courier: 10 };
    // Few at a time, so that none is refused, but with more steps than there are threads.
    for (let round = 0; round < 4; round++) {
      const answers = await Promise.all([1, 2, 3].map(() => postOrder(port, { order_id: newId("computes"), amount: 1, cpu_ms })));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    }
    const { threads, replaced } = await eventually(
      "all threads",
      () => threadsPage(adminPort),
      (page) => page.threads.length >= Math.min(4, processors) + Math.min(8, processors),
    );
    expect(threads.filter(({ pool }) => pool === "exclusive")).toHaveLength(Math.min(8, processors));
    expect(replaced).toBe(0);
    expect(peakBytes(server.process.pid) ?? 0).toBeLessThan(bytes);
    server.signal("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
  },
);
