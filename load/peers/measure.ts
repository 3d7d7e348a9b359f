import { availableParallelism } from "node:os";
import { cancelCpu } from "./cancel-cpu.ts";
import { type Cancels, cancels } from "./cancels.ts";
import { type Innocents, innocents } from "./innocents.ts";
import { type Memory, memory } from "./memory.ts";
import type { Kind, Peer } from "./peer.ts";
import { LOADS, type LoadName, throughput } from "./throughput.ts";

/** The kinds of tasks that are canceled while they run. */
export const CANCELED_KINDS = ["tick", "computeAwaiting", "compute"] as const satisfies readonly Kind[];

/** What one process measured of one peer. */
export interface Measured {
  readonly perSecond: Readonly<Record<LoadName, number>>;
  readonly cancels: Readonly<Record<(typeof CANCELED_KINDS)[number], Cancels>>;
  /** Undefined where no task shares a thread with another. */
  readonly innocents: Innocents | undefined;
  readonly cancelCpuMicros: number;
}

/** For tasks that can share them, and for those that compute. */
export const THREADS = availableParallelism();

const MEASURES = Object.keys(LOADS).length + CANCELED_KINDS.length + 2;

/** In the order of `names`, one after the other. */
async function each<Name extends string, T>(names: readonly Name[], one: (name: Name) => Promise<T>): Promise<Record<Name, T>> {
  const all: [Name, T][] = [];
  for (const name of names) all.push([name, await one(name)]);
  return Object.fromEntries(all) as Record<Name, T>;
}

/** All but the memory. `roundSeconds`: of all measures together, without the start of the threads. */
export async function measure(peer: Peer, roundSeconds: number): Promise<Measured> {
  const seconds = roundSeconds / MEASURES;
  return {
    perSecond: await each(Object.keys(LOADS) as LoadName[], (name) => throughput(peer, LOADS[name], THREADS, seconds)),
    cancelCpuMicros: await cancelCpu(peer, seconds),
    cancels: await each(CANCELED_KINDS, (kind) => cancels(peer, kind, seconds)),
    innocents: peer.sharing === "none" ? undefined : await innocents(peer, seconds),
  };
}

/** To be called in a process of its own. */
export function measureMemory(peer: Peer): Promise<Memory> {
  return memory(peer, THREADS);
}
