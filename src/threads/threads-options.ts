import { availableParallelism } from "node:os";
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { MAX_CAUSES } from "./cancel-board.ts";
import { MAX_TIMER_MS } from "./cancel-scope.ts";
import { BUILT_IN_CAUSES, ENDED, textOf } from "./canceled.ts";
import type { CapacityOptions } from "./permits/capacity.ts";
import type { ReplaceReason } from "./pool-thread.ts";
import type { PoolName } from "./pool-threads.ts";
import type { Codecs } from "./worker/define-tasks.ts";

export interface ThreadsOptions<Cause extends string = never> {
  /** The file that exports `tasks`: a URL, best `new URL("./tasks.ts", import.meta.url)`, or an absolute path. */
  readonly file: URL | string;
  /** Given to the function that `defineTasks` was given, on every thread. Whatever can be cloned. */
  readonly settings?: unknown;
  /** Threads of the shared pool, each for thousands of tasks that mostly wait. 0 to 1024; default 1. */
  readonly shared?: number;
  /** Threads of the exclusive pool, each for one task that computes. 0 to 1024; default: available processors. */
  readonly exclusive?: number;
  /** Whether the exclusive threads start with the first task that needs one. Default true. */
  readonly exclusiveOnDemand?: boolean;
  /** What your groups may be canceled for beside the built-in causes. 11 at most. */
  readonly causes?: readonly Cause[];
  /** The same that the file gives to `defineTasks`: inputs are encoded here and decoded there. */
  readonly codecs?: Codecs;
  /** How long a canceled task may take to stop before nobody waits for it any longer, in ms. Default 250. */
  readonly graceMs?: number;
  /** Groups that may be open at one time. Default 10 000. */
  readonly maxGroups?: number;
  /** Tasks that one shared thread may have; further ones wait. Default 100 000. */
  readonly maxTasksPerThread?: number;
  /** Tasks that may wait for a thread of a pool, each until the end of its turn at least; further ones are refused. Default 100 000. */
  readonly maxWaiting?: number;
  /** Tasks that ignore their cancel, after which a shared thread is set aside: it ends those it has, and is replaced. Default 100. */
  readonly maxGivenUp?: number;
  /** Megabytes of old-generation heap a thread may use before it dies as out of memory. 16 at least; default 512. */
  readonly heapMb?: number;
  /** How long a thread may take to load the file. Default 30 000. */
  readonly startTimeoutMs?: number;
  /** How tasks wait for an exclusive thread. */
  readonly waiting?: CapacityOptions;
  /** What a task or the file posted with `post`. */
  readonly onMessage?: (value: unknown, threadId: number) => void;
  /** Something went wrong that no outcome tells of: a thread crashed, a listener threw. `error` may be anything. Default: a warning. */
  readonly onFault?: (message: string, error: unknown) => void;
  /** Once for each thread that was replaced. */
  readonly onReplaced?: (pool: PoolName, threadId: number, reason: ReplaceReason) => void;
}

const DEFAULTS = {
  settings: {},
  shared: 1,
  exclusiveOnDemand: true,
  graceMs: 250,
  maxGroups: 10_000,
  maxTasksPerThread: 100_000,
  maxWaiting: 100_000,
  maxGivenUp: 100,
  // Far above what a full board of tasks needs, and two threads that run away together leave the machine standing.
  heapMb: 512,
  startTimeoutMs: 30_000,
};

const RANGES = {
  shared: [0, 1024],
  exclusive: [0, 1024],
  graceMs: [0, MAX_TIMER_MS],
  maxGroups: [1, 2 ** 20],
  maxTasksPerThread: [1, Number.MAX_SAFE_INTEGER],
  // With none every task would be refused: also where a thread is free a task waits until the end of its turn.
  maxWaiting: [1, Number.MAX_SAFE_INTEGER],
  maxGivenUp: [1, Number.MAX_SAFE_INTEGER],
  // With less V8 ends the whole process while a thread starts.
  heapMb: [16, Number.MAX_SAFE_INTEGER],
  startTimeoutMs: [1, MAX_TIMER_MS],
} as const;

export type CheckedOptions = Required<Omit<ThreadsOptions<string>, "codecs" | "waiting" | "file">> & {
  readonly file: string;
  readonly codecs: Codecs | undefined;
  readonly waiting: CapacityOptions | undefined;
};

/** The options with their defaults. Throws a RangeError that names the option, its value and the rule. */
export function checked({ file, codecs, waiting, causes = [], ...options }: ThreadsOptions<string>): CheckedOptions {
  const all = { ...DEFAULTS, exclusive: availableParallelism(), onMessage() {}, onFault: warn, onReplaced() {}, ...given(options) };
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = all[name as keyof typeof RANGES];
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new RangeError(`${name} must be a whole number from ${least} to ${most}, not ${inspect(value)}`);
    }
  }
  if (!Array.isArray(causes)) throw new RangeError(`causes must be a list, not ${inspect(causes)}`);
  const reserved: readonly string[] = [...BUILT_IN_CAUSES, ENDED];
  for (const cause of causes) if (reserved.includes(cause)) throw new RangeError(`causes must not name the built-in cause "${cause}"`);
  const room = MAX_CAUSES - BUILT_IN_CAUSES.length;
  if (causes.length > room) throw new RangeError(`causes must be ${room} at most, not ${causes.length}`);
  const settings = cloneable(all.settings);
  return { ...all, settings, causes, codecs, waiting, onMessage: guarded(all.onMessage, all.onFault), file: urlOf(file) };
}

/** Options that are given as undefined are not given. */
function given<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

function urlOf(file: URL | string): string {
  if (file instanceof URL || (typeof file === "string" && file.includes("://"))) return String(file);
  if (typeof file !== "string" || !isAbsolute(file)) throw new RangeError(`file must be a URL or an absolute path, not ${inspect(file)}`);
  return pathToFileURL(file).href;
}

/** They are cloned for each thread, where Piscina would fail with an error that names nothing. */
function cloneable(settings: unknown): unknown {
  try {
    return structuredClone(settings);
  } catch (error) {
    throw new RangeError(`settings cannot be cloned: ${(error as Error).message}`);
  }
}

/** What a task posts must not end the process by way of a listener that did not expect it. */
function guarded(onMessage: CheckedOptions["onMessage"], onFault: CheckedOptions["onFault"]): CheckedOptions["onMessage"] {
  return (value, threadId) => {
    try {
      onMessage(value, threadId);
    } catch (error) {
      onFault("onMessage threw", error);
    }
  };
}

function warn(message: string, error: unknown): void {
  process.emitWarning(`${message}: ${textOf(error)}`);
}
