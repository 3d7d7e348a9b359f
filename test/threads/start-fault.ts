import { MessagePort } from "node:worker_threads";
import type { StartFault } from "./script.ts";

/** Has this thread start as a test has planned it. `block` stops the whole thread at a gate. */
export function startAsPlanned(fault: StartFault, block: () => void): void {
  if (fault === "exit") process.exit(3);
  if (fault === "throw") throw new Error("this thread does not start");
  if (fault === "wait_at_gate") block();
  // The first thing that it posts says which row it has claimed.
  if (fault === "exit_before_ready") MessagePort.prototype.postMessage = () => process.exit(9);
  if (fault === "exit_after_ready") {
    const { postMessage } = MessagePort.prototype;
    MessagePort.prototype.postMessage = function (this: MessagePort, value) {
      postMessage.call(this, value);
      process.exit(4);
    };
  }
}
