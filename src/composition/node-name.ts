import { hostname } from "node:os";
import type { Config } from "../config.ts";

/** The name of this node in metrics and on the live page. Empty with the embedded engine, where there is one node. */
export function nodeName({ ENGINE, RESTATE_NODE_NAME }: Config): { readonly node?: string } {
  return ENGINE === "restate" ? { node: RESTATE_NODE_NAME ?? hostname() } : {};
}
