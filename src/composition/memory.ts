import { totalmem } from "node:os";
import { type Config, ConfigError } from "../config.ts";

const MIB = 1024 * 1024;
// Measured at rest: 120 MiB without threads of steps, and 9 MiB per thread (docs/operating.md). The rest is for orders, connections, and what
// steps compute with.
const BASE_MIB = 160;
const THREAD_MIB = 16;

/** How much memory the process may use, in bytes: the container's limit or the machine's memory. */
export function usableMemory(): number {
  // Without a limit it is 0, or more than any machine has.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

export type ThreadCounts = Pick<Config, "THREADS" | "CPU_THREADS">;

/** What a start with so many threads asks for. */
export function neededMib({ THREADS, CPU_THREADS }: ThreadCounts): number {
  return BASE_MIB + THREAD_MIB * (THREADS + CPU_THREADS);
}

/**
 * Throws `ConfigError` where so many threads do not fit into `bytes` of memory. Those of the exclusive pool start with the first order that
 * computes, so the process would end in the middle of orders.
 */
export function requireMemory(counts: ThreadCounts, bytes: number): void {
  const usableMib = Math.floor(bytes / MIB);
  if (neededMib(counts) <= usableMib) return;
  const { THREADS: shared, CPU_THREADS: exclusive } = counts;
  const most = Math.floor((usableMib - BASE_MIB) / THREAD_MIB);
  const fewerShared = Math.min(shared, Math.max(1, most >> 1));
  const advice =
    most < 2
      ? `no fewer than ${BASE_MIB + 2 * THREAD_MIB} MiB will do`
      : `lower them to THREADS=${fewerShared} CPU_THREADS=${Math.min(exclusive, most - fewerShared)}, or give it more`;
  throw new ConfigError(
    `THREADS=${shared}, CPU_THREADS=${exclusive}: need ${neededMib(counts)} MiB of memory, and this process may use ${usableMib} MiB: ${advice}`,
  );
}
