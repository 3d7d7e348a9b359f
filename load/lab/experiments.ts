import { readdirSync } from "node:fs";
import { UsageError } from "../options.ts";
import type { Experiment } from "./experiment.ts";

const FOLDER = new URL("../experiments/", import.meta.url);

/** All names, as those of their files. */
export function experimentNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -".ts".length))
    .sort();
}

/** Throws `UsageError` where there is none of this name. */
export async function experimentNamed(name: string): Promise<Experiment> {
  if (!experimentNames().includes(name)) throw new UsageError(`there is no experiment "${name}": npm run bench lists them`);
  const { experiment } = (await import(new URL(`${name}.ts`, FOLDER).href)) as { readonly experiment: Experiment };
  return experiment;
}
