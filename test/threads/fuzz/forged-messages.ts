import { BlockList } from "node:net";
import { MessagePort } from "node:worker_threads";

// Far beyond every place that a task ever has: an outcome of nobody's.
const NO_ID = 2 ** 30;

/** Messages that look like those of the library or of Piscina, or like nothing at all, and are about none of the tasks there are. */
export const FORGED_MESSAGES: readonly unknown[] = [
  null,
  undefined,
  0,
  "text",
  [],
  [1, 2, 3],
  [NO_ID, 0, 0, 0, 0, null],
  [NO_ID, 0, 0, 0, 0, [1]],
  [NO_ID, 0, 0, 0, 0, 3],
  [NO_ID, 0, 0, 0, 0, -1],
  [NO_ID, 0, 0, 0, 0, [1, true, "progress"]],
  [NO_ID, 0, 0, 0, 0, ["forged", undefined, false, undefined]],
  [-1, -1, -1, Number.NaN, Number.POSITIVE_INFINITY, [1, 2, 3, 4, 5, 6]],
  [NO_ID, 0, 0, 0, 0, { status: "ok" }],
  ["0", 0, 0, 0, 0, null],
  [NO_ID, 0, null, 0, 0, null],
  [NO_ID, 0, 0, "began", "ended", null],
  { type: "ready", threadId: "1" },
  { type: "ready" },
  { type: "ready", threadId: 1 },
  { type: "ready", threadId: -1 },
  { type: "user", value: "forged" },
  { type: "fault", message: null, stack: {} },
  { type: "fault", message: "forged", stack: "forged" },
  { type: "nothing" },
  { _WORKER_READY: true },
  { taskId: 1, result: "forged", error: null },
  new Map([["type", "ready"]]),
];

interface WithHandles {
  _getActiveHandles(): readonly unknown[];
}

/** The port between this thread and the library, as a task finds it that looks for it: those that listen are this one and Piscina's. */
export function libraryPort(): MessagePort {
  const ports = (process as unknown as WithHandles)._getActiveHandles().filter((handle) => handle instanceof MessagePort);
  // Piscina's came first.
  const last = ports.at(-1);
  if (last === undefined) throw new Error("no port is to be found");
  return last as MessagePort;
}

/** Can be written, but not read on the other side. */
export function unreadable(): object {
  const list = new BlockList() as unknown as Record<symbol, unknown>;
  list[symbolOf(list, "messaging_clone_symbol")] = () => ({ data: {}, deserializeInfo: "internal/nothing:Nothing" });
  return list;
}

function symbolOf(object: object, description: string): symbol {
  for (let each = object; each !== null; each = Object.getPrototypeOf(each)) {
    const found = Object.getOwnPropertySymbols(each).find((symbol) => symbol.description === description);
    if (found !== undefined) return found;
  }
  throw new Error(`no symbol "${description}"`);
}
