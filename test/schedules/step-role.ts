import { Canceled } from "../../src/threads/index.ts";
import type { LayoutHandle } from "../../src/threads/layout.ts";
import type { OutcomeEntry, StandingTask, StepMessage } from "../../src/threads/protocol.ts";
import { serve } from "../../workers/runtime/serve.ts";
import { type Step, StepFailed } from "../../workers/steps/step.ts";
import { MAIN } from "./control-words.ts";
import type { GatedAtomics } from "./gated-atomics.ts";
import type { Role } from "./role.ts";
import type { SharedControl } from "./shared-control.ts";
import { surround } from "./surroundings.ts";

/** What the steps of the scenarios do. */
export type Behavior = "stays" | "fails" | "fails on request" | "leaves work behind" | "succeeds";

/** A thread of the pools: the real `serve`, with a box for its port. */
export function makeRole(control: SharedControl, gate: GatedAtomics, thread: number, layout: LayoutHandle | undefined): Role {
  if (layout === undefined) throw new Error("a step thread needs the layout");
  const steps: Record<Behavior, Step> = {
    // By the cheapest of the ways to notice; the others hang on the same list.
    stays: { run: (_input, context) => new Promise((_resolve, reject) => context.onCancel((cause) => reject(new Canceled(cause)))) },
    fails: { run: () => Promise.reject(new StepFailed("payment_declined", "none", "declined")) },
    "fails on request": {
      run: () => new Promise((_resolve, reject) => (fail = () => reject(new StepFailed("payment_declined", "none", "declined")))),
    },
    "leaves work behind": {
      run: (_input, context) => {
        fail = () => {
          try {
            context.checkpoint();
          } catch {
            control.accuse("work that a step left behind takes another order's cancel for its own");
          }
        };
        return Promise.resolve();
      },
    },
    succeeds: { run: () => Promise.resolve() },
  };
  const counted = Object.fromEntries(
    Object.entries(steps).map(([name, { run }]): [string, Step] => [
      name,
      {
        run: (input, context) => {
          control.countBody();
          return run(input, context);
        },
      },
    ]),
  );
  let fail = (): void => {};
  let receive: (message: string) => void = () => {};

  function start(): void {
    surround(thread, layout as LayoutHandle, (message) => {
      if (message.type === "ready") gate.post(MAIN, `ready ${thread} ${message.row}`);
      else if (message.type === "log") throw new Error(JSON.stringify(message));
    });
    const port = {
      on: (_event: string, listener: (steps: StepMessage[]) => void) => (receive = (text) => listener(JSON.parse(text))),
      postMessage: (entries: OutcomeEntry[]) => gate.post(MAIN, `outcomes ${thread} ${JSON.stringify(entries)}`),
    };
    void serve(() => counted)(port as unknown as StandingTask);
  }

  return {
    layout,
    // Its first message tells it to start.
    begin: () => (receive = start),
    take: (message) => (message === "fail" ? fail() : receive(message)),
  };
}
