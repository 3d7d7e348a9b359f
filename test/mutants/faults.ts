import { parseSync } from "vite";
import type { Files } from "../architecture/imports.ts";
import { Random } from "../fuzz/random.ts";

/** A small fault that can be put into a text. */
export interface Fault {
  /** From 1. */
  readonly line: number;
  readonly start: number;
  readonly end: number;
  /** What stands between `start` and `end` then. */
  readonly text: string;
  /** For people. */
  readonly what: string;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

const OPERATORS: Readonly<Record<string, string>> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "&&": "||",
  "||": "&&",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "+=": "-=",
  "-=": "+=",
  "++": "--",
  "--": "++",
};
const CONDITIONAL = new Set(["IfStatement", "ConditionalExpression", "WhileStatement"]);
// 200 ms or 201 ms, nobody can tell.
const LARGE = 10;
const DROPPED = new Set(["CallExpression", "AwaitExpression", "AssignmentExpression", "UpdateExpression"]);

/** The small faults that fit a TypeScript text, by their place. Throws where the text cannot be parsed. */
export function faultsIn(file: string, text: string): Fault[] {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const lineEnds = [...text.matchAll(/\n/g)].map(({ index }) => index);
  const faults: Fault[] = [];
  const add = (start: number, end: number, by: string, what: string): void => {
    const line = 1 + lineEnds.filter((lineEnd) => lineEnd < start).length;
    faults.push({ line, start, end, text: by, what });
  };
  const source = ({ start, end }: Node): string => text.slice(start, end);
  visit(program, (node) => {
    const part = (name: string) => (node as unknown as Record<string, Node>)[name] as Node;
    const { operator, value } = node as unknown as Record<string, unknown>;
    if (CONDITIONAL.has(node.type)) {
      const test = part("test");
      add(test.start, test.end, `!(${source(test)})`, "the condition is turned round");
    }
    if (node.type === "ExpressionStatement" && DROPPED.has(part("expression").type))
      add(node.start, node.end, ";", "the statement is left out");
    if (node.type === "Literal" && typeof value === "boolean") add(node.start, node.end, String(!value), `${value} becomes ${!value}`);
    if (node.type === "Literal" && typeof value === "number") {
      const isSmall = value < LARGE;
      add(node.start, node.end, isSmall ? `(${source(node)} + 1)` : `(${source(node)} * 10)`, isSmall ? "one more" : "ten times as much");
    }
    if (typeof operator !== "string") return;
    if (operator === "??") add(node.start, node.end, `(${source(part("right"))})`, "what stands behind ?? is always taken");
    const other = OPERATORS[operator];
    if (other === undefined || node.type === "UnaryExpression") return;
    const isUpdate = node.type === "UpdateExpression";
    const from = isUpdate ? node.start : part("left").end;
    const at = text.indexOf(operator, isUpdate && part("argument").start === node.start ? part("argument").end : from);
    add(at, at + operator.length, other, `${operator} becomes ${other}`);
  });
  return faults.sort((a, b) => a.start - b.start);
}

/** Types do nothing when they run, so their nodes are left out; what stands inside `as` and `!` runs. */
function visit(value: unknown, seen: (node: Node) => void): void {
  if (Array.isArray(value)) for (const item of value) visit(item, seen);
  if (typeof value !== "object" || value === null || Array.isArray(value) || !("type" in value)) return;
  const node = value as Node & { readonly expression?: unknown };
  if (node.type === "ImportDeclaration") return;
  if (node.type.startsWith("TS")) {
    visit(node.expression, seen);
    return;
  }
  seen(node);
  for (const child of Object.values(node)) visit(child, seen);
}

export interface DrawnFault extends Fault {
  readonly file: string;
}

/** Small faults in the order in which a seed draws them: each line that can have one is as likely as any other, and comes once. */
export function* drawnFrom(files: Files, seed: number): Generator<DrawnFault> {
  const lines: DrawnFault[][] = [];
  for (const [file, text] of files) {
    const byLine = Map.groupBy(faultsIn(file, text), ({ line }) => line);
    for (const faults of byLine.values()) lines.push(faults.map((fault) => ({ ...fault, file })));
  }
  for (let draw = 0; lines.length > 0; draw++) {
    const random = new Random(seed, draw);
    const [faults = []] = lines.splice(random.below(lines.length), 1);
    yield random.pick(faults);
  }
}
