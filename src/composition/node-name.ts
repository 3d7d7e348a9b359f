import { hostname } from "node:os";
import type { Config } from "../config.ts";

/** What this node is called by what it shows, where there may be several. */
export function nodeName({ ENGINE, RESTATE_NODE_NAME }: Config): { readonly node?: string } {
  return ENGINE === "restate" ? { node: RESTATE_NODE_NAME ?? hostname() } : {};
}
