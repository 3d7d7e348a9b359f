import type { Answers, Query, QueryName } from "../protocol.ts";

type Asked<Of extends Query> = Of extends readonly [QueryName, ...infer Rest] ? Rest : never;

/** How a store answers each query. */
export type Reads = {
  readonly [Name in QueryName]: (...asked: Asked<Extract<Query, readonly [Name, ...unknown[]]>>) => Answers[Name] | Promise<Answers[Name]>;
};

/** What `reads` answers to a query. Throws or rejects as that does. */
export function answerTo(reads: Reads, [name, ...asked]: Query): Answers[QueryName] | Promise<Answers[QueryName]> {
  return (reads[name] as (...asked: readonly unknown[]) => Answers[QueryName] | Promise<Answers[QueryName]>)(...asked);
}
