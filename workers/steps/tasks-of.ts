import { STEP_CODECS, taskOf } from "../../src/orders/step-task.ts";
import { type DefinedTasks, defineTasks, type TaskBody } from "../../src/threads/worker/index.ts";
import { observeStep, postSpans, traceSteps } from "../telemetry/step-span.ts";
import type { StepRegistry } from "./step.ts";

/** Makes tasks of steps: each can be performed and compensated, which is at once done where it has no effect. Spans are made where `tracing` is set. */
export function tasksOf<Settings extends { readonly tracing?: boolean }>(make: (settings: Settings) => StepRegistry): DefinedTasks {
  const tasks = (settings: Settings): Record<string, TaskBody> => {
    traceSteps(settings.tracing === true);
    const bodies: Record<string, TaskBody> = {};
    for (const [name, step] of Object.entries(make(settings))) {
      bodies[taskOf(name, "perform")] = (input, context) => step.run(input, context);
      bodies[taskOf(name, "compensate")] = (input, context) => step.compensate?.(input, context);
    }
    return bodies;
  };
  return defineTasks(tasks, { codecs: STEP_CODECS, observe: observeStep, beforeOutcomes: postSpans });
}
