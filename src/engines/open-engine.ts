import { EmbeddedEngine, type EmbeddedOptions } from "./embedded/embedded-engine.ts";
import type { OpenEngine } from "./engine.ts";

export type EngineOptions = EmbeddedOptions;

/** Opens the engine that `ENGINE` names. With the embedded engine nothing loads the packages of the distributed one. */
export async function openEngine(options: EngineOptions): Promise<OpenEngine> {
  if (options.config.ENGINE === "embedded") return await EmbeddedEngine.open(options);
  const { RestateEngine } = await import("./restate/restate-engine.ts");
  return await RestateEngine.open(options);
}
