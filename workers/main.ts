import { perStep, type StepName } from "../src/orders/steps.ts";
import { httpProvider } from "./providers/http.ts";
import { simulatedProvider } from "./providers/simulated.ts";
import type { WorkerSettings } from "./settings.ts";
import { stick } from "./steps/stick.ts";
import { tasksOf } from "./steps/tasks-of.ts";

/** The file that each step thread loads. A step's work is a call at its provider: over HTTP where it has a URL, else simulated. */
export const tasks = tasksOf(({ providerUrls = {}, providerKeys, stickBegun }: WorkerSettings) => {
  const http = httpProvider(providerUrls, providerKeys);
  const of = (step: StepName) => (providerUrls[step] === undefined ? simulatedProvider : http);
  const steps = perStep((step) => ({
    run: of(step).perform.bind(undefined, step),
    compensate: of(step).compensate.bind(undefined, step),
  }));
  return { ...steps, stick: stick(stickBegun) };
});
