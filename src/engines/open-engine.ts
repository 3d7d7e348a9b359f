import { EmbeddedEngine, type EmbeddedOptions } from "./embedded/embedded-engine.ts";
import type { OpenEngine } from "./engine.ts";

export type EngineOptions = EmbeddedOptions;

/** Opens what the settings ask for. The distributed engine's packages cost the embedded one neither time nor memory: nothing loads them. */
export async function openEngine(options: EngineOptions): Promise<OpenEngine> {
  if (options.config.ENGINE === "embedded") return await EmbeddedEngine.open(options);
  const { RestateEngine } = await import("./restate/restate-engine.ts");
  return await RestateEngine.open(options);
}
