import { readFileSync } from "node:fs";

/** One instruction of a Dockerfile, with its arguments as they stand or, of the JSON form, as they are. */
export interface Instruction {
  readonly name: string;
  readonly text: string;
  /** Absent in the form that a shell reads. */
  readonly words?: readonly string[];
}

/** The stages of a Dockerfile, each from its FROM on. Knows no line continuation and no build arguments. */
export function readDockerfile(file: URL): readonly (readonly Instruction[])[] {
  const stages: Instruction[][] = [];
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name = "", text = ""] = /^([A-Z]+) (.+)$/.exec(line) ?? [];
    if (name === "") throw new Error(`no instruction: ${line}`);
    if (name === "FROM") stages.push([]);
    const json = /\[".*"\]$/.exec(text)?.[0];
    stages.at(-1)?.push({ name, text, ...(json !== undefined && { words: JSON.parse(json) }) });
  }
  return stages;
}

/** Whether a .dockerignore of the form "nothing but" lets a path through. */
export function isInContext(ignoreFile: URL, path: string): boolean {
  const lines = readFileSync(ignoreFile, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const [everything, ...exceptions] = lines;
  if (everything !== "*" || !exceptions.every((line) => /^![\w./-]+$/.test(line))) throw new Error("not of the form: nothing but");
  return exceptions.some((line) => path === line.slice(1) || path.startsWith(`${line.slice(1)}/`));
}
