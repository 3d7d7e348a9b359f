import { isDeepStrictEqual } from "node:util";
import type { FailedOutcome, ReplaceReason } from "../../../src/threads/index.ts";
import { GOOD_TASKS } from "./good-tasks.ts";
import { HOSTILE_TO_THREADS } from "./hostile-to-threads.ts";
import { BODIES, type KindName } from "./tasks.ts";

/** What becomes of a task that nobody cancels and whose thread lives. */
export interface Kind {
  /** `never`: it does not end by itself. `either`: both is right. */
  readonly ends: "ok" | "failed" | "either" | "never";
  readonly value?: (n: number) => unknown;
  /** Whether it failed as it had to. */
  readonly failed?: (outcome: FailedOutcome, n: number) => boolean;
  /** For what its thread may die of it. */
  readonly kills?: readonly ReplaceReason[];
  /** Its thread dies of it, in any case. */
  readonly dies?: boolean;
  /** It notes no end of its own, whatever happens. */
  readonly endsUnnoted?: boolean;
  /** It throws a `Canceled`, whether or not it was canceled. */
  readonly forgesCancel?: boolean;
}

const number = (n: number): number => n;
const nothing = (): undefined => undefined;
const ofFailure =
  (kind: string, keepsSiblings = false) =>
  ({ data, keepsSiblings: keeps, error }: FailedOutcome, n: number): boolean =>
    isDeepStrictEqual(data, { n, kind }) && keeps === keepsSiblings && error === undefined;
const uncloneable = ({ message, data }: FailedOutcome): boolean => message.endsWith("cannot be cloned") && data === undefined;
const unclassified = ({ error, data, keepsSiblings }: FailedOutcome): boolean =>
  typeof error?.name === "string" && typeof error.stack === "string" && data === undefined && !keepsSiblings;

const OK: Kind = { ends: "ok", value: number };
const FAILED: Kind = { ends: "failed", failed: unclassified };
const UNCLONEABLE: Kind = { ends: "failed", failed: uncloneable };
const HELD_UP: readonly ReplaceReason[] = ["heartbeat", "grace"];
const LEFTOVER: Kind = { ends: "either", value: number, failed: ofFailure("left something") };

export const KINDS: Readonly<Record<KindName, Kind>> = {
  nothing: { ends: "ok", value: nothing, endsUnnoted: true },
  value: { ends: "ok", value: (n) => ({ n, text: `task ${n}`, list: [n, -n], map: new Map([[n, new Date(n)]]) }) },
  sleep: OK,
  longSleep: { ends: "never" },
  computeWithCheckpoints: OK,
  computeWithYield: OK,
  fetchLike: OK,
  longFetchLike: { ends: "never" },
  onCancel: OK,
  inner: { ends: "ok", value: (n) => 5 * n },
  transfer: { ends: "ok", value: (n) => new Uint8Array(1 + (n % 5_000)).fill(n & 255) },
  failure: { ends: "failed", failed: ofFailure("declined") },
  failureThatKeepsSiblings: { ends: "failed", failed: ofFailure("again", true) },
  progress: {
    ends: "failed",
    failed: (outcome, n) =>
      isDeepStrictEqual(outcome.progress, { n }) && outcome.error?.name === "TypeError" && outcome.message === `no progress after ${n}`,
  },

  throwNull: FAILED,
  throwUndefined: FAILED,
  throwSymbol: FAILED,
  throwFunction: FAILED,
  throwProxy: FAILED,
  throwRevokedProxy: FAILED,
  throwErrorWithGetters: FAILED,
  throwErrorOfProxies: FAILED,
  throwHostileInspect: FAILED,
  throwHuge: FAILED,
  throwForgedCanceled: { ...FAILED, forgesCancel: true },
  throwForgedFailure: FAILED,
  failWithFunction: UNCLONEABLE,
  failWithProxy: UNCLONEABLE,
  progressOfFunction: UNCLONEABLE,
  progressThrows: FAILED,

  returnFunction: UNCLONEABLE,
  returnSymbol: UNCLONEABLE,
  returnProxy: FAILED,
  returnThrowingGetter: UNCLONEABLE,
  returnWeakMap: UNCLONEABLE,
  returnDetached: UNCLONEABLE,
  returnTransferTwice: UNCLONEABLE,
  returnTransferOfNothing: UNCLONEABLE,
  // Nobody knows whose it was, so its thread is ended.
  returnUnreadable: { ends: "never", kills: ["uncaught"], dies: true },
  thenGetterThrows: FAILED,
  thenThrows: FAILED,
  thenTwice: OK,
  promiseWhoseThenThrows: { ends: "either", value: number, failed: unclassified },
  promiseWhoseThenCallsTwice: OK,
  postNull: OK,
  postForged: OK,
  postForgedOnItsPort: OK,
  postUnreadable: OK,

  exit: { ends: "never", kills: ["exit"] },
  exitLater: { ...OK, kills: ["exit"] },
  // Its thread may spend seconds in the collector before it dies.
  outOfMemory: { ends: "never", kills: ["out_of_memory", ...HELD_UP] },
  endlessLoop: { ends: "never", kills: HELD_UP },
  atomicsWait: { ends: "never", kills: HELD_UP },
  nativeCall: { ...OK, kills: HELD_UP },
  blocks: { ends: "never" },
  ignores: OK,
  ignoresForAWhile: { ends: "never" },
  catchesItsCancel: { ends: "either", value: number },
  neverResolves: { ends: "never", endsUnnoted: true },
  timerThrows: { ...OK, kills: ["uncaught"] },
  tickThrows: { ...OK, kills: ["uncaught"] },
  signalListenerThrows: { ...OK, kills: ["uncaught"] },
  cancelListenerThrows: OK,
  unhandledRejection: OK,
  removesListeners: { ...OK, kills: ["uncaught"] },

  leavesLoop: LEFTOVER,
  leavesSleep: LEFTOVER,
  leavesSleepLater: LEFTOVER,
  leavesSignal: LEFTOVER,
  leavesSignalLater: LEFTOVER,
  leavesInterval: LEFTOVER,
};

export const GOOD = Object.keys(GOOD_TASKS) as KindName[];
/** Those that hurt nobody else. */
export const HARMLESS = (Object.keys(BODIES) as KindName[]).filter((name) => !(name in GOOD_TASKS) && !isHarmful(name));
/** Those that hold up a thread, or kill it, or do not hear. */
export const HARMFUL = (Object.keys(BODIES) as KindName[]).filter(isHarmful);
export const HOSTILE = [...HARMLESS, ...HARMFUL];
/** What a burst is made of: thousands of these cost nobody seconds. */
export const SHORT: readonly KindName[] = [
  "nothing",
  "value",
  "transfer",
  "throwNull",
  "returnFunction",
  "unhandledRejection",
  "leavesSleep",
];

function isHarmful(name: KindName): boolean {
  return name in HOSTILE_TO_THREADS || KINDS[name].kills !== undefined;
}
