import type { LayoutHandle } from "../../src/threads/layout.ts";
import type { ThreadMessage, ThreadSetup } from "../../src/threads/protocol.ts";

/**
 * What a step thread's modules get in place of `node:worker_threads` and of whatever else they start with and that no schedule is
 * about. Set anew for each schedule.
 */
export let threadId = 0;
export let workerData: ThreadSetup;
export let parentPort = { postMessage(_message: ThreadMessage): void {} };

export function surround(id: number, layout: LayoutHandle, post: (message: ThreadMessage) => void): void {
  threadId = id;
  workerData = { layout, settings: undefined, tracing: false };
  parentPort = { postMessage: post };
}

export function giveHeapSnapshots(): void {}

export function flushCompileCache(): void {}
